"""Which external commands a script uses: each construct of Bash, and each program that starts another."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repx.errors import SoftwareError
from repx.process import Completed
from repx.realizer.checks.bash_commands import BUILTINS, KEYWORDS, CommandUse, find_commands

# Script, then the names it uses; one line of a table is one claim.
CONSTRUCTS: list[tuple[str, str]] = [
    ("foo", "foo"),
    ("foo; bar & baz", "foo bar baz"),
    ("foo && bar || baz", "foo bar baz"),
    ("foo | bar |& baz", "foo bar baz"),
    ("foo |\n bar &&\n # why\n baz", "foo bar baz"),
    ("foo \\\n  --long \\\n  bar", "foo"),
    ("\\\nfoo x", "foo"),
    ("(foo; bar)", "foo bar"),
    ("{ foo; bar; } > file", "foo bar"),
    ("! foo", "foo"),
    ("! { foo; }", "foo"),
    ("if foo; then bar; elif baz; then qux; else quux; fi", "foo bar baz qux quux"),
    ("if ! foo\nthen bar\nfi | baz", "foo bar baz"),
    ("while foo; do bar; done", "foo bar"),
    ("until foo; do bar; done < <(baz)", "foo bar baz"),
    ('while read -r line; do foo; done <<< "$(bar)"', "foo bar"),
    ("for x in $(foo) *.txt; do bar; done", "foo bar"),
    ("for ((i = 0; i < $(foo); i++)); do bar; done", "foo bar"),
    ("select x in a b; do foo; done", "foo"),
    ("case $(foo) in a | b) bar ;; (c) baz ;& *) qux ;; esac", "foo bar baz qux"),
    ("case x in a) ;; esac", ""),
    ("x=$(foo)", "foo"),
    ("x=`foo`", "foo"),
    ("x=`foo` y=`bar`; echo `baz` `qux`", "foo bar baz qux"),
    ('echo "`foo \\"a\\"`" `bar \\`baz\\``', "foo bar baz"),
    ('echo ${x:-`foo`} ${x:+"$(bar)"}', "foo bar"),
    ("x=$(<file)", ""),
    ("x=$( (foo) )", "foo"),
    ('x=(a $(foo) [k]="$(bar)") y[$(baz)]=1', "foo bar baz"),
    ('x=1 y="$(foo)" bar', "foo bar"),
    ("IFS=$'\\n' foo", "foo"),
    ("x=1", ""),
    ("export A=$(foo) B", "foo"),
    ("local x; readonly y=`foo`; declare -A z=([a]=$(bar)); typeset w=$(baz)", "foo bar baz"),
    ("(( x = $(foo) + 1 ))", "foo"),
    ("echo $(( $(foo) + 1 )) $[ $(bar) ]", "foo bar"),
    ("echo ${x:$(foo):1} ${x/$(bar)/y} ${x[$(baz)]} ${x%%.*} ${#x[@]}", "foo bar baz"),
    ("[[ -n $(foo) && $x =~ ^a(b|c)$ || ( $y == z* ) ]]", "foo"),
    ('[ -n "$(foo)" ] && bar', "foo bar"),
    ("test -f x && foo", "foo"),
    ("diff <(foo) <(bar) > >(baz)", "diff foo bar baz"),
    ('foo < in > "$(bar)" 2>&1 3<&- 4<> both', "foo bar"),
    ("<in foo", "foo"),
    ("> out", ""),
    ("exec 3> >(foo)", "foo"),
    ("foo <<END\n$(bar) `baz` ${x:-$(qux)} \\`no\\` \\$(no)\nEND\n", "foo bar baz qux"),
    ("foo <<'END' | bar\n$(no) `no`\nEND\n", "foo bar"),
    ('foo <<-END > "$(bar)"\n\ttext\n\tEND\nbaz', "foo bar baz"),
    ("x=$(foo <<END\n$(bar)\nEND\n)\nbaz", "foo bar baz"),
    ("foo <<A 3<<B | bar\n$(baz)\nA\n$(qux)\nB\nquux", "foo bar baz qux quux"),
    ("foo <<END; bar\ntext\nEND\nbaz", "foo bar baz"),
    ('if foo <<END; then\n$(bar) "$(baz "x")"\nEND\n qux; fi', "foo bar baz qux"),
    ("{ foo <<END; bar; } 2>&1 | baz\n(text\nEND\nqux", "foo bar baz qux"),
    ("foo - <<'END' \"$x\" > y\nimport (\nEND\nbar", "foo bar"),
    ("xargs <<END foo\ntext\nEND\n", "xargs foo"),
    ("foo << \\END \\\n | bar\n$(no)\nEND\nbaz", "foo bar baz"),
    ("foo <<END\n$(bar <<IN\n$(baz)\nIN\n)\nEND\nqux", "foo bar baz qux"),
    ("x=$((1 << 2)); foo", "foo"),
    ("x=$dir/$name.txt", ""),
    ("x=$dir/$1 foo && y=:$a:$b:$c $d/$e.sh", "foo"),
    ("> $dir/$name.txt; < $dir/$1 foo > $a/$b.c", "foo"),
    ("timeout $dir/$time foo; nice foo/$bar; xargs -a $dir/$list.txt baz", "timeout foo nice xargs baz"),
    ("for x do foo; done; for y\ndo bar; done", "foo bar"),
    ("exec {fd}<> file; foo 3<>file", "foo"),
    ('x="${a:$i:1}"; y=${a:$i}; z=${b: -1}; foo', "foo"),
    ("x=$((10#$y + 16#ff)); ((z = 8#$(foo))); bar", "foo bar"),
    ("n=$(($1 + 0)) 2> /dev/null\nfoo", "foo"),
    ("f() { foo; }; f; bar", "foo bar"),
    ("f\nfunction f { foo; }", "foo"),
    ("function a-b() ( foo )\na-b | c", "foo c"),
    ("f() { g() { foo; }; g; }; f; g", "foo"),
    ("coproc foo a", "foo"),
    ("coproc { foo; }", "foo"),
    ("coproc NAME { foo; bar; }", "foo bar"),
    ("coproc NAME (foo)", "foo"),
    ("coproc NAME while foo; do bar; done", "foo bar"),
    ("time foo", "foo"),
    ("time -p -- foo | bar", "foo bar"),
    ("time { foo; }", "foo"),
    ("time for x in a; do foo; done", "foo"),
    ("if time foo; then ! time -p bar; fi", "foo bar"),
    ("\\time foo", "time foo"),
    ("TIMEFORMAT=%R time foo", "time foo"),
    ("'foo' x; \"bar\" y; \\baz; f\"o\"'x'; $'q\\x75x' z", "foo bar baz fox qux"),
    ('"fo\\\no" x', "foo"),
    ('$CMD x; "${tool}" y; ${a[0]} z; pre$fix; $(foo) w; *.sh', "foo"),
    ("/usr/bin/foo x; ./bar; dir/baz; ~/qux; /dev/fd/3", "/usr/bin/foo"),
    ("cd x; echo y; printf z; : ; . file; source file; true; unset x; let x=1; %1", ""),
    ("command -v foo; command -V foo; type foo; hash foo; builtin echo x", ""),
    ("echo foo bar # baz\n# $(qux)", ""),
    ("echo 'foo $(bar)' \"\\$(baz)\" \\`qux", ""),
    ("alias x=foo; bar", "bar"),
    ("7z x a; g++ b; foo.py; a:b; @c", "7z g++ foo.py a:b @c"),
    ("shopt -s nullglob; foo {a,$(bar)} {1..3} [0-9]?", "foo bar"),
    ("(foo) & wait", "foo"),
    ("((x++)) || foo; $((1 + 1)) x", "foo"),
    ("shopt -s extglob; rm -- !(a|$(foo)).txt; bar *.@(c|d)", "rm bar"),
    ("[[ $x == @(a|b) && -v y[0] && z -nt $(foo) ]]; bar", "foo bar"),
    ("foo x\r\nbar\r\n", "foo bar"),
    ("x[1]=$(foo); x+=(b); declare -n y=x; bar ${!x} ${x@Q} ${x^^} ${x[@]:1:2}", "foo bar"),
    ("foo &> out &>> log >| x <&3 >&-; bar 2>&1 | baz", "foo bar baz"),
    ("foo() if bar; then baz; fi; foo", "bar baz"),
]

WRAPPERS: list[tuple[str, str]] = [
    ("xargs foo", "xargs foo"),
    ("xargs", "xargs echo"),
    ("xargs -0 -r", "xargs echo"),
    ("xargs -n 1 -I {} foo {}", "xargs foo"),
    ("xargs -0n1 -P\"$n\" -d '\\n' -I% --max-args 2 --delimiter=, -- foo %", "xargs foo"),
    ("xargs -i{} -l foo", "xargs foo"),
    ("xargs $options foo", "xargs"),
    ("xargs echo", "xargs echo"),
    ("xargs -n 1 sh -c 'foo \"$1\" | bar' _", "xargs sh foo bar"),
    ("env", "env"),
    ('env -i -u X A=1 B="$b" "C=$c d" foo', "env foo"),
    ("env --unset=X - A=1 foo", "env foo"),
    ("env -S 'A=1 foo -x' bar", "env foo"),
    ("env --split-string='foo -x'", "env foo"),
    ("env A=1 nice -n 5 timeout 3 foo", "env nice timeout foo"),
    ("timeout -k 5 10 foo", "timeout foo"),
    ('timeout --signal=KILL --kill-after 1 "$limit" foo', "timeout foo"),
    ("timeout $options 5 foo", "timeout"),
    ("timeout 5 printf x", "timeout printf"),
    ("nice foo; nice -5 foo; nice -n 5 bar; nice --adjustment=5 baz", "nice foo bar baz"),
    ("nohup foo &", "nohup foo"),
    ("stdbuf -oL -e 0 foo | setsid -w bar", "stdbuf foo setsid bar"),
    ("command foo; command -p bar; command echo", "foo bar"),
    ('ls() { command ls --color "$@"; }; ls', "ls"),
    ("exec foo; exec -a name bar; exec -c -- baz; exec echo; exec > log", "foo bar baz echo"),
    ("builtin command foo", "foo"),
    ("sudo -u user A=1 foo; sudo --user user -- bar", "sudo foo bar"),
    ("/usr/bin/env foo", "/usr/bin/env foo"),
    ("/usr/bin/time -f '%M' -o log foo; command time -v bar", "/usr/bin/time foo time bar"),
    ("find . -name '*.x' -exec foo {} \\;", "find foo"),
    ("find . -exec foo {} + -o -execdir bar {} ';' -ok sh -c 'baz | qux' _ {} \\;", "find foo bar sh baz qux"),
    ("find . -exec echo + {} \\; -exec test -f {} \\;", "find echo test"),
    ('find . -exec "$tool" {} \\; -exec bar {} +', "find bar"),
    ("sh -c 'foo; bar'", "sh foo bar"),
    ("bash -euo pipefail -c 'foo\nbar' name args", "bash foo bar"),
    ('bash -O extglob -ec "foo \\"$x\\""', "bash foo"),
    ("bash --rcfile file -c foo", "bash foo"),
    ('bash -c "$script"', "bash"),
    ("bash script.sh foo; bash -s foo < x", "bash"),
    ("f() { foo; }; export -f f; xargs -n1 bash -c 'f \"$@\"' _", "foo xargs bash"),
    ("sh -c 'bash -c \"foo | sh -c bar\"'", "sh bash foo bar"),
    ("sh -c 'foo) bar'", "sh"),
    ("trap 'foo -f \"$x\"; bar' EXIT INT", "foo bar"),
    ('trap "foo $x" EXIT', "foo"),
    ("trap clean EXIT; clean() { foo; }", "foo"),
    ("trap - EXIT; trap -p; trap '' INT; trap -- foo EXIT", "foo"),
    ("eval foo -x '| bar'", "foo bar"),
    ('eval "$(foo)"; eval "$line"; eval -- "bar $x"; eval', "foo bar"),
    ("mapfile -t -C 'foo bar' -c 5 lines; readarray -C baz x", "foo baz"),
    ("watch -n 5 -d 'foo | bar'; watch baz x", "watch foo bar baz"),
    ("parallel -j 4 --joblog log foo {} ::: a b", "parallel foo"),
    ("parallel 'foo {} | bar > {.}.out' :::: list; parallel; parallel ::: 'no'", "parallel foo bar"),
    ("flock -w 3 lock foo; flock lock -c 'bar | baz'; flock -n 9", "flock foo bar baz"),
    ("taskset -c 0-3 foo; ionice -c 3 bar; chrt -f 5 baz", "taskset foo ionice bar chrt baz"),
    ("ssh host 'foo | bar'", "ssh"),
    ("watch() { foo; }; watch bar", "foo"),
]


@pytest.fixture(scope="module")
def found() -> dict[str, list[CommandUse]]:
    """Each script of the tables with what is found in it."""
    return find_commands(script for script, _ in CONSTRUCTS + WRAPPERS)


def uses(script: str) -> list[CommandUse]:
    return find_commands([script])[script]


def names(script: str) -> set[str]:
    return {use.name for use in uses(script)}


def test_the_tables_are_long_enough_to_mean_something() -> None:
    assert len(CONSTRUCTS) > 70
    assert len(WRAPPERS) > 50


@pytest.mark.parametrize(("script", "expected"), CONSTRUCTS)
def test_each_construct_shows_its_commands(script: str, expected: str, found: dict[str, list[CommandUse]]) -> None:
    assert all(use.certain for use in found[script])
    assert {use.name for use in found[script]} == set(expected.split())


@pytest.mark.parametrize(("script", "expected"), WRAPPERS)
def test_command_wrappers_show_themselves_and_what_they_start(
    script: str, expected: str, found: dict[str, list[CommandUse]]
) -> None:
    assert {use.name for use in found[script]} == set(expected.split())


def test_lines_are_those_of_the_script() -> None:
    script = "\nfoo |\n  bar\nx=$(cat <<E\n$(baz)\n`qux`\nE\n)\nbash -c 'a\n b'\ntrap '\n c' EXIT\n! { time d; }\ne\n"
    assert [(use.name, use.line) for use in uses(script)] == [
        *(("foo", 2), ("bar", 3), ("cat", 4), ("baz", 5), ("qux", 6)),
        *(("bash", 9), ("a", 9), ("b", 10), ("c", 12), ("d", 13), ("e", 14)),
    ]


def test_a_command_counts_once_per_line() -> None:
    assert uses("foo; foo\nfoo") == [CommandUse("foo", 1), CommandUse("foo", 2)]


@pytest.mark.parametrize(
    "script", ["foo <<END\n$(bar)", "! ! foo | bar", "foo | ! bar", "foo; x=$((bar); (baz) )", "foo; if bar"]
)
def test_in_a_script_that_cannot_be_read_every_word_may_be_a_command_and_none_is_certain(script: str) -> None:
    assert {"foo", "bar"} <= names(script)
    assert not any(use.certain for use in uses(script))


def test_words_of_a_script_that_cannot_be_read_have_their_lines() -> None:
    assert uses("foo /bin/x\n$x | bar -z echo then 'it") == [
        CommandUse("foo", 1, certain=False),
        CommandUse("bin", 1, certain=False),
        CommandUse("x", 1, certain=False),
        CommandUse("x", 2, certain=False),
        CommandUse("bar", 2, certain=False),
        CommandUse("it", 2, certain=False),
    ]


def test_every_builtin_of_this_bash_is_known() -> None:
    said = subprocess.run(["bash", "-c", "compgen -b; compgen -k"], capture_output=True, text=True, check=True).stdout
    assert set(said.split()) - {"time"} <= BUILTINS | KEYWORDS


def test_a_long_chain_is_read_and_one_too_deep_is_guessed() -> None:
    assert uses(" && ".join(["foo"] * 300)) == [CommandUse("foo", 1)]
    assert uses(" && ".join(["foo"] * 5000)) == [CommandUse("foo", 1, certain=False)]
    assert uses("(" * 2000 + "foo" + ")" * 2000) == [CommandUse("foo", 1, certain=False)]


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("größe 🐍; äh foo", {"größe", "äh"}),
        ("echo {🐍,é} x{🐍; foo; bäh", {"foo", "bäh"}),
        ("echo 'é' \"$(foo)🐍$(bar)\" $é ${x:-é$(baz)}", {"foo", "bar", "baz"}),
        ("cat <<é\n$(foo)\né\nbar", {"foo", "bar"}),
        ("é() { foo; }; é", {"foo"}),
    ],
)
def test_characters_beyond_ascii_are_characters_of_words(script: str, found: set[str]) -> None:
    assert names(script) - {"echo", "cat"} == found


@given(st.lists(st.text(), max_size=3))
def test_any_text_is_read(scripts: list[str]) -> None:
    assert find_commands(scripts).keys() == set(scripts)


TOKENS = ["foo", "time", "coproc", "!", "{", "}", "(", ")", "`", "'", '"', "$(", "${x:-", "<<E", "\nE\n", "\n"]
TOKENS += [";", "do", "done", "if", "then", "fi", "case x in", "esac", "<>", "-c", "bash", "eval", "xargs", "\\", "a="]
TOKENS += ["|", "&&", "é"]


@given(st.lists(st.sampled_from(TOKENS), max_size=30), st.booleans())
def test_any_tokens_are_read(tokens: list[str], spaced: bool) -> None:
    uses((" " if spaced else "").join(tokens))


# Each shape runs each of its commands when run, so that Bash itself can say which they are.
SHAPES = [
    "{}",
    "{}; {}",
    "{} || {}",
    "{{ ! {{ {}; }} && {}; }}",  # `! ! x` and `x | ! y` are good Bash that shfmt refuses
    "{} | {}",
    "( {} )",
    "{{ {}; }}",
    "if ! {{ {}; }}; then {}; fi",
    "for i in 1 2; do {}; done",
    "case x in x) {} ;; esac",
    "f() {{ {}; }}; f",
    "time {{ {}; }}",
    'x="$( {} )"',
    'echo "a $( {} ) b"',
    "cat <<END | {}\n$( {} )\nEND\n:",
    "[[ -z $( {} ) ]]",
    "(( $( {} ) + 1 ))",
    "echo ${{unset:-$( {} )}}",
    "x=( $( {} ) )",
    "eval '{}'",
    "trap '{}' USR1; kill -USR1 $BASHPID",
]


@st.composite
def scripts(draw: st.DrawFn, depth: int = 3) -> str:
    shape = draw(st.sampled_from(SHAPES))
    holes = shape.replace("{{", "").replace("}}", "").count("{}")
    parts = []
    for hole in range(holes):
        is_flat = "'" in shape or (shape.startswith("cat") and hole == 0)  # one line, no quotes of its own
        if depth and not is_flat and draw(st.booleans()):
            parts.append(draw(scripts(depth - 1)))
        else:
            parts.append(draw(st.sampled_from(["alpha", "beta", "gamma", "'delta' x", "\\epsilon"])))
    return shape.replace("END", f"END{depth}").format(*parts)


BASH = shutil.which("bash") or "bash"


@given(scripts())
def test_bash_looks_for_the_same_commands(script: str) -> None:
    with_handler = 'command_not_found_handle() { echo "$1" >&9; return 1; }\n' + script
    log, child = os.pipe()
    with os.fdopen(log) as reader:
        try:
            subprocess.run(
                [BASH, "-c", f"exec 9>&{child}\n{with_handler}"],
                env={"PATH": "/nowhere"},
                pass_fds=[child],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
        finally:
            os.close(child)
        looked_for = set(reader.read().split())
    assert all(use.certain for use in uses(script))
    assert looked_for - {"f"} <= names(script)  # f is called undefined where `&&` skips its definition
    assert names(script) <= {"alpha", "beta", "gamma", "delta", "epsilon", "cat"}


def test_the_script_of_the_first_example_is_read() -> None:
    script = """awk -F, 'NR > 1 { s += $2 } END { print s }' "$series" > "$result" """
    assert uses(script) == [CommandUse("awk", 1)]


def test_each_script_is_read_by_itself_however_it_ends() -> None:
    scripts = ["f() { foo; }; f", "f", "bar \\", "'foo", "'bar", "cat <<END\n", "END\n", "foo &&", "bar # x", "baz"]
    alone = {script: uses(script) for script in scripts}
    assert find_commands(scripts) == alone


class Answers:
    """A shfmt that says this and nothing else."""

    def __init__(self, stdout: bytes, stderr: bytes, exit_status: int) -> None:
        self._said = (exit_status, stdout, stderr)

    def __call__(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> Completed:
        return Completed(tuple(argv), *self._said)


@pytest.mark.parametrize(
    ("stdout", "stderr", "exit_status"),
    [
        (b"", b"", 0),
        (b"[]", b"", 0),
        (b'{"Type": "File", "Stmts": [{"Type": "CallExpr", "Args": [{}]}]}', b"", 0),
        (b"", b"unknown flag --to-json\n", 1),
        (b"", b"killed: 9\n", -9),
    ],
)
def test_an_answer_in_no_known_form_is_an_error(stdout: bytes, stderr: bytes, exit_status: int) -> None:
    with pytest.raises(SoftwareError, match="shfmt gives no syntax tree"):
        find_commands(["foo"], Answers(stdout, stderr, exit_status))


def test_without_shfmt_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python3"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.metadata.files", lambda _: None)
    with pytest.raises(SoftwareError, match="no shfmt") as caught:
        find_commands(["foo"])
    assert caught.value.lines()[-1] == "hint: pip install shfmt-py"
