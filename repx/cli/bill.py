"""Turns the bill of a dry run into lines and into JSON; reads nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from repx.cli.render import duration_text, size_text
from repx.errors import plural
from repx.runtime.bill import Bill


def bill_lines(bill: Bill) -> Iterator[str]:
    """What would be reused, adopted and run, how long that takes, and how much room."""
    parts = [f"{bill.reused:,} reused", f"{bill.adopted:,} adopted from another job" if bill.adopted else ""]
    yield f"  jobs  {', '.join(filter(None, parts))}, at most {bill.run:,} to run"
    if bill.run:
        yield f"  time  {_time(bill)}"
        if bill.inodes:
            yield f"  room  about {_size(bill.bytes)} in {bill.inodes:,} files and directories"


def bill_json(bill: Bill) -> dict[str, Any]:
    """The bill as a program reads it."""
    return {
        "reused": bill.reused,
        "adopted": bill.adopted,
        "run": bill.run,
        "work_s": bill.work_s,
        "work_spread_s": bill.work_spread_s,
        "bytes": bill.bytes,
        "inodes": bill.inodes,
        "unknown": bill.unknown,
        "stages": [one._asdict() for one in bill.stages],
    }


def _size(size: int) -> str:
    return size_text(size) if size >= 1024 else f"{size} {plural('byte', size)}"


def _time(bill: Bill) -> str:
    unknown = ", ".join(f"{jobs:,} of {stage}" for stage, jobs in bill.unknown.items())
    if bill.work_s is None:
        return "not known: no earlier attempt of these stages is in the store"
    attempts = sum(one.attempts for one in bill.stages)
    spread = f" ± {duration_text(bill.work_spread_s)}" if bill.work_spread_s is not None else ""
    told = f"about {duration_text(bill.work_s)}{spread} of work, by {attempts} earlier {plural('attempt', attempts)}"
    if bill.work_spread_s is None:
        told += " (too few to say how sure that is)"
    return told + (f"; not known for {unknown}" if unknown else "")
