"""Checks the scripts of Bash stages with ShellCheck, and each command against the stage's software; runs no script."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from repx.errors import Finding, SourceLocation
from repx.model.software import SoftwareRequest
from repx.process import RunProgram, run
from repx.realizer.checks.bash_commands import CommandUse, find_commands
from repx.realizer.checks.shellcheck import Complaint, LintedScript


class CommandSource(Protocol):
    """The commands that a package set provides."""

    def provides(self, request: SoftwareRequest, name: str) -> bool:
        """Whether the software of this stage, the base included, has a command of this name."""
        ...

    def remedy(self, name: str) -> str:
        """What to do about a command that a stage uses and does not have."""
        ...


def commands_used(requests: Iterable[SoftwareRequest], run: RunProgram = run) -> Mapping[str, list[CommandUse]]:
    """Each distinct Bash script with the commands it uses. Raises SoftwareError when there is no shfmt."""
    return find_commands((request.script for request in requests if request.kind == "bash"), run)


def check_bash(
    requests: Sequence[SoftwareRequest],
    uses: Mapping[str, Sequence[CommandUse]],
    source: CommandSource,
    lint: Callable[[Sequence[LintedScript]], list[list[Complaint]]] | None = None,
) -> list[tuple[Finding, ...]]:
    """The findings for each request, in order; a Python stage has none here. `uses` comes from `commands_used`.

    What `lint` tells of scripts are findings: ShellCheck's errors and warnings, not its infos and matters of style.
    Equal scripts are checked once.
    """
    bash = [request for request in requests if request.kind == "bash"]
    scripts = list(dict.fromkeys(script_of(request) for request in bash))
    complaints = dict(zip(scripts, lint(scripts), strict=True)) if lint is not None else {}
    return [
        _findings(request, complaints.get(script_of(request), ()), uses[request.script], source)
        if request.kind == "bash"
        else ()
        for request in requests
    ]


def location(request: SoftwareRequest, line: int) -> SourceLocation:
    """The place in the user's file of a line of the request's script."""
    return SourceLocation(request.origin.file, request.origin.line + line - 1)


def script_of(request: SoftwareRequest) -> LintedScript:
    """What ShellCheck is to be asked about."""
    return LintedScript(request.script, request.variables, request.arrays)


def _findings(
    request: SoftwareRequest, complaints: Sequence[Complaint], uses: Sequence[CommandUse], source: CommandSource
) -> tuple[Finding, ...]:
    found = [
        Finding(
            request.stage,
            location(request, complaint.line),
            f"{complaint.message} (SC{complaint.code})",
            f"see https://www.shellcheck.net/wiki/SC{complaint.code}",
        )
        for complaint in complaints
    ]
    # A script that shfmt refuses may be a good one, and then all is well; ShellCheck speaks where it is not.
    for use in uses:
        if not use.certain or source.provides(request, use.name):
            continue
        if use.name.startswith("/") and request.impure:
            continue
        if use.name.startswith("/"):
            message = f"'{use.name}' is an absolute path, outside the stage's software"
            remedy = _by_name(request, use, source)
        else:
            message = f"command '{use.name}' is not in the stage's software"
            remedy = source.remedy(use.name)
        found.append(Finding(request.stage, location(request, use.line), message, remedy))
    return tuple(sorted(found, key=lambda finding: finding.location.line))


def _by_name(request: SoftwareRequest, use: CommandUse, source: CommandSource) -> str:
    name = use.name.rpartition("/")[2]
    if source.provides(request, name):
        return f"write {name}"
    return f"write {name} and {source.remedy(name)}"
