"""What tells two fingerprints apart, line by line, as typed differences; pure: reads no store and no Lab."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

from repx.agent.base.fingerprint import Line


class Kind(StrEnum):
    """What of a job differs."""

    PARAM = "param"
    INPUT = "input"
    UPSTREAM = "upstream"
    """It takes the same of the same job, and that job has changed."""
    SCRIPT = "script"
    SOFTWARE = "software"
    ENV = "env"
    INTERFACE = "interface"
    """Outputs, and what kinds of inputs the stage takes."""
    OTHER = "other"


class Difference(NamedTuple):
    """One line that differs. `before` and `after` are its texts, None where there is no such line.

    `name` says which param, input, package or variable; `part` which part of a scatter-gather, empty for the whole.
    """

    kind: Kind
    name: str
    before: str | None
    after: str | None
    part: str = ""


_KINDS = {
    "param": Kind.PARAM,
    "input": Kind.INPUT,
    "software": Kind.SOFTWARE,
    "env": Kind.ENV,
    "output": Kind.INTERFACE,
    "takes": Kind.INTERFACE,
}
"""By what stands before the first point of a label."""


def compare(before: Iterable[Line], after: Iterable[Line]) -> tuple[Difference, ...]:
    """The lines in which two fingerprints of the same level differ, in the order of `after`, then what is gone."""
    return tuple(_compare(by_label(before), by_label(after)))


def by_label(lines: Iterable[Line]) -> dict[str, str]:
    """Lines by their label; those of an input that takes a list are one text of several lines."""
    found: dict[str, str] = {}
    for label, text in lines:
        found[label] = f"{found[label]}\n{text}" if label in found else text
    return found


def difference(label: str, before: str | None, after: str | None) -> Difference:
    """What it means that the line with this label is another one."""
    part, rest = _part(label)
    first, point, name = rest.partition(".")
    kind = _KINDS.get(first) if point else None
    if kind is None:
        return Difference(Kind.SCRIPT if rest == "script" else Kind.OTHER, rest, before, after, part)
    return Difference(kind, rest if kind is Kind.INTERFACE else name, before, after, part)


def _compare(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Difference]:
    for label, text in after.items():
        if before.get(label) != text:
            yield difference(label, before.get(label), text)
    for label, text in before.items():
        if label not in after:
            yield difference(label, text, None)


def _part(label: str) -> tuple[str, str]:
    """The part of a scatter-gather that a label is of, and the label in that part."""
    for part in ("scatter", "gather"):
        if label.startswith(part + ":"):
            return part, label[len(part) + 1 :]
    if label.startswith("step:") and label.count(":") > 1:
        _, name, rest = label.split(":", 2)
        return f"step {name}", rest
    return "", label
