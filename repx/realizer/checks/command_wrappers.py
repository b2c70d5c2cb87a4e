"""What a command wrapper starts in its turn: `env`, `xargs`, `sh -c`, `find -exec`, …; knows words, not scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple

from repx.realizer.checks.bash_words import Word
from repx.realizer.checks.wrapper_options import (
    COMMAND,
    ENV,
    FLOCK,
    PARALLEL,
    SHELL,
    WATCH,
    WRAPPERS,
    XARGS,
    Lookup,
    after_options,
)


class InnerCommand(NamedTuple):
    """A command started with these words."""

    words: tuple[Word, ...]
    lookup: Lookup


class InnerProgram(NamedTuple):
    """A program on PATH that the wrapper starts though no word names it."""

    name: str


class InnerScript(NamedTuple):
    """Text that a shell reads; its first line stands at `line`."""

    text: str
    line: int


Inner = InnerCommand | InnerProgram | InnerScript


def started_by(words: tuple[Word, ...]) -> Iterator[Inner]:
    """What the command with these words (its name first) starts, if it is a command wrapper."""
    name = (words[0].text or "").rpartition("/")[2]
    finder = _FINDERS.get(name)
    if finder is not None:
        yield from finder(words[1:])
    elif name in WRAPPERS:
        inner, _ = after_options(WRAPPERS[name], words[1:])
        if inner:
            yield InnerCommand(inner, WRAPPERS[name].lookup)


def _command(words: tuple[Word, ...]) -> Iterator[Inner]:
    """`command -v x` only asks whether there is an x."""
    inner, given = after_options(COMMAND, words)
    if inner and "-v" not in given and "-V" not in given:
        yield InnerCommand(inner, Lookup.NO_FUNCTIONS)


def _env(words: tuple[Word, ...]) -> Iterator[Inner]:
    inner, given = after_options(ENV, words)
    if "-S" in given or "--split-string" in given:
        text = next((w for w in words if w.text is not None and " " in w.text), None)
        if text is not None and text.text is not None:
            split = text.text.removeprefix("-S").removeprefix("--split-string=")
            parts = tuple(Word(part, part, part, text.line) for part in split.split())
            yield from _env(parts)
    elif inner:
        yield InnerCommand(inner, Lookup.PATH)


def _xargs(words: tuple[Word, ...]) -> Iterator[Inner]:
    """Without a command xargs runs `echo`, the program."""
    inner, _ = after_options(XARGS, words)
    yield InnerCommand(inner, Lookup.PATH) if inner else InnerProgram("echo")


def _find(words: tuple[Word, ...]) -> Iterator[Inner]:
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


def _shell(words: tuple[Word, ...]) -> Iterator[Inner]:
    inner, given = after_options(SHELL, words)
    if inner and "-c" in given:
        yield InnerScript(inner[0].source, inner[0].line)


def _eval(words: tuple[Word, ...]) -> Iterator[Inner]:
    inner = words[1:] if words and words[0].text == "--" else words
    if inner:
        yield InnerScript(" ".join(word.source for word in inner), inner[0].line)


def _trap(words: tuple[Word, ...]) -> Iterator[Inner]:
    inner = words[1:] if words and words[0].text == "--" else words
    if len(inner) > 1 and not inner[0].head.startswith("-"):
        yield InnerScript(inner[0].source, inner[0].line)


def _mapfile(words: tuple[Word, ...]) -> Iterator[Inner]:
    for option, value in pairwise(words):
        if option.text == "-C":
            yield InnerScript(value.source, value.line)


def _watch(words: tuple[Word, ...]) -> Iterator[Inner]:
    inner, _ = after_options(WATCH, words)
    yield from _eval(inner)


def _parallel(words: tuple[Word, ...]) -> Iterator[Inner]:
    """The words up to `:::` are text for a shell; without any words, parallel reads commands from its input."""
    inner, _ = after_options(PARALLEL, words)
    end = next((i for i, word in enumerate(inner) if word.head.startswith(":::")), len(inner))
    yield from _eval(inner[:end])


def _flock(words: tuple[Word, ...]) -> Iterator[Inner]:
    inner, _ = after_options(FLOCK, words)
    if inner and inner[0].text in ("-c", "--command"):
        yield from _eval(inner[1:2])
    elif inner:
        yield InnerCommand(inner, Lookup.PATH)


_FINDERS: Mapping[str, Callable[[tuple[Word, ...]], Iterator[Inner]]] = MappingProxyType(
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
