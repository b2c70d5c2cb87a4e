"""Archives from an attacker, or from a bad line: refused by member, with nothing written outside and nothing left."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from repx.agent.base.layout import Store
from repx.errors import RepxError
from repx.store.sharing import archive, compression
from repx.store.sharing.unpack import unpack
from tests.runtime.world import World
from tests.store.sharing.archives import Change, added, changed, member, needs_zstandard, read_members, write_members
from tests.store.sharing.neighbours import Neighbours, a_pair_of_neighbours, is_tidy, ok, the_first_world

__all__ = ["a_pair_of_neighbours", "the_first_world"]

LINK, HARD, DIRECTORY = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE

HOSTILE: dict[str, tuple[Change, str]] = {
    "an absolute name": (added("/tmp/repx-hostile"), "it leads outside"),
    "a name that climbs": (added("TOP/../../x"), "it leads outside"),
    "a name that climbs and comes back": (added("TOP/../TOP/x"), "it leads outside"),
    "a second of a name": (added("TOP/readme/README.md", data=b"x"), "it comes twice"),
    "a second of a name, spelled otherwise": (added("./TOP//readme/./README.md", data=b"x"), "it comes twice"),
    "a device": (added("TOP/zero", tarfile.CHRTYPE), "it is neither a file nor a directory nor a link"),
    "a disk": (added("TOP/disk", tarfile.BLKTYPE), "it is neither a file nor a directory nor a link"),
    "a pipe": (added("TOP/pipe", tarfile.FIFOTYPE), "it is neither a file nor a directory nor a link"),
    "an absolute link": (added("TOP/link", LINK, "/etc"), "it is a link that leaves the archive"),
    "a link that climbs": (added("TOP/jobs/link", LINK, "../../../etc"), "it is a link that leaves the archive"),
    "a link in store that leaves": (added("TOP/store/link", LINK, "/etc"), "it is a link to /etc"),
    "a link for a directory": (
        lambda members, top: [member(f"{top}/lab", LINK, target="store"), *members],
        "it comes twice",
    ),
    "a file behind a link": (
        lambda members, top: [
            *members, member(f"{top}/store/d", LINK, target="/tmp"), member(f"{top}/store/d/repx-hostile")
        ],
        "it is not a directory, and yet something is in it",
    ),
    "a file in a file": (added("TOP/readme/README.md/x"), "it is not a directory, and yet something is in it"),
    "a hard link to nothing": (added("TOP/hard", HARD, "TOP/nothing"), "which is not a file"),
    "a hard link outside": (added("TOP/hard", HARD, "/etc/passwd"), "which is not a file"),
    "a hard link to a link": (
        lambda members, top: [
            *members, member(f"{top}/store/l", LINK, target="/etc/passwd"),
            member(f"{top}/h", HARD, target=f"{top}/store/l"),
        ],
        "which is not a file",
    ),
    "something beside the Lab": (added("other/x"), "it is neither of the Lab nor of its results"),
    "a file that no manifest names": (added("TOP/store/x", data=b"x"), "the manifest does not name it"),
    "a script with another byte": (changed("/bin/make", b"#!/bin/sh\n"), "it has changed: SHA-256"),
    "a manifest with another byte": (changed("lab-metadata.json", b"{}"), "is of another format"),
    "no manifest": (changed("lab-metadata.json", None), "there is no Lab in"),
    "a name with a NUL": (added("TOP/a\0b"), "the manifest does not name it"),
    "a name that is too long": (added("TOP/" + "x" * 300), "File name too long"),
    "a deep tree": (added("TOP/" + "d/" * 300 + "x"), "it lies in more than 256 directories"),
    "an empty link": (added("TOP/link", LINK, ""), "its header says what cannot be"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_is_refused_and_leaves_nothing(there: World, packed: Path, kind: str) -> None:
    change, said = HOSTILE[kind]
    members = read_members(packed)
    top = members[0][0].name
    bad = write_members(there.root / "bad.tar", change(members, top))
    refused_whole(there, bad, said)
    assert not Path("/tmp/repx-hostile").exists()


def refused(there: World, bad: Path, said: str) -> None:
    """Unpacking ends with this complaint, and nothing is left of what was unpacked."""
    error: RepxError | None
    try:
        error = unpack(str(bad), Store(str(there.store)), lambda _: None).carried.damage()
    except RepxError as raised:
        error = raised
    assert error is not None, "it was unpacked"
    told = "\n".join(error.lines())
    assert said in told
    assert str(there.store) not in told, "where it was unpacked says nothing to anybody"
    assert is_tidy(there.store)


def refused_whole(there: World, bad: Path, said: str) -> None:
    """Unpacking ends with this complaint, and nothing of the archive is anywhere."""
    refused(there, bad, said)
    assert not list((there.store / "foreign").iterdir())
    assert not list((there.store / "labs").iterdir())
    assert not list((there.store / "outputs").iterdir())


def test_a_command_ends_with_status_2(there: World) -> None:
    (there.root / "bad.tar").write_bytes(b"x" * 1024)
    done = there.repx("unpack", "bad.tar")
    assert (done.status, done.stderr.splitlines()[0]) == (2, "error: bad.tar is not a tar archive, or damaged")
    assert not (there.root / "result").is_symlink()
    assert is_tidy(there.store)


@pytest.fixture(name="there")
def an_empty_world(tmp_path: Path) -> Iterator[World]:
    """Who is given the archive."""
    world = World(tmp_path)
    yield world
    world.tidy()


@pytest.fixture(name="packed", scope="module")
def a_packed_lab(first: World) -> Path:
    """With its results."""
    ok(first.repx("pack", "-o", "packed.tar", "--results"))
    return first.root / "packed.tar"


@pytest.mark.parametrize("part", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("ending", [".tar", ".tar.zst"])
def test_an_archive_that_is_cut_short(there: World, packed: Path, first: World, part: float, ending: str) -> None:
    if ending == ".tar.zst":
        needs_zstandard()
        ok(first.repx("pack", "-o", "packed.tar.zst", "--results"))
    data = packed.with_name("packed" + ending).read_bytes()
    bad = there.root / f"bad{ending}"
    bad.write_bytes(data[: int(len(data) * part)])
    refused_whole(there, bad, "is cut short")


def test_a_byte_that_is_another_is_seen(there: World, first: World) -> None:
    needs_zstandard()
    ok(first.repx("pack", "-o", "packed.tar.zst", "--results"))
    data = bytearray((first.root / "packed.tar.zst").read_bytes())
    data[len(data) // 2] ^= 1
    (there.root / "bad.tar.zst").write_bytes(data)
    refused_whole(there, there.root / "bad.tar.zst", "is damaged")


def test_a_result_that_is_not_what_its_record_says_is_left_out(there: World, packed: Path) -> None:
    members = changed("out/items.json", b"[7]")(read_members(packed), "")
    bad = write_members(there.root / "bad.tar", members)
    refused(there, bad, "its output items has not the digest that its record says")
    assert not there.job_directories("split")
    assert len(there.job_directories("make")) == 2, "the others were taken"


def test_a_result_with_a_link_that_leaves_the_archive(there: World, packed: Path) -> None:
    refused_whole(there, with_a_link_in_a_result(there, packed, "/etc/passwd"), "it is a link that leaves the archive")


def test_a_result_with_a_link_that_leaves_it(there: World, packed: Path) -> None:
    bad = with_a_link_in_a_result(there, packed, "../../../../etc/passwd")
    refused(there, bad, "$out/x: the link to ../../../../etc/passwd leaves the tree")
    assert not there.job_directories("split")


def with_a_link_in_a_result(there: World, packed: Path, target: str) -> Path:
    """An archive with a link beside an output of the split."""
    members = read_members(packed)
    place = next(one.name for one, _ in members if one.name.endswith("-split-1/out"))
    return write_members(there.root / "bad.tar", [*members, member(f"{place}/x", LINK, target=target)])


def test_a_small_file_that_becomes_a_large_one(there: World, monkeypatch: pytest.MonkeyPatch) -> None:
    needs_zstandard()
    monkeypatch.setattr(compression, "_FREE_BYTES", 1 << 20)
    bomb = io.BytesIO()
    with tarfile.open(fileobj=bomb, mode="w") as made:
        zeros, data = member("top/zeros", data=bytes(8 << 20))
        made.addfile(zeros, io.BytesIO(data))
    bad = there.root / "bad.tar.zst"
    with bad.open("wb") as file:
        writer = compression.compressed(file, str(bad))
        writer.write(bomb.getvalue())
        writer.close()
    refused_whole(there, bad, "grows too much: each of its bytes becomes more than 200")


def test_too_many_members(there: World, packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_MEMBERS", 20)
    refused_whole(there, packed, "it is one of more than 20 members")


@pytest.mark.parametrize(
    ("kind", "size"), [(tarfile.GNUTYPE_LONGNAME, 1 << 30), (tarfile.XHDTYPE, 1 << 30), (tarfile.REGTYPE, 1 << 40)]
)
def test_a_length_that_is_not_there(there: World, kind: bytes, size: int) -> None:
    header = tarfile.TarInfo("top/x")
    header.type, header.size = kind, size
    bad = there.root / "bad.tar"
    bad.write_bytes(header.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    said = "is cut short" if kind == tarfile.REGTYPE else "a name of more than 65536 bytes"
    refused_whole(there, bad, said)


@pytest.mark.parametrize(
    ("records", "said"),
    [
        (b"20 path=/etc/passwd\n", "it leads outside"),
        (b"99 path=x\n", "an extended header is damaged"),
        (b"0 x\n", "an extended header is damaged"),
        (b"x", "an extended header is damaged"),
        (b"10 size=-1\n"[:11], "an extended header is damaged"),
        (b"11 size=-1\n", "its header says what cannot be"),
        (b"23 GNU.sparse.major=1 \n", "it is a file with holes"),
    ],
)
def test_an_extended_header_that_lies(there: World, records: bytes, said: str) -> None:
    extended = tarfile.TarInfo("pax")
    extended.type, extended.size = tarfile.XHDTYPE, len(records)
    file = tarfile.TarInfo("top/x")
    bad = there.root / "bad.tar"
    blocks = [extended.tobuf(), records.ljust(512, b"\0"), file.tobuf(), bytes(1024)]
    bad.write_bytes(b"".join(blocks))
    refused_whole(there, bad, said)


def test_a_lab_that_was_forged_runs_for_itself_alone(neighbours: Neighbours) -> None:
    """An archive is from elsewhere: even a whole one gives no result to what is realized here."""
    here, there = neighbours.here, neighbours.there
    ok(here.repx("pack", "-o", str(there.root / "x.tar"), "--results"))
    ok(there.repx("unpack", "x.tar", "-o", "theirs"))
    neighbours.realize_there()
    statuses = {job["status"] for job in ok(there.repx("list", "jobs", "--json")).answer}
    assert statuses == {"pending"}
    assert os.path.realpath(there.root / "theirs") != os.path.realpath(there.root / "result")
