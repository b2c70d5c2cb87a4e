"""A Lab with a closure on machines that never saw Nix: one with Python and repx, one with a shell and no more."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from repx.agent.base.files import remove_tree
from repx.lab.directory import LabDirectory
from repx.lab.verification import verify
from tests.machine import needs_programs
from tests.real.worlds import ENTER_ROOT, NAMESPACES, ROOT, World, world

pytestmark = pytest.mark.real

EXPERIMENT = """
@bash
def numbers(data: Output = out("data.txt"), *, count: int):
    return 'seq 1 "$count" > "$data"'

@stage(packages=["python3"])
def total(data: Input, sum: Output = out("sum.txt")):
    sum.write_text(str(sum_of(data.read_text().split())))

def sum_of(words):
    return sum(map(int, words))

@stage
def report(sweep: Results, table: Output = out("table.txt")):
    table.write_text(" ".join(sorted(job.outputs["sum"].read_text() for job in sweep.jobs("total"))))

@bash
def characters(count: Output = out("count.txt")):
    return "printf 'ä€' | wc -m > \\"$count\\""

sweep = Run("sweep", lambda: total(numbers()), params={"count": [10, 100]})
lab = Lab([sweep, Run("report", report, after=[sweep]), Run("characters", characters)], packages=packages)
"""

WITHOUT_NIX = """
mount -t proc proc /proc
mount -t tmpfs tmpfs /nix
for program in /usr/bin/nix*; do mount --bind /bin/false "$program"; done
exec "$@"
"""


@pytest.fixture(scope="module")
def copied(common_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Path]]:
    """The Lab's directory as `cp -r` brings it elsewhere, and a world to run it in."""
    needs_programs("bwrap", "busybox", "unshare")
    with world(common_store) as made:
        lab = made.realize(EXPERIMENT)
        place = tmp_path_factory.mktemp("elsewhere")
        shutil.copytree(lab, place / "lab", symlinks=True)
        yield made, place
        remove_tree(str(place))


def test_a_machine_without_nix_runs_a_copied_lab_and_verifies_all_of_it(copied: tuple[World, Path]) -> None:
    made, place = copied
    command = [sys.executable, "-c", "from repx.cli.main import main; main()"]
    options = ["--lab", str(place / "lab"), "--store", str(place / "store")]

    def there(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*NAMESPACES, WITHOUT_NIX, "sh", *command, *words, *options],
            env=made.environment,
            cwd=place,
            capture_output=True,
            text=True,
        )

    ran = there("run", "--bwrap")
    assert ran.returncode == 0, ran.stderr
    assert "6 jobs ran" in ran.stdout
    assert there("show", "output", "report", "table").stdout == "5050 55"
    refused = there("run", "--native", "--force")
    assert refused.returncode == 2
    assert "the Lab's programs look for each other in /nix/store" in refused.stderr


def test_a_changed_byte_of_a_copied_closure_is_found_before_anything_runs(copied: tuple[World, Path]) -> None:
    made, place = copied
    shutil.copytree(place / "lab", place / "changed", symlinks=True)
    program = next((place / "changed" / "store").glob("*-jq-*/bin/jq"))
    program.chmod(0o755)
    with program.open("r+b") as file:
        file.seek(4000)
        byte = file.read(1)
        file.seek(4000)
        file.write(bytes([byte[0] ^ 1]))
    told = made.start("run", "--lab", str(place / "changed"), "--store", str(place / "other"))
    assert told.returncode == 2
    assert f"store/{program.parts[-3]}" in told.stderr
    assert "it has changed: NAR hash" in told.stderr
    assert not (place / "other" / "outputs").exists() or not any((place / "other" / "outputs").iterdir())


def test_a_machine_with_a_shell_and_the_lab_runs_it(copied: tuple[World, Path]) -> None:
    _, place = copied
    machine = place / "machine"
    for name in ("bin", "proc", "dev", "tmp", "old", "data"):
        (machine / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", machine / "bin" / "busybox")
    (machine / "bin" / "sh").symlink_to("busybox")
    shutil.copytree(place / "lab", machine / "lab", symlinks=True)

    def there(script: str) -> str:
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        command = [*NAMESPACES, ENTER_ROOT, "sh", str(machine), "/bin/sh", "-euc", script]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert not (machine / "usr").exists()
    repx = "repx=$(echo /lab/host-tools/*/bin/repx); options='--lab /lab --store /data/store'; "
    assert "6 jobs ran" in there(repx + '"$repx" run $options')
    assert there(repx + '"$repx" show output report table $options') == "5050 55"
    # The locale that jobs are given is the closure's own.
    assert there(repx + '"$repx" show output characters count $options') == "2\n"
    assert "all 6 jobs are done" in there(repx + '"$repx" run $options')
    # With a link where the programs look for each other, no sandbox is needed either.
    linked = "/bin/busybox mkdir -p /nix; /bin/busybox ln -s /lab/store /nix/store; "
    assert "6 jobs ran" in there(linked + repx + '"$repx" run --native --force $options')
    told = there(repx + '"$repx" realize experiment.py 2>&1 || true')
    assert "this repx came with a Lab" in told


def test_the_labs_own_repx_is_what_is_installed_here(copied: tuple[World, Path]) -> None:
    made, place = copied
    (runner,) = (place / "lab").glob("host-tools/*/bin/repx")
    listed = subprocess.run(
        [runner, "list", "jobs", "--lab", place / "lab", "--json"], capture_output=True, text=True, check=True
    )
    ours = made.repx("list", "jobs", "--lab", str(place / "lab"), "--json")
    assert listed.stdout == ours
    assert (ROOT / "repx").is_dir()


def test_a_lab_with_its_closure_goes_through_a_file_and_through_a_store(copied: tuple[World, Path]) -> None:
    made, place = copied
    archive, shared, mine = (str(place / name) for name in ("lab.tar", "shared", "mine"))
    made.repx("pack", str(place / "lab"), "-o", archive)
    made.repx("unpack", archive, "-o", str(place / "unpacked"), "--store", mine)
    verify(LabDirectory(place / "unpacked"))
    assert "6 jobs ran" in made.repx("run", "--bwrap", "--lab", str(place / "unpacked"), "--store", mine)
    made.repx("push", "--lab", str(place / "unpacked"), shared, "--store", mine)
    (brought,) = (Path(shared) / "foreign").iterdir()
    verify(LabDirectory(brought))
    for name in LabDirectory(brought).closure.paths:  # type: ignore[union-attr]  # it has one
        known = Path(shared) / "objects" / name
        assert known.is_symlink() or known.is_dir() or known.is_file()
    assert "nothing to run" in made.repx("run", "--bwrap", "--lab", str(brought), "--store", shared)
