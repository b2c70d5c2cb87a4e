"""Installed distributions: what identifies each, and what makes it importable."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from repx.agent.installed import Installed, InstalledError, installed


class Site:
    """A `site-packages` with one distribution, and the project that it may come from."""

    def __init__(self, root: Path) -> None:
        self.site = root / "site-packages"
        self.project = root / "project"
        self.info = self.site / "lib-1.0.dist-info"

    def write(self, folder: Path, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)

    def install(self, files: Mapping[str, str], *, direct: Mapping[str, object] | None = None, top: str = "") -> None:
        """As pip does: RECORD comes last, with the digest of each file."""
        self.write(self.site, files)
        self.write(self.info, {"METADATA": "Metadata-Version: 2.1\nName: lib\nVersion: 1.0\n"})
        if direct is not None:
            (self.info / "direct_url.json").write_text(json.dumps(direct))
        if top:
            (self.info / "top_level.txt").write_text(top)
        lines = [f"{name},sha256={digest(text)},{len(text)}" for name, text in files.items()]
        (self.info / "RECORD").write_text("\n".join([*lines, "lib-1.0.dist-info/RECORD,,"]) + "\n")

    def editable(self, files: Mapping[str, str], hook: Mapping[str, str], top: str = "") -> None:
        self.write(self.project, files)
        self.install(hook, direct={"url": self.project.as_uri(), "dir_info": {"editable": True}}, top=top)

    def look(self) -> Installed:
        (distribution,) = importlib.metadata.distributions(path=[str(self.site)])
        return installed(distribution)

    def modules(self) -> dict[str, str]:
        return {name: path for name, path in self.look().places.items() if not name.endswith("-info")}


def digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


PACKAGE = {"lib/__init__.py": "A = 1\n", "lib/inner/deep.py": "B = 2\n", "lib/data.csv": "1\n", "other.py": ""}


def test_a_distribution_brings_its_packages_and_its_description(site: Site) -> None:
    site.install({**PACKAGE, "../../bin/lib": "#!x"})
    assert site.look().identity.startswith("1.0 ")
    names = ("lib", "other.py", "lib-1.0.dist-info")
    assert site.look().places == {name: str(site.site / name) for name in names}


def test_another_build_of_the_same_version_is_another_identity(site: Site) -> None:
    site.install(PACKAGE)
    before = site.look().identity
    site.install({**PACKAGE, "lib/inner/deep.py": "B = 3\n"})
    assert site.look().identity != before


def test_a_second_installation_of_the_same_is_the_same_whoever_installs_it(site: Site) -> None:
    site.install(PACKAGE)
    before = site.look().identity
    site.install({**PACKAGE, "lib-1.0.dist-info/INSTALLER": "uv", "../../bin/lib": "#!/other/python"})
    assert site.look().identity == before


def test_a_file_that_was_edited_after_the_installation_counts(site: Site) -> None:
    site.install(PACKAGE)
    before = site.look().identity
    file = site.site / "lib/inner/deep.py"
    recorded = (site.info / "RECORD").stat().st_mtime_ns
    file.write_text("B = 9\n")
    os.utime(file, ns=(recorded + 1, recorded + 1))
    assert site.look().identity != before
    file.write_text(PACKAGE["lib/inner/deep.py"])
    assert site.look().identity == before


@pytest.mark.parametrize("direct", [{"dir_info": {}}, {"vcs_info": {"vcs": "git", "commit_id": "0" * 40}}])
def test_what_comes_from_no_index_is_identified_by_its_files(site: Site, direct: dict[str, object]) -> None:
    site.install(PACKAGE, direct={"url": "https://example.org/lib", **direct})
    record = (site.info / "RECORD").read_text()
    before = site.look().identity
    (site.site / "lib/data.csv").write_text("2\n")
    assert (site.info / "RECORD").read_text() == record
    assert site.look().identity != before


def test_a_record_without_digests_is_no_reason_to_look_away(site: Site) -> None:
    site.install(PACKAGE)
    (site.info / "RECORD").write_text("".join(f"{name},,\n" for name in [*PACKAGE, "lib-1.0.dist-info/RECORD"]))
    before = site.look().identity
    (site.site / "lib/__init__.py").write_text("A = 7\n")
    assert site.look().identity != before


def test_packages_that_several_distributions_share_are_taken_in_parts(site: Site) -> None:
    site.install({"shared/ours/__init__.py": "", "shared/ours/a.py": "", "shared/one.py": ""})
    site.write(site.site, {"shared/theirs/__init__.py": ""})
    assert set(site.modules()) == {"shared/ours", "shared/one.py"}


EDITABLE = {"src/lib/__init__.py": "A = 1\n", "src/lib/data.json": "{}", "pyproject.toml": "", "notes.md": ""}
FLAT = {"lib/__init__.py": "A = 1\n", "setup.py": "", "experiment.py": "", "notebooks/x.ipynb": "{}"}
SETUPTOOLS = "MAPPING: dict[str, str] = {'lib': '%s/src/lib'}\n"
EDITABLES = "from editables.redirector import RedirectingFinder as F\nF.map_module('lib', '%s/src/lib/__init__.py')\n"


@pytest.mark.parametrize("kind", ["a path", "setuptools", "editables", "flat", "flat with names"])
def test_an_editable_installation_is_what_its_modules_hold(site: Site, kind: str) -> None:
    project = str(site.project)
    if kind.startswith("flat"):
        site.editable(FLAT, {"_lib.pth": project + "\n"}, top="lib\n" if "names" in kind else "")
        package = site.project / "lib"
    else:
        hook = {"setuptools": SETUPTOOLS, "editables": EDITABLES}.get(kind)
        files = (
            {"_lib.pth": f"{project}/src\n"} if hook is None else {"_lib.py": hook % project, "_lib.pth": "import _lib"}
        )
        site.editable(EDITABLE, files)
        package = site.project / "src/lib"
    assert site.modules() == {"lib": str(package)}
    before = site.look().identity
    for name in ("notes.md", "experiment.py", "setup.py"):
        (site.project / name).write_text("changed")
    (package / "__pycache__").mkdir()
    (package / "__pycache__/x.pyc").write_text("x")
    assert site.look().identity == before
    (package / "inner.txt").write_text("new")
    assert site.look().identity != before


def test_links_out_of_an_editable_package_are_followed_and_circles_end(site: Site, tmp_path: Path) -> None:
    site.editable(EDITABLE, {"_lib.pth": f"{site.project}/src\n"})
    (tmp_path / "far").mkdir()
    (tmp_path / "far/data").write_text("1")
    (site.project / "src/lib/far").symlink_to(tmp_path / "far")
    (site.project / "src/lib/self").symlink_to(".")
    before = site.look().identity
    (tmp_path / "far/data").write_text("2")
    assert site.look().identity != before


def test_an_editable_installation_of_an_unknown_kind_counts_as_a_whole(site: Site) -> None:
    site.editable(EDITABLE, {"_hook.pth": "import _hook", "_hook.py": "something_else()"})
    assert set(site.modules()) == {"_hook.pth", "_hook.py"}
    before = site.look().identity
    (site.project / "src/lib/data.json").write_text("[]")
    assert site.look().identity != before


def test_a_distribution_without_record_is_read(site: Site) -> None:
    site.install(PACKAGE)
    (site.info / "RECORD").unlink()
    assert set(site.modules()) == {"lib"}
    before = site.look().identity
    (site.site / "lib/__init__.py").write_text("A = 5\n")
    assert site.look().identity != before


def test_a_distribution_that_brings_nothing_is_told(site: Site) -> None:
    site.install({})
    (site.info / "RECORD").unlink()
    with pytest.raises(InstalledError, match="lib does not say which modules it brings"):
        site.look()
