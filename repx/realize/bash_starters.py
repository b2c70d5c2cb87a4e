"""Programs that start another one, and how to find it among their arguments; does not know who wrote the words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from types import MappingProxyType

from repx.realize.bash_syntax import Word


class Lookup(Enum):
    """What a command's name may mean where it stands."""

    SHELL = "functions, then builtins, then PATH"
    NO_FUNCTIONS = "builtins, then PATH"
    PATH = "PATH alone"


@dataclass(frozen=True, slots=True)
class InnerCommand:
    """A command started with these words."""

    words: Sequence[Word]
    lookup: Lookup


@dataclass(frozen=True, slots=True)
class InnerProgram:
    """A program on PATH started though no word names it."""

    name: str
    line: int


@dataclass(frozen=True, slots=True)
class InnerScript:
    """Text that a shell reads; its first line stands at `line`."""

    text: str
    line: int


Inner = InnerCommand | InnerProgram | InnerScript


def started_by(words: Sequence[Word]) -> Iterator[Inner]:
    """What the command with these words (its name first) starts in its turn."""
    name = (words[0].text or "").rpartition("/")[2]
    finder = _FINDERS.get(name)
    if finder is not None:
        yield from finder(words[0], words[1:])
    elif name in _STARTERS:
        inner, _ = _after_options(_STARTERS[name], words[1:])
        if inner:
            yield InnerCommand(inner, _STARTERS[name].lookup)


@dataclass(frozen=True, slots=True)
class _Starter:
    """How the arguments before the started command are read: options first, then `operands`, then the command.

    `short` are the option letters that take a value, `attached` those whose value can only be attached, `long` the
    long options whose value may be the next word.
    """

    short: str = ""
    attached: str = ""
    long: tuple[str, ...] = ()
    operands: int = 0
    assignments: bool = False
    lookup: Lookup = Lookup.PATH


# From the manual pages of GNU coreutils 9, findutils 4.9, util-linux 2.39, sudo 1.9 and GNU parallel.
_STARTERS: Mapping[str, _Starter] = MappingProxyType(
    {
        "builtin": _Starter(lookup=Lookup.NO_FUNCTIONS),
        "chroot": _Starter(operands=1),
        "chrt": _Starter(short="DPT", operands=1),
        "doas": _Starter(short="Cu"),
        "exec": _Starter(short="a"),
        "ionice": _Starter(short="cnpPu", long=("class", "classdata", "pid", "pgid", "uid")),
        "nice": _Starter(short="n", long=("adjustment",)),
        "nohup": _Starter(),
        "setarch": _Starter(operands=1),
        "setsid": _Starter(),
        "stdbuf": _Starter(short="ioe", long=("input", "output", "error")),
        "strace": _Starter(short="abeEoOpPsSuX"),
        "sudo": _Starter(
            short="CDghpRrtTUu",
            long=("chdir", "chroot", "close-from", "command-timeout", "group", "host", "prompt", "user"),
            assignments=True,
        ),
        "taskset": _Starter(operands=1),
        "time": _Starter(short="fo", long=("format", "output")),
        "timeout": _Starter(short="ks", long=("kill-after", "signal"), operands=1),
        "valgrind": _Starter(),
        "xvfb-run": _Starter(short="efnpsw", long=("auth-file", "error-file", "server-args", "server-num", "wait")),
    }
)
_COMMAND = _Starter(lookup=Lookup.NO_FUNCTIONS)
_ENV = _Starter(short="uCS", long=("unset", "chdir", "split-string"), assignments=True)
_FLOCK = _Starter(short="wE", long=("wait", "timeout", "conflict-exit-code"), operands=1)
_XARGS = _Starter(
    short="adEILnPs",
    attached="eil",
    long=("arg-file", "delimiter", "max-args", "max-procs", "max-chars", "process-slot-var"),
)
_WATCH = _Starter(short="nq", attached="d", long=("interval", "equexit"))
_PARALLEL = _Starter(
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
_SHELL = _Starter(short="oO", long=("rcfile", "init-file"))


def _after_options(starter: _Starter, words: Sequence[Word]) -> tuple[Sequence[Word], list[str]]:
    """The words of the started command, and the options that were given, as `-x` and `--xyz`."""
    position, given, is_open = 0, [], False
    while position < len(words):
        word = words[position]
        if word.text == "--":
            position += 1
            break
        if word.head.startswith("--"):
            option, equals, _ = word.head.partition("=")
            given.append(option)
            takes_next = not equals and word.text is not None and option[2:] in starter.long
        elif word.head[:1] in ("-", "+") and word.head != "+":
            takes_next = _short_options(starter, word, given)
        else:
            break
        position += 2 if takes_next else 1
    for _ in range(starter.operands):
        is_open = is_open or (position < len(words) and words[position].text is None)
        position += 1
    while starter.assignments and position < len(words) and "=" in words[position].head:
        position += 1
    rest = words[position:]
    # `timeout $options 5 cmd`: the expansion may stand for any number of words, so that 5 is no command.
    return ([], given) if is_open and rest and rest[0].head[:1].isdigit() else (rest, given)


def _short_options(starter: _Starter, word: Word, given: list[str]) -> bool:
    """Note the letters of a cluster such as `-0n1`; whether the next word is the value of the last one."""
    for index, letter in enumerate(word.head[1:], start=1):
        given.append("-" + letter)
        is_last = index == len(word.head) - 1 and word.text is not None
        if letter in starter.short:
            return is_last
        if letter in starter.attached:
            return False
    return False


def _command(name: Word, words: Sequence[Word]) -> Iterator[Inner]:
    """`command -v x` only asks whether there is an x."""
    inner, given = _after_options(_COMMAND, words)
    if inner and "-v" not in given and "-V" not in given:
        yield InnerCommand(inner, Lookup.NO_FUNCTIONS)


def _env(name: Word, words: Sequence[Word]) -> Iterator[Inner]:
    inner, given = _after_options(_ENV, words)
    if "-S" in given or "--split-string" in given:
        text = next((w for w in words if w.text is not None and " " in w.text), None)
        if text is not None and text.text is not None:
            split = text.text.removeprefix("-S").removeprefix("--split-string=")
            parts = [Word(part, part, part, text.line, 0, 0) for part in split.split()]
            yield from _env(name, parts)
    elif inner:
        yield InnerCommand(inner, Lookup.PATH)


def _xargs(name: Word, words: Sequence[Word]) -> Iterator[Inner]:
    """Without a command xargs runs `echo`, the program."""
    inner, _ = _after_options(_XARGS, words)
    yield InnerCommand(inner, Lookup.PATH) if inner else InnerProgram("echo", name.line)


def _find(name: Word, words: Sequence[Word]) -> Iterator[Inner]:
    position = 0
    while position < len(words):
        if words[position].text in ("-exec", "-execdir", "-ok", "-okdir"):
            end = start = position + 1
            while end < len(words) and not (
                words[end].text == ";" or (words[end].text == "+" and words[end - 1].text == "{}")
            ):
                end += 1
            if end > start:
                yield InnerCommand(words[start:end], Lookup.PATH)
            position = end
        position += 1


def _shell(name: Word, words: Sequence[Word]) -> Iterator[Inner]:
    inner, given = _after_options(_SHELL, words)
    if inner and "-c" in given:
        yield InnerScript(inner[0].source, inner[0].line)


def _eval(name: Word, words: Sequence[Word]) -> Iterator[Inner]:
    inner = words[1:] if words and words[0].text == "--" else words
    if inner:
        yield InnerScript(" ".join(word.source for word in inner), inner[0].line)


def _trap(name: Word, words: Sequence[Word]) -> Iterator[Inner]:
    inner = words[1:] if words and words[0].text == "--" else words
    if len(inner) > 1 and not inner[0].head.startswith("-"):
        yield InnerScript(inner[0].source, inner[0].line)


def _mapfile(name: Word, words: Sequence[Word]) -> Iterator[Inner]:
    for option, value in pairwise(words):
        if option.text == "-C":
            yield InnerScript(value.source, value.line)


def _watch(name: Word, words: Sequence[Word]) -> Iterator[Inner]:
    inner, _ = _after_options(_WATCH, words)
    yield from _eval(name, inner)


def _parallel(name: Word, words: Sequence[Word]) -> Iterator[Inner]:
    """The words up to `:::` are text for a shell; without any, the lines of its input are, which nobody knows here."""
    inner, _ = _after_options(_PARALLEL, words)
    end = next((i for i, word in enumerate(inner) if word.head.startswith(":::")), len(inner))
    yield from _eval(name, inner[:end])


def _flock(name: Word, words: Sequence[Word]) -> Iterator[Inner]:
    inner, _ = _after_options(_FLOCK, words)
    if inner and inner[0].text in ("-c", "--command"):
        yield from _eval(name, inner[1:2])
    elif inner:
        yield InnerCommand(inner, Lookup.PATH)


_FINDERS: Mapping[str, Callable[[Word, Sequence[Word]], Iterator[Inner]]] = MappingProxyType(
    {
        **dict.fromkeys(("sh", "bash", "dash", "ksh", "zsh"), _shell),
        **dict.fromkeys(("mapfile", "readarray"), _mapfile),
        "command": _command,
        "env": _env,
        "eval": _eval,
        "find": _find,
        "flock": _flock,
        "parallel": _parallel,
        "trap": _trap,
        "watch": _watch,
        "xargs": _xargs,
    }
)
