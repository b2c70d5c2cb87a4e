"""Tells on standard error what the author of an experiment should know of it, though it is no mistake."""

from __future__ import annotations

from collections.abc import Sequence

from repx.cli.streams import say
from repx.errors import Finding


def show_notes(notes: Sequence[Finding]) -> None:
    """Each note with its place and what to do."""
    for note in notes:
        say(f"warning: {note.location}: {note.stage}: {note.message}\nhint: {note.remedy}", color="yellow")
