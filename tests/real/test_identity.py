"""The scenarios of identity with real packages: what their names mean is evaluated by Nix, and nothing is built."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from repx.dsl.instantiate.graph import instantiate
from repx.model.graph import DerivationGraph
from repx.model.software import SoftwareResolver
from repx.realizer.nix.packages import NixSoftware
from tests.experiments import Experiments, ids, modules_forgotten
from tests.model.test_identity import (
    CHAIN,
    test_editing_d_changes_d_and_all_that_follows,
    test_editing_one_of_two_swept_directories_changes_some,
    test_editing_the_analysis_changes_only_the_analysis,
    test_pure_and_params_only_differ,
    test_resources_change_no_id,
    test_what_a_change_changes,
)
from tests.real.worlds import NIX_CONFIG

pytestmark = pytest.mark.real

# The same tests as with a fake package set: `experiments` is another one here.
__all__ = [
    "test_editing_d_changes_d_and_all_that_follows",
    "test_editing_one_of_two_swept_directories_changes_some",
    "test_editing_the_analysis_changes_only_the_analysis",
    "test_pure_and_params_only_differ",
    "test_resources_change_no_id",
    "test_what_a_change_changes",
]

REAL = {
    "tool-a": "gnutar",
    "tool-b": "gzip",
    "tool-c": "diffutils",
    "tool-split": "gnutar",
    "tool-step": "gzip",
    "tool-gather": "diffutils",
    '"added"': '"gnumake"',
}
"""The package that stands for each of the scenarios' names."""

BUMP = """
{
  inputs.set.url = "path:SET";
  outputs = { self, set }: {
    packages = builtins.mapAttrs (system: packages:
      let old = packages.PACKAGE;
      in packages // { PACKAGE = derivation (old.drvAttrs // { bumped = "yes"; }) // { inherit (old) meta version; }; }
    ) set.packages;
  };
}
"""


class RealExperiments(Experiments):
    """Experiments whose packages are those of a flake."""

    def __init__(self, folder: Path, flake: Path, memory: Path) -> None:
        super().__init__(folder)
        self._flake = flake
        self._memory = memory

    def graph(
        self, text: str, files: dict[str, str] | None = None, software: SoftwareResolver | None = None
    ) -> DerivationGraph:
        for name, package in REAL.items():
            text = text.replace(name, package)
        chosen = software or self.package_set(self._flake)
        return instantiate(self.lab(text, files), chosen)

    def package_set(self, flake: Path) -> NixSoftware:
        """A flake at work."""
        return NixSoftware(str(flake), "/", memory=str(self._memory))


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Nix has answered is remembered by all tests: one evaluation serves them."""
    return tmp_path_factory.mktemp("memory")


@pytest.fixture
def experiments(
    tmp_path: Path, package_set: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RealExperiments]:
    monkeypatch.setenv("NIX_CONFIG", NIX_CONFIG)
    with modules_forgotten(tmp_path):
        yield RealExperiments(tmp_path / "user", package_set, memory)


def bumped(package_set: Path, folder: Path, package: str) -> Path:
    """The package set with another derivation for one of its packages, locked."""
    folder.mkdir()
    (folder / "flake.nix").write_text(BUMP.replace("SET", str(package_set)).replace("PACKAGE", package))
    flakes = ("--extra-experimental-features", "nix-command flakes")
    subprocess.run(["nix", *flakes, "flake", "lock", f"path:{folder}"], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize(
    ("package", "mode", "stages"),
    [
        ("gzip", "pure", {"b", "c"}),
        ("diffutils", "pure", {"c"}),
        ("python3", "pure", {"c"}),
        ("gnumake", "pure", set()),
        ("gnused", "pure", {"a", "b", "c"}),
        ("gzip", "params-only", set()),
        ("gnused", "params-only", set()),
    ],
)
def test_another_store_path_changes_the_jobs_that_have_it_and_those_after_them(
    experiments: RealExperiments, package_set: Path, tmp_path: Path, package: str, mode: str, stages: set[str]
) -> None:
    text = CHAIN.replace("MODE", mode)
    before = experiments.graph(text)
    other = experiments.package_set(bumped(package_set, tmp_path / "bumped", package))
    after = experiments.graph(text, software=other)
    assert {job.stage.name for job in after.jobs() if job.id not in ids(before)} == stages
