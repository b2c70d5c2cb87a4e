"""Turns changes between jobs into lines that people read, and into JSON; reads no Lab and no store."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from repx.agent.base.value import parse_stored
from repx.analysis.changes import Change, Pair
from repx.analysis.differences import Difference, Kind
from repx.analysis.script_changes import Changed
from repx.analysis.why import ScriptChange
from repx.errors import plural

VALUES = 3
"""Pairs of values that a change names."""

DIFF_LINES = 40
"""Lines of a script's differences that are shown, unless all are asked for."""

_STORE_NAME = re.compile(r"[0-9a-z]{32}-")
_LONG = 60


def change_line(change: Change, script: ScriptChange | None) -> str:
    """`1,240 jobs of train: lr 0.1 → 0.2`."""
    told = "; ".join(_causes(change, script)) or "another id, for the same lines"
    return f"{change.count:,} {plural('job', change.count)} of {change.stage}: {told}"


def change_json(change: Change, script: ScriptChange | None) -> dict[str, Any]:
    """A change as a program reads it."""
    values = [
        {"kind": str(kind), "name": name, "values": [[*pair, count] for pair, count in pairs.most_common()]}
        for (kind, name), pairs in change.own.items()
    ]
    return {
        "stage": change.stage,
        "jobs": change.count,
        "text": "; ".join(_causes(change, script)),
        "is_new": not change.before,
        "is_added": change.is_added,
        "stage_differences": [one._asdict() | {"kind": str(one.kind)} for one in change.of_stage],
        "job_differences": values,
        "definitions": [] if script is None else [one._asdict() for one in script.definitions],
        "diff": None if script is None or not script.is_known else list(script.diff),
        "example": change.example,
        "counterpart": change.counterpart or None,
    }


def diff_lines(scripts: Mapping[tuple[str, str], ScriptChange], *, whole: bool) -> Iterator[str]:
    """The differences of scripts, each told once."""
    for script in scripts.values():
        if not script.is_known:
            continue
        lines = script.diff if whole else script.diff[:DIFF_LINES]
        yield from ["", *lines]
        if len(lines) < len(script.diff):
            yield f"… {len(script.diff) - len(lines)} more lines: --diff"


def _causes(change: Change, script: ScriptChange | None) -> Iterator[str]:
    if not change.before:
        yield "new: there is no earlier job of this stage"
        return
    for one in change.of_stage:
        if one.kind is not Kind.SCRIPT:
            yield _difference(one)
    if script is not None:
        yield _script(script)
    for (kind, name), pairs in change.own.items():
        yield _added(kind, name, pairs) if change.is_added else _own(kind, name, pairs)


def _script(script: ScriptChange) -> str:
    if not script.is_known:
        return "its script changed (no Lab in this store has the earlier one)"
    if not script.definitions:
        return "its script changed"
    return ", ".join(map(_definition, script.definitions[:VALUES])) + (
        f" and {len(script.definitions) - VALUES} more" if len(script.definitions) > VALUES else ""
    )


def _definition(one: Changed) -> str:
    return f"`{one.name}`{f' in {one.place}' if one.place else ''} {one.how}"


def _own(kind: Kind, name: str, pairs: Counter[Pair]) -> str:
    if kind is Kind.UPSTREAM:
        (_, stage), _ = pairs.most_common(1)[0]
        return f"after {stage}, which changed"
    told = [_pair(kind, before, after) for (before, after), _ in sorted(pairs.items(), key=_order)[:VALUES]]
    more = f" and {len(pairs) - VALUES} more" if len(pairs) > VALUES else ""
    return f"`{name}` {', '.join(dict.fromkeys(told))}{more}"


def _added(kind: Kind, name: str, pairs: Counter[Pair]) -> str:
    """What distinguishes jobs from others that are there still: nothing changed, there is more."""
    if kind is Kind.UPSTREAM:
        (_, stage), _ = pairs.most_common(1)[0]
        return f"after {stage}, which is new"
    values = sorted({_text(kind, after) for _, after in pairs}, key=lambda text: (len(text), text))
    more = f" and {len(values) - VALUES} more" if len(values) > VALUES else ""
    return f"`{name}` {', '.join(values[:VALUES])}{more} is new"


def _order(one: tuple[Pair, int]) -> tuple[int, str, str]:
    (before, after), count = one
    return -count, before or "", after or ""


def _difference(one: Difference) -> str:
    of = f" of its {one.part}" if one.part else ""
    if one.kind is Kind.SOFTWARE:
        return f"{_software(one)}{of}"
    if one.kind is Kind.ENV:
        return f"variable {one.name} {_pair(one.kind, one.before, one.after)}{of}"
    name = {"stage.version": "version", "hash-mode": "hash mode"}.get(one.name, one.name)
    return f"`{name}` {_pair(one.kind, one.before, one.after)}{of}"


def _software(one: Difference) -> str:
    kind, _, name = one.name.partition(".")
    before, after = (_version(name, text) for text in (one.before, one.after))
    if before is not None and before == after:
        return f"another build of {name or kind} {after}".rstrip()
    if kind == "command" or one.name == "python.sha256":
        how = "another program" if one.before and one.after else "added" if one.after else "gone"
        return f"{'interpreter' if kind == 'python' else f'command {name}'}: {how}"
    return f"{name or kind} {_pair(one.kind, before, after)}"


def _version(name: str, text: str | None) -> str | None:
    """What of the paths of a package says which one it is."""
    if text is None:
        return None
    names = [_STORE_NAME.sub("", one) for one in text.split(" ")]
    if names == text.split(" "):
        return text
    return " ".join(one.rpartition(f"{name}-")[2] for one in names)


def _pair(kind: Kind, before: str | None, after: str | None) -> str:
    if before is None:
        return f"is new: {_text(kind, after)}"
    if after is None:
        return f"is gone (it was {_text(kind, before)})"
    old, new = _text(kind, before), _text(kind, after)
    return f"has other content ({new})" if old == new else f"{old} → {new}"


def _text(kind: Kind, text: str | None) -> str:
    """A line's text as people write it."""
    shown = text or ""
    if kind in (Kind.PARAM, Kind.INPUT):
        shown = ", ".join(_value(one) for one in shown.split("\n"))
    return shown if len(shown) <= _LONG else shown[: _LONG - 1] + "…"


def _value(text: str) -> str:
    first, _, rest = text.partition(" ")
    if first == "path" and rest:
        try:
            return parse_stored(json.loads(rest))[1]
        except ValueError:
            return rest
    if first == "job" and rest:
        identity, _, output = rest.partition(" ")
        return f"{output} of {identity[33:] or identity}"
    if first == "results":
        return "the results of a run"
    if first == "package":
        return rest.rpartition(" ")[0]
    return text


def print_order(changes: Sequence[Change]) -> list[Change]:
    """Those with a cause of their own before those that only follow."""
    return sorted(changes, key=lambda one: all(kind is Kind.UPSTREAM for kind, _ in one.own) and not one.of_stage)
