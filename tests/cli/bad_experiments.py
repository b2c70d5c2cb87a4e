"""Experiments with one mistake each, as people make them; line 1 of each file is PRELUDE. Knows no answers."""

from __future__ import annotations

PRELUDE = (
    "import repx; from repx import Input, Inputs, Lab, Output, Resources, Results, Run, WorkItem, bash, host, out, "
    "scatter_gather, soft, stage\n"
)

FINE = """
@stage
def make(data: Output = out("data.txt"), *, n: int = 1):
    data.write_text(str(n))

@stage
def use(data: Input, twice: Output = out("twice.txt")):
    twice.write_text(data.read_text() * 2)

def work():
    use(make())

run = Run("work", work)
"""
"""Two stages and a run without a mistake; 14 lines, the empty first one included."""

LAB = "lab = Lab(runs=[run])\n"

FILES: dict[str, str] = {
    "no_lab": FINE,
    "two_labs": FINE + LAB + "other = Lab(runs=[run], version='2')\n",
    "syntax_error": FINE + "lab = Lab(runs=[run)\n",
    "unclosed_bracket": FINE + "lab = Lab(runs=[run]\n",
    "module_level_exception": FINE + LAB + "rates = [0.1, 0.2]\nprint(rates[2])\n",
    "module_level_exit": "import sys\nsys.exit('no')\n",
    "missing_import": "import nonumpy\n" + FINE + LAB,
    "missing_name_of_repx": "from repx import Stage\n" + FINE + LAB,
    "zip_of_python_for_a_sweep": "from repx import *\n"
    + FINE
    + "run = Run('work', work, params=zip(n=[1, 2]))\n"
    + LAB,
    "zip_of_repx_for_lists": "from repx import zip\npairs = dict(zip(['a', 'b'], [1, 2]))\n" + FINE + LAB,
    "zip_of_repx_in_a_body": """from repx import zip
@stage
def pairs(r: Output = out("r.txt")):
    r.write_text(str(list(zip([1], [2]))))
lab = Lab(runs=[Run("pairs", pairs)])
""",
    "no_runs": FINE + "lab = Lab(runs=[])\n",
    "lab_of_a_stage": FINE + "lab = Lab(runs=[make])\n",
    "lab_version_number": FINE + "lab = Lab(runs=[run], version=1.0)\n",
    "lab_packages_list": FINE + 'lab = Lab(runs=[run], packages=["awk"])\n',
    "lab_unknown_keyword": FINE + "lab = Lab(runs=[run], group={'all': [run]})\n",
    "run_unknown_keyword": FINE + "run = Run('work', work, param={'n': [1]})\n" + LAB,
    "cycle_of_runs": FINE
    + """a = Run("a", work)
b = Run("b", work, after=[a])
c = Run("c", work, after=[b])
a.after = (*a.after, repx.hard(c))
lab = Lab(runs=[a, b, c])
""",
    "two_runs_of_one_name": FINE + 'again = Run("work", work)\nlab = Lab(runs=[run, again])\n',
    "group_like_a_run": FINE + 'lab = Lab(runs=[run], groups={"work": [run]})\n',
    "group_of_a_name": FINE + 'lab = Lab(runs=[run], groups={"all": ["work"]})\n',
    "group_without_list": FINE + 'lab = Lab(runs=[run], groups={"all": make})\n',
    "groups_not_a_dict": FINE + "lab = Lab(runs=[run], groups=[run])\n",
    "after_a_name": FINE + 'late = Run("late", work, after=["work"])\nlab = Lab(runs=[run, late])\n',
    "after_a_stage": FINE + 'late = Run("late", work, after=make)\nlab = Lab(runs=[run, late])\n',
    "after_a_run_not_in_lab": FINE + 'late = Run("late", work, after=[run])\nlab = Lab(runs=[late])\n',
    "pipeline_called": FINE + 'run = Run("work", work())\n' + LAB,
    "stage_called": FINE + 'run = Run("work", make())\n' + LAB,
    "pipeline_a_name": FINE + 'run = Run("work", "make")\n' + LAB,
    "pipeline_missing": FINE + 'run = Run("work")\n' + LAB,
    "pipeline_argument_missing": FINE
    + 'def tuned(rate):\n    make()\nrun = Run("work", tuned, params={"rates": [1]})\n'
    + LAB,
    "pipeline_calls_nothing": FINE + 'def idle():\n    make\nrun = Run("work", idle)\n' + LAB,
    "pipeline_fails": FINE + 'def failing():\n    make().data + 1\nrun = Run("work", failing)\n' + LAB,
    "params_a_list": FINE + 'run = Run("work", work, params=["n"])\n' + LAB,
    "params_in_a_list": FINE + 'run = Run("work", work, params=[{"n": 1}, {"n": 2}])\n' + LAB,
    "param_value_a_list": FINE + 'run = Run("work", work, params={"n": [[1, 2], [3]]})\n' + LAB,
    "param_value_nan": FINE + 'run = Run("work", work, params={"n": [1, float("nan")]})\n' + LAB,
    "param_values_empty": FINE + 'run = Run("work", work, params={"n": []})\n' + LAB,
    "param_values_twice": FINE + 'run = Run("work", work, params={"n": [1, 2, 1]})\n' + LAB,
    "param_values_a_set": FINE + 'run = Run("work", work, params={"n": {1, 2}})\n' + LAB,
    "float_for_int": FINE + 'run = Run("work", work, params={"n": [1, 2.5]})\n' + LAB,
    "text_for_int": FINE + 'run = Run("work", work, params={"n": "1"})\n' + LAB,
    "float_for_int_in_call": FINE + 'def once():\n    make(n=0.5)\nrun = Run("work", once)\n' + LAB,
    "default_of_another_type": '@stage\ndef make(data: Output = out("d"), *, n: int = "1"): pass\n' + FINE + LAB,
    "param_without_value": '@stage\ndef one(data: Output = out("d"), *, n: int): pass\n'
    + FINE
    + 'run = Run("work", one)\n'
    + LAB,
    "param_reaches_nothing": FINE + 'run = Run("work", work, params={"m": [1, 2], "rate": [0.1]})\n' + LAB,
    "dotted_param_reaches_nothing": FINE + 'run = Run("work", work, params={"mak.n": [1, 2]})\n' + LAB,
    "unequal_zip": FINE + 'run = Run("work", work, params=repx.zip(n=[1, 2, 3], rate=[0.1, 0.2]))\n' + LAB,
    "unequal_zip_of_three": FINE
    + 'run = Run("work", work, params=repx.zip(n=[1, 2], rate=[1.0], seed=range(3)))\n'
    + LAB,
    "zip_of_a_text": FINE + 'run = Run("work", work, params=repx.zip(n=[1, 2], model="ab"))\n' + LAB,
    "where_leaves_nothing": FINE
    + 'run = Run("work", work, params=repx.product(n=[1, 2]).where(lambda p: p.n > 9))\n'
    + LAB,
    "where_unknown_axis": FINE
    + 'run = Run("work", work, params=repx.product(n=[1, 2]).where(lambda p: p.m > 1))\n'
    + LAB,
    "files_of_no_folder": FINE + 'run = Run("work", use, params={"data": repx.files("texts")})\n' + LAB,
    "files_that_match_nothing": FINE
    + 'run = Run("work", use, params={"data": repx.files(".", match="[.]csv$")})\n'
    + LAB,
    "path_that_is_not_there": FINE
    + 'def one():\n    use(data=repx.path("experiments.py"))\nrun = Run("work", one)\n'
    + LAB,
    "path_as_text": FINE + 'def one():\n    use(data="experiment.py")\nrun = Run("work", one)\n' + LAB,
    "open_in_a_call": FINE
    + 'def one():\n    use(data=__import__("pathlib").Path("x.csv"))\nrun = Run("work", one)\n'
    + LAB,
    "stage_by_position": FINE + 'def one():\n    make(3)\nrun = Run("work", one)\n' + LAB,
    "stage_unknown_param": FINE + 'def one():\n    make(m=3)\nrun = Run("work", one)\n' + LAB,
    "stage_unknown_input": FINE + 'def one():\n    use(date=make().data)\nrun = Run("work", one)\n' + LAB,
    "stage_unknown_output": FINE + 'def one():\n    use(data=make().date)\nrun = Run("work", one)\n' + LAB,
    "input_not_wired": FINE + 'def one():\n    make()\n    use()\nrun = Run("work", one)\n' + LAB,
    "names_that_do_not_match": '@stage\ndef other(table: Output = out("t.csv")): pass\n'
    + FINE
    + 'def one():\n    use(other())\nrun = Run("work", one)\n'
    + LAB,
    "forgotten_call": FINE + 'def one():\n    use(data=make)\nrun = Run("work", one)\n' + LAB,
    "forgotten_call_by_position": FINE + 'def one():\n    use(make)\nrun = Run("work", one)\n' + LAB,
    "list_for_one_input": FINE + 'def one():\n    use(data=[make(n=1), make(n=2)])\nrun = Run("work", one)\n' + LAB,
    "several_outputs": '@stage\ndef both(a: Output = out("a"), b: Output = out("b")): pass\n'
    + FINE
    + 'def one():\n    use(data=both())\nrun = Run("work", one)\n'
    + LAB,
    "unpacked_node": '@stage\ndef both(a: Output = out("a"), b: Output = out("b")): pass\n'
    + FINE
    + 'def one():\n    a, b = both()\nrun = Run("work", one)\n'
    + LAB,
    "node_outside_pipeline": FINE + 'made = make()\ndef one():\n    use(made)\nrun = Run("work", one)\n' + LAB,
    "branch_on_a_node": FINE + 'def one():\n    if make():\n        use(make())\nrun = Run("work", one)\n' + LAB,
    "compare_a_node": FINE
    + 'def one():\n    if make().data == "1":\n        make(n=3)\nrun = Run("work", one)\n'
    + LAB,
    "read_an_output": FINE + 'def one():\n    text = make().data.read_text()\nrun = Run("work", one)\n' + LAB,
    "results_without_after": '@stage\ndef look(work: Results, r: Output = out("r")): pass\n'
    + FINE
    + 'lab = Lab(runs=[run, Run("look", look)])\n',
    "results_of_another_name": '@stage\ndef look(sweep: Results, r: Output = out("r")): pass\n'
    + FINE
    + 'lab = Lab(runs=[run, Run("look", look, after=[run])])\n',
    "run_for_an_input": FINE + 'def one():\n    use(data=run)\nlab = Lab(runs=[run, Run("one", one, after=[run])])\n',
    "stage_without_output": "@stage\ndef hollow(*, n: int = 1): pass\n" + FINE + LAB,
    "stage_with_star": '@stage\ndef loose(*data, r: Output = out("r")): pass\n' + FINE + LAB,
    "stage_decorator_keyword": '@stage(package=["awk"])\ndef one(r: Output = out("r")): pass\n' + FINE + LAB,
    "packages_a_text": '@bash(packages="awk")\ndef one(r: Output = out("r")):\n    return "x"\n' + FINE + LAB,
    "packages_none": '@bash(packages=None)\ndef one(r: Output = out("r")):\n    return "x"\n' + FINE + LAB,
    "packages_numbers": '@bash(packages=[1])\ndef one(r: Output = out("r")):\n    return "x"\n' + FINE + LAB,
    "version_number": '@stage(version=2)\ndef one(r: Output = out("r")): pass\n' + FINE + LAB,
    "version_with_dash": '@stage(version="1-beta")\ndef one(r: Output = out("r")): pass\n' + FINE + LAB,
    "env_number": '@stage(env={"THREADS": 4})\ndef one(r: Output = out("r")): pass\n' + FINE + LAB,
    "env_a_list": '@stage(env=["THREADS=4"])\ndef one(r: Output = out("r")): pass\n' + FINE + LAB,
    "decorates_a_class": "@stage\nclass One: pass\n" + FINE + LAB,
    "decorator_with_a_name": '@stage("one")\ndef one(r: Output = out("r")): pass\n' + FINE + LAB,
    "resources_cpuss": '@stage(resources=Resources(cpuss=2))\ndef one(r: Output = out("r")): pass\n' + FINE + LAB,
    "resources_memory": '@stage(resources=Resources(memory="2G"))\ndef one(r: Output = out("r")): pass\n' + FINE + LAB,
    "resources_lots": '@stage(resources=Resources(mem="lots"))\ndef one(r: Output = out("r")): pass\n' + FINE + LAB,
    "resources_mem_number": '@stage(resources=Resources(mem=4))\ndef one(r: Output = out("r")): pass\n' + FINE + LAB,
    "resources_no_cpus": '@stage(resources=Resources(cpus=0))\ndef one(r: Output = out("r")): pass\n' + FINE + LAB,
    "resources_soon": '@stage(resources=Resources(time="soon"))\ndef one(r: Output = out("r")): pass\n' + FINE + LAB,
    "resources_all_wrong": '@stage(resources=Resources(mem="4 giga", cpus=1.5, time="0s"))\n'
    'def one(r: Output = out("r")): pass\n' + FINE + LAB,
    "resources_a_dict": '@stage(resources={"mem": "4G"})\ndef one(r: Output = out("r")): pass\n' + FINE + LAB,
    "output_absolute": '@stage\ndef one(r: Output = out("/tmp/r")): pass\n' + FINE + LAB,
    "output_leaves_out": '@stage\ndef one(r: Output = out("../r")): pass\n' + FINE + LAB,
    "output_without_path": "@stage\ndef one(r: Output): pass\n" + FINE + LAB,
    "output_a_text": '@stage\ndef one(r: Output = "r.txt"): pass\n' + FINE + LAB,
    "output_not_marked": '@stage\ndef one(r = out("r.txt")): pass\n' + FINE + LAB,
    "outputs_of_one_path": '@stage\ndef one(a: Output = out("r"), b: Output = out("r")): pass\n' + FINE + LAB,
    "output_like_an_input": '@stage\ndef one(data: Input, data: Output = out("r")): pass\n' + FINE + LAB,
    "name_of_a_stage": '@stage(name="my stage")\ndef one(r: Output = out("r")): pass\n' + FINE + LAB,
    "name_of_a_stage_in_unicode": '@stage\ndef größe(r: Output = out("r")): pass\n' + FINE + LAB,
    "name_of_a_run": FINE + 'run = Run("my run", work)\n' + LAB,
    "name_of_a_run_a_path": FINE + 'run = Run("../work", work)\n' + LAB,
    "name_of_a_param_path": '@bash\ndef one(r: Output = out("r"), *, PATH: str = ""):\n    return "x"\n' + FINE + LAB,
    "name_of_a_param_out": '@stage\ndef one(r: Output = out("r"), *, out: str = ""): pass\n' + FINE + LAB,
    "name_of_a_param_in_unicode": '@stage\ndef one(r: Output = out("r"), *, α: float = 1.0): pass\n' + FINE + LAB,
    "name_of_an_axis": FINE + 'run = Run("work", work, params={"my param": [1]})\n' + LAB,
    "name_of_an_axis_a_keyword": FINE + 'run = Run("work", work, params={"lambda": [1]})\n' + LAB,
    "annotation_unknown": '@stage\ndef one(r: Output = out("r"), *, n: integer = 1): pass\n' + FINE + LAB,
    "annotation_a_list": '@stage\ndef one(r: Output = out("r"), *, n: list[int] = 1): pass\n' + FINE + LAB,
    "annotation_literal": "from typing import Literal\n"
    '@stage\ndef one(r: Output = out("r"), *, model: Literal["small", "large"] = "small"): pass\n'
    + FINE
    + 'run = Run("work", one, params={"model": ["small", "larg"]})\n'
    + LAB,
    "stage_calls_a_stage": FINE
    + '@stage\ndef outer(r: Output = out("r")):\n    made = make()\n    r.write_text("x")\nrun = Run("work", outer)\n'
    + LAB,
    "bash_calls_a_stage": FINE
    + '@bash\ndef outer(r: Output = out("r")):\n    make()\n    return \'echo > "$r"\'\nrun = Run("work", outer)\n'
    + LAB,
    "opened_file": FINE
    + 'table = open(__file__)\n@stage\ndef one(r: Output = out("r")):\n    r.write_text(table.read())\n'
    'run = Run("work", one)\n' + LAB,
    "undefined_name": FINE
    + '@stage\ndef one(r: Output = out("r")):\n    r.write_text(json.dumps(1))\nrun = Run("work", one)\n'
    + LAB,
    "rebound_name": FINE
    + 'total = object()\ntotal = object()\n@stage\ndef one(r: Output = out("r")):\n    r.write_text(str(total))\n'
    'run = Run("work", one)\n' + LAB,
    "results_of_make_in_body": FINE
    + 'data = make()\n@stage\ndef one(r: Output = out("r")):\n    r.write_text(str(data))\nrun = Run("work", one)\n'
    + LAB,
    "bash_returns_none": '@bash\ndef one(r: Output = out("r")):\n    "echo hello"\n'
    + FINE
    + 'run = Run("work", one)\n'
    + LAB,
    "bash_returns_nothing": '@bash\ndef one(r: Output = out("r")):\n    return "  "\n'
    + FINE
    + 'run = Run("work", one)\n'
    + LAB,
    "bash_body_fails": '@bash\ndef one(r: Output = out("r")):\n    return open("gone.sh").read()\n'
    + FINE
    + 'run = Run("work", one)\n'
    + LAB,
    "bash_script_file_missing": '@bash(script="gone.sh")\ndef one(r: Output = out("r")): ...\n'
    + FINE
    + 'run = Run("work", one)\n'
    + LAB,
    "bash_compares_a_param": '@bash\ndef one(r: Output = out("r"), *, model: str = "small"):\n'
    '    if model == "large":\n        return "echo large"\n    return "echo small"\n'
    + FINE
    + 'run = Run("work", one)\n'
    + LAB,
    "bash_formats_a_param": '@bash\ndef one(r: Output = out("r"), *, rate: float = 0.1):\n'
    '    return f"echo {rate:.3f} > {r}"\n' + FINE + 'run = Run("work", one)\n' + LAB,
    "bash_loops_over_a_param": '@bash\ndef one(r: Output = out("r"), *, n: int = 3):\n'
    '    return "\\n".join(f"echo {i}" for i in range(n))\n' + FINE + 'run = Run("work", one)\n' + LAB,
    "bash_body_in_python": '@bash\ndef one(r: Output = out("r")):\n    r.write_text("x")\n'
    + FINE
    + 'run = Run("work", one)\n'
    + LAB,
    "params_missing_in_lambda": '@stage(resources=lambda p: Resources(mem="8G" if p.model == "large" else "1G"))\n'
    'def one(r: Output = out("r"), *, mode: str = "large"): pass\n' + FINE + 'run = Run("work", one)\n' + LAB,
    "lambda_fails": "@stage(resources=lambda p: Resources(cpus=8 // p.n))\n"
    'def one(r: Output = out("r"), *, n: int = 0): pass\n' + FINE + 'run = Run("work", one)\n' + LAB,
    "all_findings_at_once": '''
@bash(packages=["awk"])
def first(r: Output = out("r")):
    return """
        files=$(ls)
        for file in $files; do
            [ $file == *.txt ] && qqxzzy "$file" > "$r"
        done
    """

@bash
def second(r: Output = out("r")):
    return """python3 -c "print(1)" > "$r"; /usr/bin/python3 -V >> "$r" """

@stage
def third(r: Output = out("r")):
    import pytest
    r.write_text(pytest.__version__)

@stage(packages=["pytset"])
def fourth(r: Output = out("r")):
    r.write_text("x")

def work():
    first(); second(); third(); fourth()

lab = Lab(runs=[Run("work", work)])
''',
    "scatter_gather_mistake": FINE
    + """
@scatter_gather(scatter=make, gather=use)
def parts(item: WorkItem):
    return make()
run = Run("work", parts)
"""
    + LAB,
    "work_item_by_position": FINE
    + """
@stage
def step(item: WorkItem, one: Output = out("r")): pass
@scatter_gather(scatter=make, gather=use)
def parts(item: WorkItem):
    return step(item)
"""
    + LAB,
    "realizations_none": '@stage(realizations=0)\ndef one(r: Output = out("r")): pass\n' + FINE + LAB,
}
