"""What a stage asks of a package set and what it gets; does not know how any package set works."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from repx.errors import Finding, SourceLocation

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, slots=True)
class ImportedModule:
    """A top-level import of a Python stage: dotted name and the line that imports it.

    `optional` is true inside `try: … except ImportError`, where a missing module is not a mistake.
    """

    name: str
    location: SourceLocation
    optional: bool = False


@dataclass(frozen=True, slots=True)
class World:
    """What a Python stage's module holds, beside a script that makes the same things again where a job begins.

    `held` describes it, by name and by `module.name` for the local modules in `modules` (path and text). `places` says
    where each is bound, `lines` where the script's parts come from: its line, and the place of that.
    """

    script: str
    modules: tuple[tuple[str, str], ...]
    names: tuple[str, ...]
    local_names: Mapping[str, tuple[str, ...]]
    libraries: tuple[str, ...]
    subclasses: bool
    """Whether the code asks classes for what is derived from them."""
    held: Mapping[str, str]
    places: Mapping[str, SourceLocation]
    lines: tuple[tuple[int, SourceLocation], ...]
    files: Mapping[str, str]
    """How to show the files of local modules."""


@dataclass(frozen=True, slots=True)
class SoftwareRequest:
    """One stage's wishes. `script` is the user's text (Bash) or the cut-out source (Python).

    Line n of a Bash `script` stands at line `origin.line + n - 1` of `origin.file`.
    """

    stage: str
    kind: Literal["bash", "python", "package"]
    """"package": no stage, but a package that is the value of a param."""
    packages: tuple[str, ...]
    script: str
    origin: SourceLocation
    imports: tuple[ImportedModule, ...] = ()
    variables: tuple[str, ...] = ()
    """Names the runtime sets before a Bash script starts (inputs, outputs, params)."""
    arrays: tuple[str, ...] = ()
    """Those of `variables` that are Bash arrays (indexed or associative)."""
    world: World | None = None
    """Where something has to be compared."""
    lines: tuple[tuple[int, SourceLocation], ...] = ()
    """Lines of a Python `script` at which something begins, and where that stands in the user's file."""
    impure: bool = False
    """Whether the stage sees the machine it runs on: programs may then be named by where they are there."""


@dataclass(frozen=True, slots=True)
class Software:
    """One stage's software: `identity` lines enter the fingerprint, `manifest` goes into the Lab as JSON.

    `roots` names the store paths that have to travel with the Lab, with all they refer to; empty without a closure.
    """

    identity: tuple[tuple[str, str], ...]
    manifest: Mapping[str, Json] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    roots: tuple[str, ...] = ()
    notes: tuple[Finding, ...] = ()
    """What is no mistake, and what its author should know all the same."""


class SoftwareResolver(Protocol):
    """A package set at work: answers all stages of an experiment at once, without building anything."""

    def resolve(self, requests: Sequence[SoftwareRequest]) -> list[Software]:
        """One answer per request, in order; problems of a script are findings, not exceptions.

        Raises SoftwareError when the package set itself cannot be used.
        """
        ...
