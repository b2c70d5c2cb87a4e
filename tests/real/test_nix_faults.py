"""What may go wrong around a real Nix: changed paths, no rights, no room, an interrupt; nothing of ours is harmed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from repx.agent.base.files import remove_tree
from tests.golden_texts import Golden, golden_fixture
from tests.machine import needs
from tests.ordinary import NOBODY, OrdinaryUser
from tests.real.overlays import NIX, nix, overlay
from tests.real.test_nix import bash, masked, tree
from tests.real.worlds import World, world

__all__ = ["golden_fixture"]

pytestmark = pytest.mark.real


def store_of(made: World) -> Path:
    return Path(made.environment["REPX_STORE"])


def clean(made: World) -> bool:
    """Whether nothing half-made is in the store."""
    return not any((store_of(made) / "tmp").iterdir())


@pytest.fixture
def changed_path(nix_world: World) -> Iterator[Path]:
    """A path in Nix's store, of our own making, of which a byte is another than it was."""
    name = nix_world.folder.name
    flake = overlay(nix_world.folder / "nix", f'thing = program "{name}" "echo 1";')
    nix("build", "--no-link", f"path:{flake}#thing")
    path = Path(nix("eval", "--raw", f"path:{flake}#thing.outPath"))
    program = path / "bin" / name
    content = program.read_bytes()
    program.chmod(0o755)
    program.write_bytes(content.replace(b"echo 1", b"echo 2"))
    yield path
    derivation = nix("eval", "--raw", f"path:{flake}#thing.drvPath")
    subprocess.run(
        ["nix-store", "--delete", path, derivation], env={**os.environ, **NIX}, check=True, capture_output=True
    )


def test_a_changed_path_of_nix_is_not_taken_and_can_be_mended(
    nix_world: World, changed_path: Path, golden: Golden
) -> None:
    nix_world.write(bash('"thing"', f'{nix_world.folder.name} > "$data"'))
    refused = nix_world.refused("realize", "experiment.py")
    shown = masked(refused).replace(nix_world.folder.name, "<name>")
    golden("errors/nix/changed_path.txt", re.sub(r"sha256:[0-9a-f]{64}", "sha256:<digits>", shown))
    assert not (store_of(nix_world) / "objects" / changed_path.name).exists()
    assert clean(nix_world)
    hint = refused.rpartition("nix store repair ")[2].split()
    nix("store", "repair", *hint)
    nix_world.repx("realize", "experiment.py")
    program = nix_world.folder / "result" / "store" / changed_path.name / "bin" / nix_world.folder.name
    assert "echo 1" in program.read_text()


def test_a_changed_object_is_found_before_a_job_runs_and_results_stay(nix_world: World) -> None:
    name = nix_world.folder.name
    overlay(nix_world.folder / "nix", f'thing = program "{name}" "echo 1";')
    nix_world.write(bash('"thing"', f'{name} > "$data"'))
    nix_world.repx("realize", "experiment.py")
    nix_world.repx("run")
    assert nix_world.output("work", "data") == "1\n"
    (program,) = (store_of(nix_world) / "objects").glob(f"*-{name}/bin/{name}")
    good = program.read_bytes()
    program.chmod(0o755)
    program.write_bytes(good.replace(b"echo 1", b"echo 2"))
    program.chmod(0o555)
    try:
        refused = nix_world.refused("run", "--force")
        assert f"{name}" in refused
        assert "it has changed: NAR hash" in refused
        assert nix_world.output("work", "data") == "1\n"
    finally:
        program.chmod(0o755)
        program.write_bytes(good)
        program.chmod(0o555)
    nix_world.repx("run", "--force")


def test_who_may_not_write_nix_store_is_told_so(
    nix_world: World, ordinary: OrdinaryUser, open_package_set: Path
) -> None:
    overlay(nix_world.folder / "nix", base=open_package_set)
    nix_world.write(bash())
    nix_world.folder.chmod(0o755)
    home = nix_world.folder / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    environment = {
        **nix_world.environment,
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "REPX_STORE": str(home / "store"),
    }
    del environment["NIX_CONFIG"]
    done = subprocess.run(
        ordinary.command("realize", "experiment.py", folder=nix_world.folder),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "the flake path:" in done.stderr
    assert "nix says  error: " in done.stderr
    assert "hint: you may not write to Nix's store: start its daemon" in done.stderr


@pytest.fixture
def small_world(package_set: Path) -> Iterator[World]:
    """A world whose store is on a disk of 24 MiB, which is less than a closure."""
    needs(os.geteuid() == 0, "only root may mount a file system")
    with world(Path("unused")) as made:
        store = made.folder / "disk"
        store.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", store], check=True)
        made.environment |= {"REPX_STORE": str(store), "XDG_CACHE_HOME": str(made.folder / "cache")}
        try:
            yield made
        finally:
            remove_tree(str(store / "objects"))
            subprocess.run(["umount", store], check=True)


def test_a_disk_that_fills_up_while_a_closure_is_copied(small_world: World, golden: Golden) -> None:
    small_world.write(bash().replace('"./nix"', "packages.flake"))
    refused = small_world.refused("realize", "experiment.py")
    golden("errors/nix/no_room.txt", re.sub(r"(path  +).*", r"\1<the one that was copied>", refused))
    assert clean(small_world)
    assert list((store_of(small_world) / "labs").iterdir()) == []
    # What had been copied is whole, and is not copied again.
    kept = {path: path.stat().st_ino for path in (store_of(small_world) / "objects").iterdir()}
    subprocess.run(["mount", "-o", "remount,size=400m", store_of(small_world)], check=True)
    small_world.repx("realize", "experiment.py")
    small_world.repx("run")
    assert kept
    assert {path: path.stat().st_ino for path in kept} == kept


def running(word: str) -> list[int]:
    """The processes that have a word among their arguments."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if word in (place / "cmdline").read_text("utf-8", "replace") and int(place.name) != os.getpid():
                found.append(int(place.name))
        except OSError:
            continue
    return found


def test_an_interrupt_in_the_middle_of_a_build_leaves_nothing_half(nix_world: World) -> None:
    name = nix_world.folder.name
    slow = f'slow = made "{name}" "echo {name} > $out; for n in {{1..600}}; do sleep 0.1; done";'
    flake = overlay(nix_world.folder / "nix", slow)
    word = f"echo {name} > $out"
    nix_world.write(bash('"slow"'))
    before = tree(store_of(nix_world)) if store_of(nix_world).exists() else {}
    # A process group of its own, as a shell gives it one: Ctrl-C reaches all of it.
    command = [sys.executable, "-c", "from repx.cli.main import main; main()", "realize", "experiment.py"]
    with subprocess.Popen(
        command,
        cwd=nix_world.folder,
        env=nix_world.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        deadline = time.monotonic() + 60
        while not running(word):
            assert time.monotonic() < deadline, "the build does not start"
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    while running(word):
        assert time.monotonic() < deadline, "the build goes on"
        time.sleep(0.05)
    assert clean(nix_world)
    after = tree(store_of(nix_world))
    assert {path: entry for path, entry in after.items() if path in before} == before
    assert not any(path.startswith("labs/") for path in after.keys() - before.keys())
    overlay(flake, f'slow = made "{name}" "echo {name} > $out";')
    nix_world.repx("realize", "experiment.py")


def test_no_folder_of_this_machine_is_in_a_lab(nix_world: World) -> None:
    """A Lab is handed on: where its package set lay, and whose it was, is nobody's business."""
    overlay(nix_world.folder / "nix")
    nix_world.write(bash())
    nix_world.repx("realize", "experiment.py")
    lab = (nix_world.folder / "result").resolve()
    texts = [path for path in lab.rglob("*") if path.is_file() and path.stat().st_size < 1 << 20]
    assert len(texts) > 100
    for path in texts:
        assert str(nix_world.folder).encode() not in path.read_bytes(), path
