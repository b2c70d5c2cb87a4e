"""The packages of examples/nix-debian, built by a real Nix and started where there is nothing but their closures."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.machine import needs_programs
from tests.real.worlds import NIX_CONFIG, PACKAGE_SET

FLAKES = "experimental-features = nix-command flakes\n"

SAYS_VERSION = {
    "bash": ["bash", "sh"],
    "bubblewrap": ["bwrap"],
    "coreutils": ["ls", "tr", "env"],
    "diffutils": ["diff", "cmp"],
    "findutils": ["find", "xargs"],
    "gawk": ["gawk", "awk"],
    "gnugrep": ["grep"],
    "gnumake": ["make"],
    "gnused": ["sed"],
    "gnutar": ["tar"],
    "gzip": ["gzip", "gunzip"],
    "jq": ["jq"],
    "patchelf": ["patchelf"],
    "python3": ["python3", "python"],
    "gcc": ["gcc", "cc", "cpp"],
}

pytestmark = pytest.mark.real


class PackageSet:
    """The store path of each attribute, and a way to start programs where only some of them are to be seen."""

    def __init__(self, paths: dict[str, Path], pins: dict[str, dict[str, str]]) -> None:
        self.paths = paths
        self.pins = pins
        self._closures: dict[tuple[str, ...], list[str]] = {}

    def closure(self, *attributes: str) -> list[str]:
        if attributes not in self._closures:
            paths = [str(self.paths[attribute]) for attribute in attributes]
            entries = json.loads(call("nix", "path-info", "-r", "--json", *paths))
            self._closures[attributes] = sorted(entry["path"] for entry in entries)
        return self._closures[attributes]

    def sandboxed(
        self, attributes: list[str], *command: str, work: Path | None = None, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Start a program with the closures of `attributes`, an empty /tmp, and `work` at /scratch; nothing else."""
        words = ["bwrap", "--unshare-all", "--die-with-parent", "--clearenv", "--proc", "/proc", "--dev", "/dev"]
        words += ["--tmpfs", "/tmp"]
        for path in self.closure(*attributes):
            words += ["--ro-bind", path, path]
        if work is not None:
            words += ["--bind", str(work), "/scratch", "--chdir", "/scratch"]
        words += ["--setenv", "PATH", ":".join(f"{self.paths[attribute]}/bin" for attribute in attributes)]
        for name, value in (env or {}).items():
            words += ["--setenv", name, value]
        return subprocess.run([*words, *command], capture_output=True, text=True, stdin=subprocess.DEVNULL)


def call(*command: str) -> str:
    environment = {**os.environ, "NIX_CONFIG": f"{NIX_CONFIG}{FLAKES}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def is_dynamic(path: Path) -> bool:
    """Whether it is a program or a library in ELF, and no object that is linked later (e_type in elf(5))."""
    with path.open("rb") as file:
        head = file.read(17)
    return head.startswith(b"\x7fELF") and head[16] in (2, 3)


@pytest.fixture(scope="session")
def packages(package_set: Path) -> PackageSet:
    needs_programs("nix", "bwrap")
    pins = json.loads((package_set / "debs.json").read_text())["packages"]
    flake = f"path:{package_set}"
    attributes = [name for name, pin in pins.items() if pin["listed"]]
    call("nix", "build", "--no-link", "--json", *(f"{flake}#{name}" for name in attributes))
    names = " ".join(f'"{name}"' for name in [*attributes, "make", "awk", "tr"])
    system = json.loads(call("nix", "eval", "--json", f"{flake}#packages", "--apply", "builtins.attrNames"))[0]
    apply = f"set: builtins.listToAttrs (map (name: {{ inherit name; value = set.${{name}}.outPath; }}) [ {names} ])"
    paths = json.loads(call("nix", "eval", "--json", f"{flake}#packages.{system}", "--apply", apply))
    return PackageSet({name: Path(path) for name, path in paths.items()}, pins)


def test_each_program_tells_its_version_with_nothing_but_its_closure(packages: PackageSet) -> None:
    for attribute, programs in SAYS_VERSION.items():
        version = re.split("[-+]", packages.pins[attribute]["version"])[0]
        for program in programs:
            done = packages.sandboxed([attribute], program, "--version")
            assert version in done.stdout, (program, done.stderr)


def test_every_library_is_found(packages: PackageSet) -> None:
    """The dynamic linker itself is asked, of all programs and of all modules that are loaded only when imported."""
    [linker] = packages.paths["glibc"].glob("lib/*/ld-linux-*")
    asked = 0
    for attribute, path in packages.paths.items():
        if attribute in ("busybox", "glibc"):
            continue
        for file in path.rglob("*"):
            # Links lead to files of other packages, which are asked there.
            if file.is_symlink() or not file.is_file() or not is_dynamic(file):
                continue
            done = packages.sandboxed([attribute, "glibc"], str(linker), "--list", str(file))
            assert done.returncode == 0, (file, done.stderr)
            assert "not found" not in done.stdout, (file, done.stdout)
            asked += 1
    assert asked > 100


def test_a_closure_holds_nothing_of_how_it_was_made(packages: PackageSet) -> None:
    for attribute in packages.paths:
        for path in packages.closure(attribute):
            assert not path.endswith((".deb", ".sh", "-first", "-source")), (attribute, path)
            assert "-patchelf-boot" not in path, (attribute, path)


def test_packages_share_one_glibc_and_bring_no_shell_they_do_not_need(packages: PackageSet) -> None:
    glibc = str(packages.paths["glibc"])
    assert packages.closure("glibc") == [glibc]
    for attribute in ("bash", "coreutils", "jq", "python3", "gcc", "matplotlib"):
        assert glibc in packages.closure(attribute)
    for attribute in ("coreutils", "gnused", "jq", "python3", "matplotlib"):
        assert str(packages.paths["bash"]) not in packages.closure(attribute)


def test_scripts_start_with_a_program_of_the_store(packages: PackageSet) -> None:
    scripts = 0
    for path in packages.paths.values():
        for file in path.glob("bin/*"):
            line = file.read_bytes().split(b"\n", 1)[0]
            if line.startswith(b"#!"):
                assert Path(line[2:].split()[0].decode()).is_relative_to("/nix/store"), file
                assert Path(line[2:].split()[0].decode()).is_file(), file
                scripts += 1
    assert scripts > 5


def test_links_lead_somewhere(packages: PackageSet) -> None:
    for path in packages.paths.values():
        for file in path.rglob("*"):
            assert file.exists(), file


def test_other_names_of_packages(packages: PackageSet) -> None:
    paths = packages.paths
    assert (paths["make"], paths["awk"], paths["tr"]) == (paths["gnumake"], paths["gawk"], paths["coreutils"])


def test_python_has_its_modules_and_looks_nowhere_else(packages: PackageSet) -> None:
    program = """
import bz2, ctypes, curses, hashlib, json, lzma, readline, sqlite3, ssl, sys, uuid, zlib
assert lzma.decompress(lzma.compress(b"x")) == bz2.decompress(bz2.compress(b"x")) == b"x"
assert sqlite3.connect(":memory:").execute("select 6 * 7").fetchone() == (42,)
ssl.create_default_context()
print(json.dumps([sys.prefix, *sys.path]))
"""
    done = packages.sandboxed(["python3"], "python3", "-W", "error", "-c", program)
    assert done.returncode == 0, done.stderr
    prefix, _, *path = json.loads(done.stdout)
    assert prefix == str(packages.paths["python3"])
    assert path
    assert all(folder.startswith(prefix) for folder in path)


def test_a_thread_of_python_that_glibc_ends(packages: PackageSet) -> None:
    """glibc looks for libgcc_s by itself then, and aborts the process when it is not there."""
    program = (
        "import ctypes, os, threading\n"
        "threading.Thread(target=lambda: ctypes.CDLL(None).pthread_exit(None), daemon=True).start()\n"
        "import time; time.sleep(0.2); os.write(1, b'alive'); os._exit(0)"
    )
    done = packages.sandboxed(["python3"], "python3", "-c", program)
    assert done.stdout == "alive", done.stderr


def test_nothing_is_compiled_again_at_run_time(packages: PackageSet) -> None:
    """Root may write into a store, and a __pycache__ there would change what is in a package."""
    for attribute in ("python3", "numpy", "matplotlib"):
        sources = list(packages.paths[attribute].rglob("*.py"))
        assert len(sources) > 50
        for source in sources:
            compiled = source.resolve().parent / "__pycache__"
            assert list(compiled.glob(f"{source.stem}.cpython-*.pyc")), source


def test_matplotlib_draws(packages: PackageSet, tmp_path: Path) -> None:
    program = """
import importlib.metadata, matplotlib, numpy
matplotlib.use("agg")
import matplotlib.pyplot as plt
from mpl_toolkits.mplot3d import Axes3D
figure, (left, right) = plt.subplots(1, 2)
left.plot(numpy.arange(5), numpy.linalg.svd(numpy.eye(5))[1])
left.set_title(r"$\\alpha^2$ and text")
right.contourf(numpy.outer(numpy.arange(9), numpy.arange(9)))
for ending in "png", "pdf", "svg", "jpg":
    figure.savefig("/scratch/figure." + ending)
for name in "matplotlib", "numpy", "pillow", "python-dateutil":
    print(importlib.metadata.version(name))
"""
    [site] = packages.paths["matplotlib"].glob("lib/python3.*/site-packages")
    env = {"PYTHONPATH": str(site), "HOME": "/tmp"}
    done = packages.sandboxed(["python3", "matplotlib"], "python3", "-c", program, work=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 4
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert all(path.stat().st_size > 5000 for path in tmp_path.iterdir())


def test_gcc_makes_programs_that_need_glibc_only(packages: PackageSet, tmp_path: Path) -> None:
    (tmp_path / "half.c").write_text("double half(double x) { return x / 2; }\n")
    (tmp_path / "main.c").write_text(
        "#include <math.h>\n#include <stdio.h>\n#include <stdlib.h>\ndouble half(double);\n"
        'int main(int count, char **words) { printf("%.3f\\n", sqrt(half(atof(words[1])))); return 0; }\n'
    )
    (tmp_path / "Makefile").write_text(
        "main: main.o libhalf.a\n\t$(CC) -o $@ main.o -L. -lhalf -lm\n"
        "libhalf.a: half.o\n\t$(AR) rcs $@ $<\n%.o: %.c\n\t$(CC) -O2 -Wall -c $<\n"
    )
    tools = ["gcc", "gnumake", "bash"]
    done = packages.sandboxed(tools, "make", f"SHELL={packages.paths['bash']}/bin/sh", work=tmp_path)
    assert done.returncode == 0, done.stderr
    done = packages.sandboxed(["glibc"], "/scratch/main", "8", work=tmp_path)
    assert done.stdout == "2.000\n", done.stderr
    assert str(packages.paths["gcc"]).encode() not in (tmp_path / "main").read_bytes()


def test_gcc_makes_parallel_programs(packages: PackageSet, tmp_path: Path) -> None:
    (tmp_path / "sum.c").write_text(
        "#include <stdio.h>\nint main(void) { int sum = 0;\n#pragma omp parallel for reduction(+ : sum)\n"
        'for (int i = 0; i < 100; i++) sum += i;\nprintf("%d\\n", sum); return 0; }\n'
    )
    done = packages.sandboxed(["gcc"], "cc", "-fopenmp", "-o", "sum", "sum.c", work=tmp_path)
    assert done.returncode == 0, done.stderr
    assert packages.sandboxed(["gcc"], "/scratch/sum", work=tmp_path).stdout == "4950\n"


def test_the_locale_is_there_for_who_names_it(packages: PackageSet) -> None:
    env = {"LANG": "C.UTF-8", "LOCPATH": f"{packages.paths['glibc']}/lib/locale"}
    assert packages.sandboxed(["bash"], "bash", "-c", "x=ä€; echo ${#x}", env=env).stdout == "2\n"


def test_building_again_gives_the_same_bytes(packages: PackageSet) -> None:
    call(
        "nix", "build", "--no-link", "--rebuild", *(f"path:{PACKAGE_SET}#{name}" for name in ("bash", "python3", "gcc"))
    )


def test_the_flake_wants_no_lock(packages: PackageSet) -> None:
    call("nix", "flake", "metadata", f"path:{PACKAGE_SET}")
    assert not (PACKAGE_SET / "flake.lock").exists()


def test_fetching_a_second_time_does_nothing(package_set: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (package_set / "debs", package_set / "debs.json")}
    start = time.monotonic()
    done = subprocess.run(
        [package_set / "fetch-debs"], capture_output=True, text=True, env={"PATH": os.environ["PATH"]}
    )
    assert (done.returncode, done.stderr) == (0, "fetch-debs: nothing to do\n")
    assert time.monotonic() - start < 10
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_spoiled_file_is_fetched_again(package_set: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(package_set, copy, copy_function=shutil.copy2)
    [spoiled] = (copy / "debs").glob("gzip_*.deb")
    good = spoiled.read_bytes()
    spoiled.write_bytes(good[:-1] + b"?")
    (copy / "debs" / "left-over_1.deb").write_bytes(b"")
    pins = (copy / "debs.json").read_bytes()
    call(str(copy / "fetch-debs"))
    if (copy / "debs.json").read_bytes() == pins:
        assert spoiled.read_bytes() == good
    assert not (copy / "debs" / "left-over_1.deb").exists()


def test_a_package_that_apt_does_not_know(package_set: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(package_set, copy, ignore=shutil.ignore_patterns("debs*"))
    with (copy / "packages.list").open("a") as listing:
        listing.write("nothing  no-such-package\n")
    done = subprocess.run([copy / "fetch-debs"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "fetch-debs: error: apt knows no package no-such-package" in done.stderr
    assert "hint: apt-get update" in done.stderr
    assert not (copy / "debs.json").exists()
