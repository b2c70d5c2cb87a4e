"""Which isolation the jobs of a run get: the one asked for, or the first of the target's list that works here."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from repx import process
from repx.agent.capabilities import bwrap_problem
from repx.agent.programs import NATIVE, Isolation, IsolationKind
from repx.errors import SoftwareError, UsageError
from repx.lab.directory import LabDirectory
from repx.model.closure import STORE_DIR
from repx.runtime.target import ANY

ENGINE_ANSWERS_WITHIN_S = 20.0


@dataclass(frozen=True, slots=True)
class Machine:
    """What isolation asks of a machine; passed in, so that tests can be on another one."""

    run: process.RunProgram = process.run
    which: Callable[[str], str | None] = shutil.which
    bwrap_problem: Callable[[str], str] = bwrap_problem
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)


def choose_isolation(
    lab: LabDirectory,
    wanted: IsolationKind | None = None,
    *,
    listed: Sequence[IsolationKind] = ANY,
    mounts: Sequence[str] = (),
    host: bool = False,
    machine: Machine | None = None,
) -> Isolation:
    """The isolation for a Lab on this machine.

    Raises UsageError for a sandbox around a Lab without a closure, SoftwareError when none of them works.
    """
    if lab.closure is None:
        if wanted not in (None, "native"):
            raise UsageError(
                f"--{wanted} shuts jobs in with the closure of their Lab, and this one has none: it takes its programs "
                "from the machine",
                hint='realize it with packages=nix("…"), or run it with --native',
            )
        return NATIVE
    missing = [path for path in mounts if not os.path.exists(path)]
    if missing:
        raise UsageError(
            f"{missing[0]} is to be shown to jobs, and is not there", hint="see mount_paths in config.toml"
        )
    passed_over: list[tuple[IsolationKind, str]] = []
    for kind in [wanted] if wanted else listed:
        program, problem = _look(kind, lab, machine or Machine())
        if not problem:
            return Isolation(kind, program, tuple(mounts), host, tuple(passed_over))
        passed_over.append((kind, problem))
    if wanted:
        raise SoftwareError(
            f"--{wanted} does not work on this machine: {passed_over[0][1]}", hint="see what does: repx doctor"
        )
    raise SoftwareError(
        "no isolation that may be used works on this machine",
        facts=passed_over,
        hint="see what is missing: repx doctor",
    )


def _look(kind: IsolationKind, lab: LabDirectory, machine: Machine) -> tuple[str, str]:
    """(program, what keeps it from working)."""
    if kind == "native":
        return "", native_problem(lab)
    program = machine.which(kind)
    if kind == "bwrap":
        program = program or lab.host_tool("bwrap")
        return (program, machine.bwrap_problem(program)) if program else ("", "bubblewrap is not installed")
    if program is None:
        return "", f"{kind} is not installed"
    if not any(run.image for run in lab.runs.values()):
        return program, 'the Lab has no images; realize it with container="unified" or "per-run"'
    return program, _engine_problem(kind, program, machine)


def native_problem(lab: LabDirectory, store: str = STORE_DIR) -> str:
    """Why the programs of a Lab's closure do not start without a sandbox: they look for each other in /nix/store."""
    for name in lab.closure.paths if lab.closure is not None else ():
        if not os.path.lexists(f"{store}/{name}"):
            return f"the Lab's programs look for each other in {store}, which has no {name} here"
    return ""


def _engine_problem(kind: str, program: str, machine: Machine) -> str:
    asked = "{{.Server.Version}}" if kind == "docker" else "{{.Client.Version}}"
    try:
        done = machine.run([program, "version", "--format", asked], timeout_s=ENGINE_ANSWERS_WITHIN_S)
    except (OSError, process.TimedOutError) as error:
        return f"{program}: {error}"
    said = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
    return f"{program}: {said or 'it does not answer'}" if done.exit_status else ""
