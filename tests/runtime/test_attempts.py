"""What is kept of every attempt: how it ended, what it used, what it printed; and what counts as a failure."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from repx.agent.base.record import LogFile, decode_attempts
from tests.runtime.world import World, a_world

__all__ = ["a_world"]

MIB = 1 << 20


def stages(body: str, decorator: str = "@bash", signature: str = 'result: Output = out("r.txt")') -> str:
    """An experiment of one stage."""
    return f'{decorator}\ndef work({signature}):\n    return {body!r}\n\nlab = Lab(runs=[Run("run", work)])\n'


def test_the_record_of_a_success(world: World) -> None:
    before = time.time()
    world.realize(stages('echo to stdout; echo to stderr >&2; echo result > "$result"'))
    assert world.run().status == 0
    outcome = world.outcome("work")
    assert outcome.state == "succeeded"
    assert outcome.outputs["result"].path == "r.txt"
    assert outcome.outputs["result"].size == len("result\n")
    (attempt,) = world.attempts("work")
    assert before - 1 < attempt.start <= attempt.end < time.time() + 1
    assert attempt.host == socket.gethostname()
    assert (attempt.exit, attempt.signal, attempt.cause) == (0, None, "")
    assert attempt.stdout == "to stdout\n"
    assert attempt.stderr == "to stderr\n"
    assert attempt.trace.splitlines() == ["+ echo to stdout", "+ echo to stderr", "+ echo result"]
    # A trivial job is charged with itself alone, not with whoever started it.
    assert MIB / 2 < attempt.max_rss < 25 * MIB
    assert 0 <= attempt.cpu < 1
    (directory,) = world.job_directories("work")
    assert (directory / "out" / "r.txt").stat().st_mode & 0o222 == 0


def test_peak_memory_and_cpu_time(world: World) -> None:
    world.realize(
        """
@stage(packages=["python3"])
def work(result: Output = out("r.txt")):
    import time
    block = bytearray(200 << 20)
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass
    result.write_text(str(len(block)))

lab = Lab(runs=[Run("run", work)])
"""
    )
    assert world.run().status == 0
    (attempt,) = world.attempts("work")
    assert 200 * MIB <= attempt.max_rss <= 260 * MIB
    assert 0.3 <= attempt.cpu < 3


def test_attempts_accumulate(world: World) -> None:
    world.realize(
        stages('echo again >> DIARY; echo "number $(wc -l < DIARY)"; [ "$(wc -l < DIARY)" -ge 3 ]; echo > "$result"')
    )
    for number in (1, 2):
        done = world.run()
        assert done.status == 1
        assert done.answer["failures"][0]["cause"] == "exit status 1"
        attempts = world.attempts("work", "failure.jsonl")
        assert [attempt.stdout for attempt in attempts] == [f"number {n}\n" for n in range(1, number + 1)]
        assert attempts[-1].exit == 1
    assert world.run().status == 0
    assert [attempt.cause for attempt in world.attempts("work")] == ["exit", "exit", ""]
    (directory,) = world.job_directories("work")
    assert {path.name for path in directory.iterdir()} == {"out", "record.jsonl"}


def test_large_logs_are_files_of_their_own(world: World) -> None:
    lines = 'for n in $(seq 3000); do echo "line $n of $1"; done'
    world.realize(stages(f'set +x; say() {{ {lines}; }}; say one; say two >&2; [ -s DIARY ]; echo > "$result"'))
    assert world.run().status == 1
    world.diary.write_text("now\n")
    assert world.run().status == 0
    (directory,) = world.job_directories("work")
    first, second = world.attempts("work")
    for attempt, number in ((first, 1), (second, 2)):
        assert attempt.stdout == LogFile(f"stdout-{number}.log")
        assert (directory / f"stdout-{number}.log").read_text().splitlines()[2999] == "line 3000 of one"
        assert isinstance(attempt.stderr, LogFile)
        assert "line 3000 of two" in (directory / attempt.stderr.name).read_text()


def test_logs_of_concurrent_jobs_never_mix(world: World) -> None:
    world.realize(
        """
@bash
def talk(result: Output = out("r.txt"), *, n: int = 0):
    return '''set +x
for _ in $(seq 200); do echo "this is $n"; echo "that is $n" >&2; done
echo > "$result" '''

lab = Lab(runs=[Run("run", talk, params={"n": list(range(24))})])
"""
    )
    assert world.run("-j", "4").status == 0
    said = set()
    for directory in world.job_directories():
        (attempt,) = decode_attempts((directory / "record.jsonl").read_bytes())
        (line,) = set(str(attempt.stdout).splitlines())
        assert str(attempt.stdout).count("\n") == 200
        assert {text for text in str(attempt.stderr).splitlines() if "that is" in text} == {
            line.replace("this", "that")
        }
        said.add(line)
    assert len(said) == 24


@pytest.mark.parametrize(
    ("body", "cause", "recorded"),
    [
        ("exit 3", "exit status 3", "exit"),
        ("kill -SEGV $$", "killed by signal 11", "signal"),
        ("true", "the script ended well but did not make: result ($out/r.txt)", "output"),
        ('ln -s /etc/hostname "$result"', "result: $out/r.txt: the link to /etc/hostname leaves the tree", "output"),
        ('echo > "$result"; mkdir d; ln -s .. d/u; ln -s d/u/../x y', "the link to d/u/../x leaves the tree", "output"),
        ('mkfifo "$result"', "output result: $out/r.txt: a socket, pipe or device cannot be kept", "output"),
        ('echo > "$result"; mkfifo more', "$out/more: a socket, pipe or device cannot be kept", "output"),
        ('cd ..; rm -r "$out"', "the script has removed $out, or put something else in its place", "output"),
        ('cd ..; rm -r "$out"; ln -s /etc "$out"', "the script has removed $out, or put something else", "output"),
    ],
)  # fmt: skip
def test_what_counts_as_a_failure(world: World, body: str, cause: str, recorded: str) -> None:
    world.realize(stages(body))
    done = world.run()
    assert done.status == 1
    assert cause in done.answer["failures"][0]["cause"]
    (attempt,) = world.attempts("work", "failure.jsonl")
    assert attempt.cause == recorded
    assert list((world.store / "tmp").iterdir()) == []
    (directory,) = world.job_directories("work")
    assert not (directory / "out").exists()


def test_a_failure_is_shown_with_the_end_of_its_log(world: World) -> None:
    world.realize(stages("echo the reason >&2; exit 9"))
    done = world.repx("run")
    assert done.status == 1
    assert "exit status 9" in done.stderr
    assert "| the reason" in done.stderr


def test_a_failure_is_shown_with_the_end_of_a_long_log_too(world: World) -> None:
    world.realize(stages("set +x; seq 5000 >&2; exit 9"))
    done = world.repx("run")
    assert done.status == 1
    assert "| 5000\n" in done.stderr
    assert "| 1\n" not in done.stderr


def test_the_time_limit_is_kept(world: World) -> None:
    world.realize(stages("sleep 100 & wait", '@bash(resources=Resources(time="1s"))'))
    done = world.run()
    assert done.status == 1
    assert done.answer["failures"][0]["cause"] == "stopped after its time limit of 1 s"
    (attempt,) = world.attempts("work", "failure.jsonl")
    assert attempt.cause == "timeout"
    assert 1 <= attempt.end - attempt.start < 4
    assert world.processes() == {}


@pytest.mark.parametrize(
    "harm",
    [
        'rm -rf "$TMPDIR"',
        'chmod 000 "$HOME"',
        'rm -r "$TMPDIR"; ln -s / "$TMPDIR"',
        'rm -r "$HOME"; echo > "$HOME"',
        'mkdir -p "$TMPDIR/a/b"; chmod 000 "$TMPDIR/a"',
        'mkdir "$HOME/here"; chmod 500 "$HOME"',
    ],
)
def test_what_a_job_does_to_its_tmpdir_and_its_home_harms_no_other(world: World, harm: str) -> None:
    world.realize(
        f"""
@bash
def one(result: Output = out("r.txt"), *, n: int = 0):
    return '''
[ -z "$(ls -A "$TMPDIR")$(ls -A "$HOME")" ]; [ ! -L "$TMPDIR" ]; stat -L -c %a "$TMPDIR" "$HOME" > "$result"
{harm}'''

lab = Lab(runs=[Run("run", one, params={{"n": [1, 2, 3]}})])
"""
    )
    done = world.run("-j", "1")
    assert done.status == 0, done.stderr
    texts = [text for place, text in world.outputs().items() if place.endswith("out/r.txt")]
    assert texts == ["700\n700\n"] * 3


@pytest.mark.parametrize("harm", ["echo 100 > {}", "printf 7 | dd of={} conv=notrunc", "truncate -s 0 {}"])
@pytest.mark.parametrize("is_tree", [False, True])
def test_a_job_that_writes_to_its_input_fails_and_what_it_spoiled_is_made_again(
    world: World, harm: str, is_tree: bool
) -> None:
    place = '"$made/f"' if is_tree else '"$made"'
    world.realize(
        f"""
@bash
def make(made: Output = out("made")):
    return '''{'mkdir "$made"; ' if is_tree else ""}echo 10 > {place}'''

@bash
def spoil(made: Input, result: Output = out("r.txt")):
    return '''if [ ! -e {world.root}/good ]; then chmod u+w {place}; {harm.format(place)}; fi; cp {place} "$result"'''

@bash
def read(made: Input, result: Output = out("r.txt")):
    return '''cp {place} "$result"'''

def work():
    made = make()
    spoil(made=made.made)
    read(made=made.made)

lab = Lab(runs=[Run("run", work)])
"""
    )
    first = world.run("-j", "1", "--continue-on-failure")
    assert first.status == 1
    assert "it has written to its input made" in first.stderr
    (world.root / "good").touch()
    again = world.run()
    assert again.status == 0, again.stderr
    assert world.output("spoil", "r.txt") == "10\n"
    assert world.output("make", "made/f" if is_tree else "made") == "10\n"


def test_the_path_of_a_socket_in_tmpdir_is_short_wherever_the_store_is(world: World) -> None:
    world.store = world.store / ("d" * 80)
    world.realize(
        """
@stage
def one(result: Output = out("r.txt")):
    import os, pathlib, socket

    place = os.environ["TMPDIR"] + "/pymp-12345678/listener-12345678"
    os.mkdir(os.path.dirname(place))
    socket.socket(socket.AF_UNIX).bind(place)
    result.write_text(str(len(place)))

lab = Lab(runs=[Run("run", one)])
"""
    )
    done = world.run()
    assert done.status == 0, done.stderr
    assert int(world.output("one", "r.txt")) < 80
    links = [place for place in Path("/tmp").glob("repx-*") if place.is_symlink()]
    assert not any(str(link.readlink()).startswith(str(world.store)) for link in links if link.is_symlink())


def test_a_job_that_spoils_its_slot_spoils_no_other(world: World) -> None:
    world.realize(
        """
@bash
def make(result: Output = out("r.txt")):
    return 'echo made > "$result"'

@bash
def spoil(series: Input, result: Output = out("r.txt"), *, n: int = 0):
    return '''ls -A "$(dirname "$series")" "$TMPDIR" "$HOME" > "$result"
[ "$(cat "$series")" = made ]
rm "$series"; mkdir "$series"; touch "$series/in" "$(dirname "$series")/beside" "$TMPDIR/t" "$HOME/h" '''

def work():
    series = make()
    for n in range(3):
        spoil(series=series.result, n=n)

lab = Lab(runs=[Run("run", work)])
"""
    )
    done = world.run("-j", "1")
    assert done.status == 0, done.stderr
    listings = {(path / "out" / "r.txt").read_text() for path in world.job_directories("spoil")}
    assert len(listings) == 1
    assert not any(word in next(iter(listings)) for word in ("beside", "\nt\n", "\nh\n"))


def test_the_environment_is_the_same_everywhere(world: World) -> None:
    world.realize(stages('env | cut -d= -f1 | sort | tr "\\n" " " > "$result"', '@bash(env={"MINE": "1"})'))
    os.environ["THEIRS"] = "1"
    try:
        assert world.run().status == 0
    finally:
        del os.environ["THEIRS"]
    names = set(world.output("work", "r.txt").split()) - {"_", "SHLVL", "PWD", "OLDPWD"}
    assert names == {
        "PATH", "HOME", "TMPDIR", "USER", "LANG", "TZ", "PYTHONHASHSEED", "PYTHONDONTWRITEBYTECODE", "OMP_NUM_THREADS",
        "MINE",
    }  # fmt: skip


def test_a_job_ignores_no_signal_whatever_whoever_started_the_run_ignores(world: World) -> None:
    world.realize(
        """
@bash
def look(result: Output = out("r.txt")):
    return 'grep SigIgn /proc/self/status > "$result"'

lab = Lab(runs=[Run("look", look)])
"""
    )
    numbers = (signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGUSR1)
    before = [(number, signal.signal(number, signal.SIG_IGN)) for number in numbers]
    try:
        done = world.run()
    finally:
        for number, handler in before:
            signal.signal(number, handler)
    assert done.status == 0, done.stderr
    ignored = int(world.output("look", "r.txt").split()[1], 16)
    # Signals 32 and 33 are the C library's own.
    assert ignored & 0x7FFFFFFF == 0
