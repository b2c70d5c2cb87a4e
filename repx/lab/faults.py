"""What is wrong with a Lab, as people are told: an error with the files, the reasons and what to do next."""

from __future__ import annotations

import os
import shlex

from repx.agent.lab.fault import LabFault
from repx.errors import LabError

_AGAIN = "realize it again, or copy it again from where it came from"
_OTHER_REPX = "use the repx that made it, or realize it again with this one"
_MOST = 20
"""Complaints that are shown."""


def lab_error(fault: LabFault) -> LabError:
    """The error for a fault."""
    shown = fault.root
    facts = [(_printable(file), _printable(reason)) for file, reason in fault.complaints[:_MOST]]
    more = len(fault.complaints) - len(facts)
    if more:
        facts.append(("…", f"and {more} more"))
    if fault.kind == "no Lab":
        return _no_lab(fault)
    if fault.kind == "unreadable":
        return LabError(f"the Lab {shown} cannot be read", facts=facts)
    if fault.kind == "other format":
        return LabError(f"the Lab {shown} is of another format", facts=facts, hint=_OTHER_REPX)
    return LabError(f"the Lab {shown} is broken or has been changed", facts=facts, hint=_AGAIN)


def _no_lab(fault: LabFault) -> LabError:
    shown = fault.root
    if not os.path.exists(shown):
        output = "" if shown == "result" else f" -o {shlex.quote(shown)}"
        return LabError(f"there is no Lab at {shown}", hint=f"make one: repx realize experiment.py{output}")
    missing = [("missing", file) for file, _ in fault.complaints]
    return LabError(f"{shown} is not a Lab", facts=missing, hint="make one: repx realize experiment.py")


def _printable(text: str) -> str:
    """A text from elsewhere, without what would move a terminal's cursor or break a line."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
