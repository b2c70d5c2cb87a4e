"""Command wrappers, the programs that start another one: how their arguments are read; starts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple

from repx.realizer.checks.bash_words import Word


class Lookup(Enum):
    """Where the shell, or a wrapper, looks for a command's name."""

    SHELL = "functions, then builtins, then PATH"
    NO_FUNCTIONS = "builtins, then PATH"
    PATH = "PATH alone"


class Wrapper(NamedTuple):
    """How to read a wrapper's arguments before the inner command: options first, then `operands` many others.

    `short` are the option letters that take a value, `attached` those whose value can only be attached, `long` the
    long options whose value may be the next word.
    """

    short: str = ""
    attached: str = ""
    long: tuple[str, ...] = ()
    operands: int = 0
    assignments: bool = False
    lookup: Lookup = Lookup.PATH


def after_options(wrapper: Wrapper, words: tuple[Word, ...]) -> tuple[tuple[Word, ...], list[str]]:
    """The words of the inner command, and the wrapper's options as `-x` and `--xyz`."""
    position, given, is_open = 0, [], False
    while position < len(words):
        word = words[position]
        if word.text == "--":
            position += 1
            break
        if word.head.startswith("--"):
            option, equals, _ = word.head.partition("=")
            given.append(option)
            takes_next = not equals and word.text is not None and option[2:] in wrapper.long
        elif word.head[:1] in ("-", "+") and word.head != "+":
            takes_next = _short_options(wrapper, word, given)
        else:
            break
        position += 2 if takes_next else 1
    for _ in range(wrapper.operands):
        is_open = is_open or (position < len(words) and words[position].text is None)
        position += 1
    while wrapper.assignments and position < len(words) and "=" in words[position].head:
        position += 1
    rest = words[position:]
    # `timeout $options 5 cmd`: the expansion may stand for any number of words, so that 5 may be an operand.
    return ((), given) if is_open and rest and rest[0].head[:1].isdigit() else (rest, given)


def _short_options(wrapper: Wrapper, word: Word, given: list[str]) -> bool:
    """Add the letters of a cluster such as `-0n1` to `given`; whether the next word is the value of the last letter."""
    for index, letter in enumerate(word.head[1:], start=1):
        given.append("-" + letter)
        is_last = index == len(word.head) - 1 and word.text is not None
        if letter in wrapper.short:
            return is_last
        if letter in wrapper.attached:
            return False
    return False


# From the manual pages of GNU coreutils 9, findutils 4.9, util-linux 2.39, sudo 1.9 and GNU parallel.
WRAPPERS: Mapping[str, Wrapper] = MappingProxyType(
    {
        "builtin": Wrapper(lookup=Lookup.NO_FUNCTIONS),
        "chroot": Wrapper(operands=1),
        "chrt": Wrapper(short="DPT", operands=1),
        "doas": Wrapper(short="Cu"),
        "exec": Wrapper(short="a"),
        "ionice": Wrapper(short="cnpPu", long=("class", "classdata", "pid", "pgid", "uid")),
        "nice": Wrapper(short="n", long=("adjustment",)),
        "nohup": Wrapper(),
        "setarch": Wrapper(operands=1),
        "setsid": Wrapper(),
        "stdbuf": Wrapper(short="ioe", long=("input", "output", "error")),
        "strace": Wrapper(short="abeEoOpPsSuX"),
        "sudo": Wrapper(
            short="CDghpRrtTUu",
            long=("chdir", "chroot", "close-from", "command-timeout", "group", "host", "prompt", "user"),
            assignments=True,
        ),
        "taskset": Wrapper(operands=1),
        "time": Wrapper(short="fo", long=("format", "output")),
        "timeout": Wrapper(short="ks", long=("kill-after", "signal"), operands=1),
        "valgrind": Wrapper(),
        "xvfb-run": Wrapper(short="efnpsw", long=("auth-file", "error-file", "server-args", "server-num", "wait")),
    }
)
COMMAND = Wrapper(lookup=Lookup.NO_FUNCTIONS)
ENV = Wrapper(short="uCS", long=("unset", "chdir", "split-string"), assignments=True)
FLOCK = Wrapper(short="wE", long=("wait", "timeout", "conflict-exit-code"), operands=1)
XARGS = Wrapper(
    short="adEILnPs",
    attached="eil",
    long=("arg-file", "delimiter", "max-args", "max-procs", "max-chars", "process-slot-var"),
)
WATCH = Wrapper(short="nq", attached="d", long=("interval", "equexit"))
PARALLEL = Wrapper(
    short="aCdEIjLnNPsSU",
    attached="eil",
    long=(
        *("arg-file", "arg-sep", "basefile", "block", "colsep", "compress-program", "delay", "delimiter", "env", "eof"),
        *("halt", "halt-on-error", "jobs", "joblog", "load", "max-args", "max-chars", "max-procs", "max-replace-args"),
        *("memfree", "nice", "procs", "profile", "recend", "recstart", "results", "retries", "return", "rpl"),
        *("seqreplace", "shuf-seed", "sshlogin", "sshloginfile", "tagstring", "tempdir", "termseq", "timeout"),
        *("tmpdir", "workdir", "wd", "transfer-file", "tf", "trc"),
    ),
)
SHELL = Wrapper(short="oO", long=("rcfile", "init-file"))
