"""The runs of a Lab for whoever asks in people's terms: what is wrong with one is an error of ours."""

from __future__ import annotations

from repx.agent.lab.run_file import RunFile, RunFileError
from repx.errors import LabError
from repx.lab.manifest import ANOTHER


def open_run(lab: str, place: str) -> RunFile:
    """One run of the Lab at `lab`. It raises LabError, now and whenever a job of it is read."""
    return RunFile(lab, place, _lab_error)


def _lab_error(error: RunFileError) -> LabError:
    facts: list[tuple[str, object]] = [("file", error.path)]
    if error.unreadable:
        return LabError(f"a run file of the Lab cannot be read: {error.unreadable}", facts=facts)
    facts.append(("because", "\n".join(error.complaints)))
    return LabError("a run file of the Lab is broken", facts=facts, hint=ANOTHER)
