"""Launchers: which programs of a closure get one, and the words that start them where there is no /nix/store."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repx.model.closure import STORE_DIR, Closure, Flake, StorePath
from repx.realizer.host_tools import elf_loader, launchers
from repx.realizer.nix.contents import StoreContents
from tests.fakes.nix import store_name

FLAKE = Flake("./nix", "", "", "x86_64-linux")
GLIBC = store_name("glibc")


def elf(loader: str, order: str = "<") -> bytes:
    """The smallest ELF file that names a loader; none for ""."""
    text = loader.encode() + b"\0"
    head = b"\x7fELF\x02" + bytes([1 if order == "<" else 2]) + bytes(10)
    head += struct.pack(order + "HHIQQQIHHHHHH", 2, 62, 1, 0, 64, 0, 0, 64, 56, 2 if loader else 1, 0, 0, 0)
    other = struct.pack(order + "IIQQQQQQ", 1, 5, 0, 0, 0, 0, 0, 0)
    named = struct.pack(order + "IIQQQQQQ", 3, 4, 64 + 112, 0, 0, len(text), len(text), 1)
    return head + other + (named + text if loader else b"")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("loader", ["", "/lib64/ld-linux-x86-64.so.2", f"{STORE_DIR}/{GLIBC}/lib/ld.so"])
def test_the_loader_that_a_file_names_is_found(tmp_path: Path, loader: str, order: str) -> None:
    (tmp_path / "program").write_bytes(elf(loader, order))
    assert elf_loader(str(tmp_path / "program")) == loader


def test_programs_of_this_machine_are_read_too() -> None:
    """What the kernel starts by itself names a loader that is there, or none."""
    for name in ("ls", "sh", "busybox"):
        found = shutil.which(name)
        if found:
            loader = elf_loader(found)
            assert loader is not None
            assert loader == "" or Path(loader).exists()


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\n", b"\x7fELF", b"\x7fELF\x01" + bytes(100)])
def test_what_is_no_program_of_64_bits_names_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    assert elf_loader(str(tmp_path / "file")) is None


@given(st.binary(max_size=200), st.integers(0, 300))
def test_no_imitation_of_a_program_crashes_the_reader(
    tmp_path_factory: pytest.TempPathFactory, rest: bytes, cut: int
) -> None:
    file = tmp_path_factory.getbasetemp() / "imitation"
    for content in (b"\x7fELF\x02\x01" + rest, elf("/lib/ld.so")[:cut]):
        file.write_bytes(content)
        assert isinstance(elf_loader(str(file)), str | None)


class Objects:
    """Store paths in a directory, and the closure of them; each refers to the C library."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tools: dict[str, tuple[str, ...]] = {}
        self.names = [GLIBC]
        (root / GLIBC / "lib" / "x86_64-linux-gnu").mkdir(parents=True)

    def add(self, attribute: str, **programs: bytes | str) -> Path:
        """A package; the content of its programs, or where they link to."""
        name = store_name(attribute)
        self.names.append(name)
        self.tools[attribute] = (name,)
        directory = self.root / name / "bin"
        directory.mkdir(parents=True)
        for program, content in programs.items():
            if isinstance(content, str):
                (directory / program).symlink_to(content)
            else:
                (directory / program).write_bytes(content)
        return directory

    def launchers(self) -> dict[str, str]:
        """The word that starts each program, by its name."""
        paths = {name: StorePath(name, "0" * 64, 1, (GLIBC,)) for name in self.names}
        made = launchers(Closure(FLAKE, paths, self.tools), StoreContents((str(self.root),)))
        found = {}
        for program, text in made:
            assert text.startswith("#!/bin/sh\n")
            assert subprocess.run(["sh", "-n"], input=text, text=True, check=False).returncode == 0
            (line,) = [line for line in text.splitlines() if line.startswith("exec ")]
            assert line.endswith(' "$@"')
            found[program] = line.removeprefix("exec ").removesuffix(' "$@"')
        return found


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return Objects(tmp_path)


LOADED = elf(f"{STORE_DIR}/{GLIBC}/lib/ld.so")


def test_a_program_is_started_by_its_own_loader_with_its_own_libraries(objects: Objects) -> None:
    directory = objects.add("bash", bash=LOADED)
    (directory.parent / "lib").mkdir()
    bash = directory.parent.name
    libraries = sorted([f"{GLIBC}/lib:$store/{GLIBC}/lib/x86_64-linux-gnu", f"{bash}/lib"])
    assert objects.launchers() == {
        "bash": f'"$store/{GLIBC}/lib/ld.so" --argv0 "$store/{bash}/bin/bash" '
        f'--library-path "$store/{libraries[0]}:$store/{libraries[1]}" "$store/{bash}/bin/bash"'
    }


def test_a_static_program_is_started_as_it_is(objects: Objects) -> None:
    directory = objects.add("bash", bash=elf(""))
    assert objects.launchers() == {"bash": f'"$store/{directory.parent.name}/bin/bash"'}


def test_a_link_is_followed_and_the_program_keeps_the_name_it_was_called_by(objects: Objects) -> None:
    directory = objects.add("coreutils", coreutils=LOADED, ls="coreutils", cat=f"{STORE_DIR}/{GLIBC}/bin/cat")
    (objects.root / GLIBC / "bin").mkdir()
    (objects.root / GLIBC / "bin" / "cat").write_bytes(LOADED)
    found = objects.launchers()
    assert sorted(found) == ["cat", "ls"]
    assert f'--argv0 "$store/{directory.parent.name}/bin/ls"' in found["ls"]
    assert found["ls"].endswith(f'"$store/{directory.parent.name}/bin/coreutils"')
    assert found["cat"].endswith(f'"$store/{GLIBC}/bin/cat"')


def test_python_does_not_write_into_the_lab(objects: Objects) -> None:
    objects.add("python3", python3="python3.11", **{"python3.11": LOADED})
    assert objects.launchers()["python3"].endswith('bin/python3.11" -B')


@pytest.mark.parametrize(
    "content",
    [
        b"#!/nix/store/x/bin/bash\n",
        elf("/lib64/ld-linux-x86-64.so.2"),
        "/bin/sh",
        "bash",
        "../../../etc/passwd",
        "nothing",
    ],
)
def test_what_cannot_be_started_elsewhere_has_no_launcher(objects: Objects, content: bytes | str) -> None:
    """A script, a program of this machine, a link that leaves the closure, that leads to itself, to nothing."""
    objects.add("bash", bash=content)
    assert objects.launchers() == {}


def test_only_what_a_lab_offers_gets_one(objects: Objects) -> None:
    objects.add("coreutils", ls=LOADED, hostname=LOADED)
    objects.add("jq", jq=LOADED)
    assert list(objects.launchers()) == ["ls"]
