"""Grade every submission in a folder by what it prints for each test, and make one table of all grades."""

import csv
import json
import subprocess
import sys

import repx
from repx import Input, Lab, Output, Results, Run, out, stage


def passes(program, given, expected):
    try:
        with given.open() as text:
            ended = subprocess.run([sys.executable, program], stdin=text, capture_output=True, text=True, timeout=10)
    except subprocess.TimeoutExpired:
        return False
    return ended.returncode == 0 and ended.stdout.split() == expected.read_text().split()


@stage(packages=["python3"])
def grade(submission: Input, tests: Input = repx.path("tests"), result: Output = out("grade.json")):
    "One job for each submission; a program that fails is a result, not a failed job."
    program = submission / "median.py"
    verdicts = {test.stem: passes(program, test, test.with_suffix(".out")) for test in sorted(tests.glob("*.in"))}
    result.write_text(json.dumps({"submission": submission.name, **verdicts}))


@stage(packages=["python3"])
def report(grading: Results, table: Output = out("grades.csv")):
    grades = [json.loads(job.outputs["result"].read_text()) for job in grading.jobs("grade")]
    with table.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["submission", "passed", "failed"])
        for one in sorted(grades, key=lambda one: one["submission"]):
            name = one.pop("submission")
            failed = [test for test, passed in one.items() if not passed]
            rows.writerow([name, f"{len(one) - len(failed)}/{len(one)}", " ".join(failed)])


grading = Run("grading", grade, params={"submission": repx.dirs("submissions")})
reports = Run("report", report, after=[grading])
lab = Lab(runs=[grading, reports], version="1.0.0")
