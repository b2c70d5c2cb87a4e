"""The options that several commands share, and the Lab and the store that they name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from repx.agent.base.layout import Store
from repx.lab.directory import LabDirectory
from repx.store.location import open_lab

Command = TypeVar("Command", bound=Callable[..., Any])


def lab_option(command: Command) -> Command:
    """`--lab PATH`: the Lab to look at, `./result` unless said otherwise."""
    return click.option("--lab", "-l", "lab_path", default="result", show_default=True, help="The Lab.")(command)


def store_option(command: Command) -> Command:
    """`--store PATH`: where Labs and results are kept."""
    return click.option("--store", "store_path", default=None, help="The store; $REPX_STORE or ~/.local/share/repx.")(
        command
    )


def isolation_options(command: Command) -> Command:
    """`--native`, `--bwrap`, `--podman`, `--docker`: the sandbox for jobs, whatever the target's configuration says."""
    for kind, text in (
        ("docker", "Run each job in a Docker container."),
        ("podman", "Run each job in a Podman container."),
        ("bwrap", "Run each job in a bubblewrap sandbox."),
        ("native", "Run jobs without a sandbox."),
    ):
        command = click.option(f"--{kind}", "isolation", flag_value=kind, default=None, help=text)(command)
    return command


def packages_option(command: Command) -> Command:
    """`--packages FLAKE`: a package set in place of the experiment's."""
    return click.option(
        "--packages",
        default=None,
        metavar="FLAKE",
        help='Take the software from this flake, or from this machine ("host"), whatever the experiment says.',
    )(command)


def json_option(command: Command) -> Command:
    """`--json`: the answer as JSON on standard output."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def quiet_option(command: Command) -> Command:
    """`--quiet`: names alone, one a line, for other programs."""
    return click.option("-q", "--quiet", is_flag=True, help="Only names, one a line.")(command)


def opened(lab_path: str, store_path: str | None) -> tuple[LabDirectory, Store]:
    """The Lab and the store that the options name."""
    return open_lab(lab_path, store_path)
