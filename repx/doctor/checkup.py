"""Asks what this machine can do for repx; writes nothing and changes nothing."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from repx.agent.capabilities import bwrap_problem, user_namespace_problem, writing_problem
from repx.agent.cgroup import JobLimits, version
from repx.doctor.engines import probe_docker, probe_podman
from repx.doctor.nix import existing_above, probe_nix
from repx.doctor.probe import Capability, Presence, Programs, numbers

Probe = Callable[[], Sequence[Capability]]

_PATIENCE_S = 30.0
"""Longer than the time limits inside any one probe, which do not cover a disk that does not answer."""


@dataclass(frozen=True, slots=True)
class Group:
    """Capabilities that serve one purpose."""

    title: str
    capabilities: tuple[Capability, ...]


def diagnose(programs: Programs, *, store: str, shellcheck: str, shfmt: str) -> list[Group]:
    """Run every probe at once; returns their answers in the order in which a user reads them.

    `store` is where results would be kept; `shellcheck` and `shfmt` are the programs that check scripts, each empty
    where there is none.
    """
    probes: dict[str, list[tuple[str, Probe]]] = {
        "describing and keeping": [
            ("Python", lambda: _python(programs)),
            ("ShellCheck", lambda: [_checker(programs, "ShellCheck", shellcheck or "shellcheck")]),
            ("shfmt", lambda: [_checker(programs, "shfmt", shfmt or "shfmt")]),
            ("git", lambda: [_program(programs, "git", *_GIT)]),
            ("Graphviz", lambda: [_program(programs, "Graphviz", *_GRAPHVIZ)]),
            ("store", lambda: [_store(store)]),
        ],
        "software": [("Nix", lambda: probe_nix(programs))],
        "shutting jobs in": [
            ("user namespaces", lambda: [_user_namespaces()]),
            ("bubblewrap", lambda: [_bubblewrap(programs)]),
            ("Podman", lambda: probe_podman(programs)),
            ("Docker", lambda: probe_docker(programs)),
            ("job limits", lambda: [_job_limits()]),
        ],
        "other machines": [
            ("SSH", lambda: [_program(programs, "SSH", *_SSH)]),
            ("Slurm", lambda: [_slurm(programs)]),
        ],
    }
    answers = {title: [(name, _started(probe)) for name, probe in some] for title, some in probes.items()}
    deadline = time.monotonic() + _PATIENCE_S
    return [
        Group(title, tuple(one for name, answer in some for one in _waited_for(name, answer, deadline)))
        for title, some in answers.items()
    ]


def _started(probe: Probe) -> Future[Sequence[Capability]]:
    # Python waits at exit for the threads of an executor, however long a dead network disk takes; not for daemons.
    answer: Future[Sequence[Capability]] = Future()

    def work() -> None:
        try:
            answer.set_result(probe())
        except BaseException as error:
            # _waited_for raises it again, as an executor would.
            answer.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return answer


def _waited_for(name: str, answer: Future[Sequence[Capability]], deadline: float) -> Sequence[Capability]:
    try:
        return answer.result(max(0.0, deadline - time.monotonic()))
    except TimeoutError:
        return [Capability(name, Presence.LIMITED, f"no answer within {_PATIENCE_S:g} s")]


_GIT = (["git", "--version"], "the commit an experiment was made from, kept with its Lab", "package git")
_GRAPHVIZ = (["dot", "-V"], "pictures of the graph of jobs", "package graphviz")
_SSH = (["ssh", "-V"], "running on another machine that is reached by SSH", "package openssh-client")


def _program(programs: Programs, name: str, argv: Sequence[str], gives: str, remedy: str) -> Capability:
    """Whether a program is there and tells its version."""
    path = programs.find(argv[0])
    if not path:
        return Capability(name, Presence.NO, "not found", "", gives, remedy)
    told = programs.ask([path, *argv[1:]])
    if told.problem:
        return Capability(name, Presence.NO, told.problem, path, gives, remedy)
    return Capability(name, Presence.YES, told.version or "says no version", path)


def _python(programs: Programs) -> list[Capability]:
    """The Python that runs repx, which is new enough, and the python3 on PATH, which would run the agent."""
    own = Capability("Python", Presence.YES, platform.python_version(), sys.executable)
    gives = "running jobs on this machine as a target: the agent needs 3.9 or newer"
    found = _program(programs, "python3 on PATH", ["python3", "--version"], gives, "package python3")
    if found.state is Presence.YES and numbers(found.found) < (3, 9):
        return [
            own,
            Capability(found.name, Presence.NO, f"{found.found}: too old", found.path, gives, found.remedy),
        ]
    return [own, found]


def _checker(programs: Programs, name: str, program: str) -> Capability:
    gives = "checks of Bash stages: their mistakes show before anything runs"
    remedy = f"package {name.lower()}, or install repx with its dependencies ({name.lower()}-py)"
    return _program(programs, name, [program, "--version"], gives, remedy)


def _store(path: str) -> Capability:
    """Whether results can be kept in the store, and how much space is free."""
    above = existing_above(path)
    gives, remedy = "results: nothing can be kept", "another place: --store or REPX_STORE"
    problem = writing_problem(above) if os.path.isdir(above) else f"{above} is not a directory"
    if problem:
        return Capability("store", Presence.NO, problem, path, gives, remedy)
    free = shutil.disk_usage(above).free / 1024**3
    return Capability("store", Presence.YES, f"{free:.1f}G free" + ("" if above == path else ", not made yet"), path)


def _user_namespaces() -> Capability:
    problem = user_namespace_problem()
    if not problem:
        return Capability("user namespaces", Presence.YES, "")
    gives, remedy = "sandboxes without root", "ask the administrator to allow them (sysctl)"
    return Capability("user namespaces", Presence.NO, problem, "", gives, remedy)


def _bubblewrap(programs: Programs) -> Capability:
    gives = "sandboxes: a job sees its inputs and its packages, and nothing else of this machine"
    found = _program(programs, "bubblewrap", ["bwrap", "--version"], gives, "package bubblewrap")
    problem = bwrap_problem(found.path) if found.state is Presence.YES else ""
    if problem:
        remedy = "allow user namespaces; in a container, start it with more rights"
        return Capability("bubblewrap", Presence.NO, f"{found.found}: {problem}", found.path, gives, remedy)
    return found


def _job_limits() -> Capability:
    """Whether memory and processors of a job can be limited; tried with a control group that is removed again."""
    with JobLimits(memory_bytes=1 << 30, cpus=1.0) as limits:
        problems = limits.problems
    if not problems:
        return Capability("job limits", Presence.YES, f"memory and processors, cgroups {version()}")
    state = Presence.NO if len(problems) == 2 else Presence.LIMITED
    found = "; ".join(f"{name}: {why}" for name, why in problems.items())
    gives = "keeping jobs to what they asked for; without, it is counted before they start and not enforced"
    return Capability(
        "job limits",
        state,
        found,
        "",
        gives,
        "control groups that are handed on to this user (v2 under systemd: `Delegate=yes`)",
    )


def _slurm(programs: Programs) -> Capability:
    gives, remedy = (
        "running on a cluster from its login node",
        "package slurm-client; on a cluster perhaps `module load slurm`",
    )
    found = _program(programs, "Slurm", ["sbatch", "--version"], gives, remedy)
    if found.state is not Presence.YES:
        return found
    told = programs.ask([programs.find("sinfo") or "sinfo", "--noheader", "--format=%R"])
    if told.problem or not programs.find("squeue"):
        why = told.problem or "squeue is not found"
        return Capability(
            "Slurm", Presence.LIMITED, f"{found.found}: {why}", found.path, gives, "a slurmctld that answers"
        )
    partitions = ", ".join(dict.fromkeys(told.stdout.split()))
    return Capability("Slurm", Presence.YES, f"{found.found}, partitions {partitions or 'none'}", found.path)
