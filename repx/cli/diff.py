"""`repx diff`: in what two Labs differ, or two states of an experiment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from repx.agent.base.layout import Store
from repx.cli.options import json_option, packages_option, store_option
from repx.cli.render import print_json, print_lines
from repx.errors import UsageError, plural
from repx.lab.directory import LabDirectory
from repx.lab.plain_text import plain_line

if TYPE_CHECKING:
    from repx.analysis.lab_diff import LabDiff

_AT_COMMIT = re.compile(r"(.+\.py)@(.+)\Z", re.DOTALL)


@click.command("diff")
@click.argument("before", metavar="A")
@click.argument("after", metavar="B", default="result")
@click.option("--diff", "whole", is_flag=True, help="Show all lines of scripts that differ.")
@packages_option
@store_option
@json_option
def diff(before: str, after: str, whole: bool, packages: str | None, store_path: str | None, as_json: bool) -> None:
    """What B has in place of A: each a Lab, its archive, id or pin, EXPERIMENT.py, or EXPERIMENT.py@COMMIT."""
    from repx.analysis.lab_diff import compare_labs
    from repx.store.location import open_store

    store = open_store(store_path)
    with ExitStack() as stack:
        old, new = (_opened(side, packages, store, stack) for side in (before, after))
        found = compare_labs(old, new, store)
        print_json(_as_json(found)) if as_json else print_lines(map(plain_line, _lines(found, whole=whole)))


def _opened(side: str, packages: str | None, store: Store, stack: ExitStack) -> LabDirectory:
    """The Lab that a side names. What is made for it is gone when `stack` is left."""
    from tempfile import TemporaryDirectory

    from repx.analysis.lab_history import find_lab
    from repx.cli.why import unwritten_lab
    from repx.realizer.checkout import check_out
    from repx.store.location import open_lab

    at_commit = None if Path(side).exists() else _AT_COMMIT.match(side)
    if at_commit is not None:
        folder = stack.enter_context(TemporaryDirectory(prefix="repx-"))
        side = check_out(at_commit[1], at_commit[2], folder)
    if side.endswith(".py"):
        lab, _ = stack.enter_context(unwritten_lab(side, packages, store.root))
        return lab
    if not Path(side).exists():
        known = find_lab(store, side)
        if not known:
            raise UsageError(
                f"there is no Lab {side!r}",
                hint="a path, the start of an id (repx list labs), a pin, EXPERIMENT.py or EXPERIMENT.py@COMMIT",
            )
        side = known
    lab, _ = open_lab(side, store)
    return lab.owned(is_own=True)


def _lines(found: LabDiff, *, whole: bool) -> Iterator[str]:
    from repx.cli.show_changes import change_line, diff_lines, print_order

    if found.before == found.after == found.same:
        yield f"the same {found.same:,} {plural('job', found.same)}"
    else:
        yield f"{found.before:,} and {found.after:,} jobs, {found.same:,} in both"
    for change in print_order(found.changes):
        yield f"  {change_line(change, found.scripts.get((change.before, change.after)))}"
    for stage, count in found.gone.most_common():
        yield f"  {count:,} {plural('job', count)} of {stage}: gone"
    for names, how in ((found.runs_new, "new"), (found.runs_gone, "gone")):
        if names:
            yield f"  {plural('run', len(names))} {', '.join(names)}: {how}"
    yield from diff_lines(found.scripts, whole=whole)


def _as_json(found: LabDiff) -> dict[str, Any]:
    from repx.cli.show_changes import change_json

    return {
        "before": found.before,
        "after": found.after,
        "same": found.same,
        "changes": [change_json(one, found.scripts.get((one.before, one.after))) for one in found.changes],
        "gone": found.gone,
        "runs_new": found.runs_new,
        "runs_gone": found.runs_gone,
    }
