"""What this machine can do for repx, collected into plain values; writes nothing and changes nothing."""

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
from repx.doctor.probe import Capability, Machine, State, numbers

Probe = Callable[[], Sequence[Capability]]

_PATIENCE_S = 30.0
"""More than all time limits of any one probe; what they do not cover is a disk that does not answer."""


@dataclass(frozen=True, slots=True)
class Group:
    """Capabilities that serve one end."""

    title: str
    capabilities: tuple[Capability, ...]


def diagnose(machine: Machine, *, store: str, shellcheck: str, shfmt: str) -> list[Group]:
    """Every probe, all at once; they are given in the order they are read in.

    `store` is where results would be kept; `shellcheck` and `shfmt` are the programs that check scripts, each empty
    where there is none.
    """
    probes: dict[str, list[tuple[str, Probe]]] = {
        "describing and keeping": [
            ("Python", lambda: _python(machine)),
            ("ShellCheck", lambda: [_checker(machine, "ShellCheck", shellcheck or "shellcheck")]),
            ("shfmt", lambda: [_checker(machine, "shfmt", shfmt or "shfmt")]),
            ("git", lambda: [_program(machine, "git", *_GIT)]),
            ("Graphviz", lambda: [_program(machine, "Graphviz", *_GRAPHVIZ)]),
            ("store", lambda: [_store(store)]),
        ],
        "software": [("Nix", lambda: probe_nix(machine))],
        "shutting jobs in": [
            ("user namespaces", lambda: [_user_namespaces()]),
            ("bubblewrap", lambda: [_bubblewrap(machine)]),
            ("Podman", lambda: probe_podman(machine)),
            ("Docker", lambda: probe_docker(machine)),
            ("job limits", lambda: [_job_limits()]),
        ],
        "other machines": [
            ("SSH", lambda: [_program(machine, "SSH", *_SSH)]),
            ("Slurm", lambda: [_slurm(machine)]),
        ],
    }
    answers = {title: [(name, _started(probe)) for name, probe in some] for title, some in probes.items()}
    deadline = time.monotonic() + _PATIENCE_S
    return [
        Group(title, tuple(one for name, answer in some for one in _waited_for(name, answer, deadline)))
        for title, some in answers.items()
    ]


def _started(probe: Probe) -> Future[Sequence[Capability]]:
    # Threads of an executor are waited for at exit, however long a dead network disk takes; these are not.
    answer: Future[Sequence[Capability]] = Future()

    def work() -> None:
        try:
            answer.set_result(probe())
        except BaseException as error:
            # Told to whoever waits, as an executor does.
            answer.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return answer


def _waited_for(name: str, answer: Future[Sequence[Capability]], deadline: float) -> Sequence[Capability]:
    try:
        return answer.result(max(0.0, deadline - time.monotonic()))
    except TimeoutError:
        return [Capability(name, State.LIMITED, f"no answer within {_PATIENCE_S:g} s")]


_GIT = (["git", "--version"], "the commit an experiment was made from, kept with its Lab", "package git")
_GRAPHVIZ = (["dot", "-V"], "pictures of the graph of jobs", "package graphviz")
_SSH = (["ssh", "-V"], "running on another machine that is reached by SSH", "package openssh-client")


def _program(machine: Machine, name: str, argv: Sequence[str], gives: str, remedy: str) -> Capability:
    """A program that is there and tells its version, or not."""
    path = machine.find(argv[0])
    if not path:
        return Capability(name, State.NO, "not found", "", gives, remedy)
    told = machine.ask([path, *argv[1:]])
    if told.problem:
        return Capability(name, State.NO, told.problem, path, gives, remedy)
    return Capability(name, State.YES, told.version or "says no version", path)


def _python(machine: Machine) -> list[Capability]:
    """The one that runs repx, which is new enough as it does; and the one a node would start jobs with."""
    own = Capability("Python", State.YES, platform.python_version(), sys.executable)
    gives = "running jobs on this machine as a target: the agent needs 3.9 or newer"
    found = _program(machine, "python3 on PATH", ["python3", "--version"], gives, "package python3")
    if found.state is State.YES and numbers(found.found) < (3, 9):
        return [own, Capability(found.name, State.NO, f"{found.found}: too old", found.path, gives, found.remedy)]
    return [own, found]


def _checker(machine: Machine, name: str, program: str) -> Capability:
    gives = "checks of Bash stages: their mistakes show before anything runs"
    remedy = f"package {name.lower()}, or install repx with its dependencies ({name.lower()}-py)"
    return _program(machine, name, [program, "--version"], gives, remedy)


def _store(path: str) -> Capability:
    """Where results would be kept, whether they can be, and how much more."""
    above = existing_above(path)
    gives, remedy = "results: nothing can be kept", "another place: --store or REPX_STORE"
    problem = writing_problem(above) if os.path.isdir(above) else f"{above} is no directory"
    if problem:
        return Capability("store", State.NO, problem, path, gives, remedy)
    free = shutil.disk_usage(above).free / 1024**3
    return Capability("store", State.YES, f"{free:.1f}G free" + ("" if above == path else ", not made yet"), path)


def _user_namespaces() -> Capability:
    problem = user_namespace_problem()
    if not problem:
        return Capability("user namespaces", State.YES, "")
    gives, remedy = "sandboxes without root", "ask who runs this machine to allow them (sysctl)"
    return Capability("user namespaces", State.NO, problem, "", gives, remedy)


def _bubblewrap(machine: Machine) -> Capability:
    gives = "sandboxes: a job sees its inputs and its packages, and nothing else of this machine"
    found = _program(machine, "bubblewrap", ["bwrap", "--version"], gives, "package bubblewrap")
    problem = bwrap_problem(found.path) if found.state is State.YES else ""
    if problem:
        remedy = "allow user namespaces; in a container, start it with more rights"
        return Capability("bubblewrap", State.NO, f"{found.found}: {problem}", found.path, gives, remedy)
    return found


def _job_limits() -> Capability:
    """Tried with a group of our own, which is gone before the answer is given."""
    with JobLimits(memory_bytes=1 << 30, cpus=1.0) as limits:
        problems = limits.problems
    if not problems:
        return Capability("job limits", State.YES, f"memory and processors, cgroups {version()}")
    state = State.NO if len(problems) == 2 else State.LIMITED
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


def _slurm(machine: Machine) -> Capability:
    gives, remedy = (
        "running on a cluster from its login node",
        "package slurm-client; on a cluster perhaps `module load slurm`",
    )
    found = _program(machine, "Slurm", ["sbatch", "--version"], gives, remedy)
    if found.state is not State.YES:
        return found
    told = machine.ask([machine.find("sinfo") or "sinfo", "--noheader", "--format=%R"])
    if told.problem or not machine.find("squeue"):
        why = told.problem or "squeue is not found"
        return Capability(
            "Slurm", State.LIMITED, f"{found.found}: {why}", found.path, gives, "a slurmctld that answers"
        )
    partitions = ", ".join(dict.fromkeys(told.stdout.split()))
    return Capability("Slurm", State.YES, f"{found.found}, partitions {partitions or 'none'}", found.path)
