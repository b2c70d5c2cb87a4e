"""Whether an experiment file was edited since its Lab was made: compares bytes, loads nothing."""

from __future__ import annotations

from pathlib import Path

import click

from repx.agent.base.digest import file_sha256
from repx.lab.directory import LabDirectory


def edited_experiment(lab: LabDirectory, link: str) -> str | None:
    """The experiment of a Lab, if the file beside the link (or else here) is not the one the Lab was made from."""
    for name, digest in lab.sources.items():
        # A name of a Lab is read, not trusted: it stands for a file of this folder and for no other.
        if Path(name).name != name:
            continue
        for folder in dict.fromkeys((Path(link).parent, Path())):
            try:
                found = file_sha256(str(folder / name))
            except OSError:
                continue
            if found != digest:
                return str(folder / name)
            break
    return None


def warn_if_edited(lab: LabDirectory, link: str) -> None:
    """Say on standard error that the Lab is not what the experiment file says now, and with which command it is."""
    experiment = edited_experiment(lab, link)
    if experiment is not None:
        click.secho(
            f"warning: {experiment} has changed since {link} was made, and this runs what it was\n"
            f"hint: to run what it is now: repx run {experiment}",
            fg="yellow",
            err=True,
        )
