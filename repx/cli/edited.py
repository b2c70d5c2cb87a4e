"""Whether the sources of a Lab were edited after it was made: compares bytes and names, loads no experiment."""

from __future__ import annotations

from os.path import normpath
from pathlib import Path

from repx.cli.streams import say
from repx.lab.directory import LabDirectory
from repx.lab.sources import changed_sources
from repx.model.sources import parse_sources

_SHOWN = 3


def edited_sources(lab: LabDirectory, link: str) -> tuple[str, list[str]] | None:
    """The experiment of a Lab, beside the link or else here, and its changed sources; None when it is not found."""
    said = parse_sources(lab.metadata.sources)
    sources = said if lab.is_own else said.without_patterns()
    if sources.experiment is None:
        return None
    for folder in dict.fromkeys((Path(link).parent, Path())):
        experiment = folder / sources.experiment.path
        if experiment.is_file():
            return str(experiment), [normpath(folder / path) for path in changed_sources(sources, str(folder))]
    return None


def warn_if_edited(lab: LabDirectory, link: str) -> None:
    """Warn on standard error when the sources have changed since the Lab was made, and name the command to run."""
    known = edited_sources(lab, link)
    if known is not None and known[1]:
        experiment, changed = known
        shown = changed if len(changed) <= _SHOWN else [*changed[: _SHOWN - 1], f"{len(changed) - _SHOWN + 1} more"]
        named = " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))
        say(
            f"warning: {named} {'has' if len(changed) == 1 else 'have'} changed since {link} was made, "
            f"and this runs what it was\nhint: to run what it is now: repx run {experiment}",
            color="yellow",
        )
