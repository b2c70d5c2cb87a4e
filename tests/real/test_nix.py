"""The package set of a flake with a real Nix: what it refuses and how, what it checks, what it need not ask again."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from repx.agent.base.digest import file_sha256
from repx.agent.base.files import remove_tree
from tests.golden_texts import Golden, golden_fixture
from tests.real.overlays import NIX, TellingNix, nix, overlay
from tests.real.worlds import World, world

__all__ = ["golden_fixture"]

pytestmark = pytest.mark.real

EXPERIMENT = '''
@bash(packages=[PACKAGES])
def work(data: Output = out("data.txt")):
    return """
    SCRIPT
    """

lab = Lab([Run("run", work)], packages=nix("./nix"))
'''

PYTHON_EXPERIMENT = """
@stage(packages=[PACKAGES])
def work(data: Output = out("data.txt")):
    SCRIPT

lab = Lab([Run("run", work)], packages=nix("./nix"))
"""


def bash(packages: str = '"jq"', script: str = 'jq -n 1 > "$data"') -> str:
    return EXPERIMENT.replace("PACKAGES", packages).replace("SCRIPT", script)


def python(packages: str, script: str) -> str:
    return PYTHON_EXPERIMENT.replace("PACKAGES", packages).replace("SCRIPT", script.replace("\n", "\n    "))


def masked(text: str) -> str:
    return re.sub(r"\b[0-9a-df-np-sv-z]{32}-", "<digest>-", text)


@pytest.fixture
def flake(nix_world: World) -> Path:
    return nix_world.folder / "nix"


@pytest.fixture
def telling(nix_world: World) -> TellingNix:
    return put_on_path(nix_world)


def put_on_path(world: World) -> TellingNix:
    made = TellingNix(world.folder / "bin")
    world.environment["PATH"] = f"{made.folder}:{world.environment['PATH']}"
    return made


# ------------------------------------------------------------------------------------------------------------- refusals

SEVERAL = """
from pathlib import Path


@bash(packages=["jqq", "thing"])
def first(data: Output = out("data.txt")):
    return 'echo > "$data"'

@stage(packages=["matplotlb", "group", "number"])
def second(data: Input, figure: Output = out("figure.txt")):
    figure.write_text("")

@bash(packages=["nothing.at.all", "throws", "group.inner", "group.iner"])
def third(figure: Input, last: Output = out("last.txt"), *, tool: Path = package("coreutls")):
    return 'cat "$figure" > "$last"'

lab = Lab([Run("run", lambda: third(second(first())))], packages=nix("./nix"))
"""

REFUSED = {
    "no_attribute": (SEVERAL, 'thing = base.jq; group.inner = base.jq; number = 3; throws = throw "no such machine";'),
    "attribute_with_a_mistake": (bash('"mistaken"'), "mistaken = base.nothing;"),
    "base_throws": (bash(), 'gawk = throw "no awk here";'),
    "base_is_missing": (bash(), '}; in builtins.removeAttrs all [ "gawk" "jq" ]; unused = let all = {'),
    "flake_with_a_mistake": (bash(), "thing = ;"),
    "build_fails": (
        bash('"jq", "high"'),
        'low = made "low" "echo working; echo it failed >&2; exit 3"; high = made "high" "echo ${all.low}";',
    ),
    "two_builds_fail": (
        bash('"one", "two"'),
        'one = made "same" "echo working; exit 3"; two = made "same" "echo working; exit 3 #";',
    ),
    "build_makes_nothing": (bash('"empty"'), 'empty = made "empty" "echo done";'),
    "no_command": (
        bash('"jq"', 'thing "$data"; tar x; nothing; /usr/bin/jq; /usr/bin/gcc'),
        'thing = program "thing" "";',
    ),
    "no_module": (python('"numpy"', "import numpy, json, matplotlib, yaml; from _ssl import x; import os.path"), ""),
}

BUILT = {"no_command": ("busybox", "gnutar")}
"""What must have been built before: which commands a package brings is known from then on, and named in a hint."""


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_told_and_nothing_is_written(
    case: str, nix_world: World, flake: Path, golden: Golden
) -> None:
    text, packages = REFUSED[case]
    labs = Path(nix_world.environment["REPX_STORE"]) / "labs"
    before = set(labs.iterdir()) if labs.exists() else set()
    overlay(flake, packages, is_locked=False)
    # Locking evaluates nothing, but reads: a flake that cannot be read keeps the lock of one that can.
    lock = overlay(nix_world.folder / "readable") / "flake.lock"
    shutil.copy(lock, flake)
    for name in BUILT.get(case, ()):
        nix("build", "--no-link", f"path:{flake}#{name}")
    nix_world.write(text)
    # Of two that fail, Nix begins with either, and ends at that.
    shown = masked(nix_world.refused("realize", "experiment.py")).replace("package 'two'", "package 'one'")
    golden(f"errors/nix/{case}.txt", shown)
    assert (set(labs.iterdir()) if labs.exists() else set()) == before


def test_a_flake_must_be_locked_and_by_a_lock_of_today(nix_world: World, flake: Path, golden: Golden) -> None:
    overlay(flake, is_locked=False)
    nix_world.write(bash())
    refused = nix_world.refused("realize", "experiment.py")
    golden("errors/nix/no_lock.txt", refused)
    assert not (flake / "flake.lock").exists()
    # The hint is what helps.
    hint = refused.replace("<here>", str(nix_world.folder)).rpartition("file: nix ")[2].split()
    nix(*hint)
    nix_world.repx("realize", "experiment.py")
    overlay(nix_world.folder / "other")
    more = f'inputs.other.url = "path:{nix_world.folder}/other";\n  inputs.set'
    (flake / "flake.nix").write_text(
        (flake / "flake.nix").read_text().replace("{ self, set }", "{ self, set, other }").replace("inputs.set", more)
    )
    golden("errors/nix/old_lock.txt", nix_world.refused("realize", "experiment.py"))


def test_a_commit_is_a_package_set(nix_world: World, flake: Path, telling: TellingNix) -> None:
    overlay(flake)

    def git(*words: str) -> str:
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main"]
        return subprocess.run(
            ["git", "-C", flake, *identity, *words], check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "packages")
    commit = git("rev-parse", "HEAD")
    reference = f"git+file://{flake}?rev={commit}"
    nix_world.write(bash().replace("./nix", reference))
    nix_world.repx("realize", "experiment.py", "-o", "one")
    (flake / "flake.nix").write_text("{ outputs = throw;")
    telling.calls()
    nix_world.repx("realize", "experiment.py", "-o", "two")
    assert telling.calls() == []
    assert (nix_world.folder / "one").resolve() == (nix_world.folder / "two").resolve()
    (closure,) = (nix_world.folder / "one" / "store").glob("*-closure.json")
    assert json.loads(closure.read_text())["flake"] == reference
    # As a folder it is refused: all of a checkout would be part of the packages.
    nix_world.write(bash())
    assert "is a whole Git checkout" in nix_world.refused("realize", "experiment.py")


# --------------------------------------------------------------------------------------------------------------- checks


CHECKED = '''
@bash(packages=["thing", "jq"])
def uses(data: Output = out("data.txt")):
    return """
    thing | jq . | seq 3 | awk 1 > "$data"
    grep -q x "$data" || sed -n 1p "$data"; find . -print0 | xargs -0 ls; command -v nothing || true
    """

@bash(impure=True)
def impure(data: Output = out("data.txt")):
    return '/usr/bin/env ls > "$data"; /opt/measure/bin/measure 1'

@stage(packages=["matplotlib"])
def draws(data: Output = out("data.txt")):
    import _ssl, array, ctypes, json, math, os.path, sqlite3, xml.etree.ElementTree, zlib
    import dateutil.parser, matplotlib.pyplot, numpy, PIL.Image
    try:
        import orjson
    except ImportError:
        orjson = None
    data.write_text(str([_ssl, array, ctypes, json, math, os, sqlite3, xml, zlib, dateutil, matplotlib, numpy, PIL]))

lab = Lab([Run("run", pipelines=[uses, impure, draws])], packages=nix("./nix"))
'''


def test_what_the_closure_has_is_no_finding(nix_world: World, flake: Path) -> None:
    overlay(flake, 'thing = program "thing" "echo 1";')
    nix_world.write(CHECKED)
    nix_world.repx("realize", "experiment.py")


def test_a_finding_that_can_be_seen_without_a_build_comes_before_any(
    nix_world: World, flake: Path, telling: TellingNix
) -> None:
    overlay(flake, 'slow = made "slow" "echo never built; exit 1";')
    other = '@bash(packages=["slow"])\ndef other(last: Output = out("last.txt")):\n    return "thing > $last"\n'
    nix_world.write(other + bash("", "sedd 1").replace('Run("run", work)', 'Run("run", pipelines=[work, other])'))
    said = nix_world.refused("realize", "experiment.py")
    assert "1 finding in 1 stage" in said
    assert "work: command 'sedd' is not in the stage's software" in said
    assert sorted(set(telling.calls())) == ["eval", "flake metadata"]


def test_what_only_a_build_can_show_is_looked_at_after_it_and_before_a_lab(
    nix_world: World, flake: Path, telling: TellingNix
) -> None:
    digit = nix_world.folder.name
    packages = (
        f'thing = made "{digit}" "mkdir -p $out/bin; echo \'#!/bin/sh\' > $out/bin/other; chmod 755 $out/bin/other";'
    )
    overlay(flake, packages)
    nix_world.write(bash('"thing"', "other; stranger"))
    said = nix_world.refused("realize", "experiment.py")
    assert "command 'stranger' is not in the stage's software" in said
    assert "'other'" not in said
    assert "build" in telling.calls()
    # Now that it is built, it is seen at once, and it is known what has it.
    nix_world.write(bash("", "other"))
    assert 'add "thing" to packages' in nix_world.refused("realize", "experiment.py")
    assert "build" not in telling.calls()


# --------------------------------------------------------------------------------------------------------------- memory


@pytest.fixture(scope="module")
def own_world(package_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world on a store of its own: what is in it, and what is remembered, is what these tests have made."""
    with world(tmp_path_factory.mktemp("own") / "store") as made:
        yield made


@pytest.fixture(scope="module")
def own_nix(own_world: World) -> TellingNix:
    """The `nix` of that world."""
    return put_on_path(own_world)


def test_a_package_set_that_is_known_starts_no_nix(own_world: World, own_nix: TellingNix) -> None:
    flake = overlay(own_world.folder / "nix", 'thing = program "thing" "echo 1";')
    text = bash('"thing"', 'thing > "$data"')
    own_world.write(text)
    own_world.repx("realize", "experiment.py")
    first = (own_world.folder / "result").resolve()
    assert own_nix.calls() == ["flake metadata", "eval", "build", "path-info"]

    own_world.repx("realize", "experiment.py")
    assert (own_world.folder / "result").resolve() == first
    own_world.write(text.replace("echo 1", "echo 2") + "# another experiment\n")
    own_world.repx("realize", "experiment.py")
    assert own_nix.calls() == []

    # Another folder with the same content is the same package set.
    shutil.copytree(flake, own_world.folder / "copy")
    own_world.write(text.replace("./nix", "./copy"))
    own_world.repx("realize", "experiment.py")
    assert own_nix.calls() == []

    # What is new to it is asked; what has been answered is not built or told again.
    own_world.write(bash('"thing", "diffutils"', 'thing > "$data"'))
    own_world.repx("realize", "experiment.py")
    assert own_nix.calls() == ["flake metadata", "eval", "build", "path-info"]

    overlay(flake, 'thing = program "thing" "echo 2";')
    own_world.write(text)
    own_world.repx("realize", "experiment.py")
    assert own_nix.calls() == ["flake metadata", "eval", "build", "path-info"]
    assert (own_world.folder / "result").resolve() != first


@pytest.mark.parametrize("spoiled", [None, b"[]"])
def test_a_memory_that_is_gone_or_broken_is_made_again(
    own_world: World, own_nix: TellingNix, spoiled: bytes | None
) -> None:
    overlay(own_world.folder / "nix", 'thing = program "thing" "echo 1";')
    own_world.write(bash('"thing"', 'thing > "$data"'))
    own_world.repx("realize", "experiment.py")
    first = (own_world.folder / "result").resolve()
    memory = Path(own_world.environment["XDG_CACHE_HOME"]) / "repx" / "nix"
    for file in memory.iterdir():
        if spoiled is None:
            file.unlink()
        else:
            file.write_bytes(spoiled)
    own_nix.calls()
    own_world.repx("realize", "experiment.py")
    assert own_nix.calls() == ["flake metadata", "eval", "build", "path-info"]
    assert (own_world.folder / "result").resolve() == first


def test_what_nix_has_collected_is_taken_from_our_store_or_made_again(own_world: World, own_nix: TellingNix) -> None:
    name = own_world.folder.name
    flake = overlay(own_world.folder / "nix", f'thing = program "{name}" "echo 1";')
    own_world.write(bash('"thing"', f'{name} > "$data"'))
    own_world.repx("realize", "experiment.py")
    lab = (own_world.folder / "result").resolve()
    before = tree(lab)
    derivation, built = (nix("eval", "--raw", f"path:{flake}#thing.{part}") for part in ("drvPath", "outPath"))
    # As `nix store delete` understands it, a derivation is what it makes.
    subprocess.run(
        ["nix-store", "--delete", built, derivation], env={**os.environ, **NIX}, check=True, capture_output=True
    )
    assert not Path(built).exists()
    assert not Path(derivation).exists()

    own_nix.calls()
    remove_tree(str(lab))
    own_world.repx("realize", "experiment.py")
    assert own_nix.calls() == []
    assert tree(lab) == before

    own_world.repx("realize", "experiment.py", "--store", str(own_world.folder / "empty"))
    assert own_nix.calls() == ["flake metadata", "eval", "build", "path-info"]
    assert tree((own_world.folder / "result").resolve()) == before


def tree(root: Path) -> dict[str, tuple[int, str]]:
    """Mode and content of everything below a directory."""
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        if path.is_symlink():
            content = str(path.readlink())
        else:
            content = file_sha256(str(path)) if path.is_file() else ""
        found[str(path.relative_to(root))] = (status.st_mode, content)
    return found
