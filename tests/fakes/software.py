"""A package set without packages: every name is known, and means whatever the test says it means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from repx.errors import Finding
from repx.model.software import Software, SoftwareRequest


@dataclass
class FakeSoftware:
    """A `SoftwareResolver`. `versions` says what a package is; others are version 1. `unknown` names are findings."""

    versions: Mapping[str, str] = field(default_factory=dict)
    unknown: frozenset[str] = frozenset()
    requests: list[SoftwareRequest] = field(default_factory=list)
    """All that was asked, in order."""
    calls: int = 0

    def resolve(self, requests: Sequence[SoftwareRequest]) -> list[Software]:
        self.calls += 1
        self.requests.extend(requests)
        return [self._answer(request) for request in requests]

    def _answer(self, request: SoftwareRequest) -> Software:
        identity = tuple((f"fake.{name}", self.versions.get(name, "1")) for name in request.packages)
        findings = tuple(
            Finding(request.stage, request.origin, f"there is no {name}")
            for name in request.packages
            if name in self.unknown
        )
        return Software(identity, {"kind": "fake", "packages": dict(identity)}, findings)
