"""Images: which layers, their bytes, and the directory an engine reads."""

from __future__ import annotations

import hashlib
import json
import os
import random
import socket
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repx.agent.base.layout import Store
from repx.errors import SoftwareError
from repx.realizer.images.layer import write_layer
from repx.realizer.images.layer_store import LayerStore
from repx.realizer.images.layout import oci_architecture, write_image
from repx.realizer.images.plan import BaseLayer, ImagePath, Layer, plan_layers
from repx.store.writer import open_writer

HERE = Path(__file__).parents[3]
SHELL = "/nix/store/" + "0" * 32 + "-bash/bin/bash"


def path_named(name: str, source: str = "/nowhere", size: int = 0) -> ImagePath:
    return ImagePath(name, f"sha256:{hashlib.sha256(name.encode()).hexdigest()}", source, size)


PATHS = st.lists(
    st.builds(path_named, st.integers(0, 400).map(lambda n: f"{n:032d}-p"), size=st.integers(0, 3)),
    max_size=250,
    unique_by=lambda path: path.name,
)
USES = st.dictionaries(st.integers(0, 400).map(lambda n: f"{n:032d}-p"), st.integers(0, 5))


@given(PATHS, USES, st.integers(2, 120), st.randoms(use_true_random=False))
def test_every_path_is_in_one_layer_and_no_image_has_too_many(
    paths: list[ImagePath], uses: dict[str, int], limit: int, chance: random.Random
) -> None:
    layers = plan_layers(paths, uses, limit)
    assert sorted(path.name for layer in layers for path in layer.paths) == sorted(path.name for path in paths)
    assert len(layers) == min(len(paths), limit - 1)
    assert all(len(layer.paths) == 1 for layer in layers[:-1])
    shuffled = list(paths)
    chance.shuffle(shuffled)
    assert plan_layers(shuffled + paths, uses, limit) == layers


@given(PATHS, PATHS, USES)
def test_two_images_share_all_layers_below_their_first_difference(
    one: list[ImagePath], two: list[ImagePath], uses: dict[str, int]
) -> None:
    """Engines know a layer by all that is below it, so the order must not depend on the image."""
    sizes = {path.name: path for path in [*two, *one]}
    first, second = (plan_layers([sizes[path.name] for path in paths], uses, 1000) for paths in (one, two))
    common = {path.name for path in one} & {path.name for path in two}
    shared = [[layer.identity for layer in plan if layer.paths[0].name in common] for plan in (first, second)]
    assert shared[0] == shared[1]


def test_what_is_used_most_lies_lowest_then_what_is_largest() -> None:
    paths = [path_named("d", size=1), path_named("c", size=9), path_named("b", size=1), path_named("a")]
    plan = plan_layers(paths, {"a": 3, "b": 1, "c": 1, "d": 1}, limit=4)
    assert [[path.name for path in layer.paths] for layer in plan] == [["a"], ["c"], ["b", "d"]]


def test_a_layer_is_known_by_names_and_contents_not_by_where_they_lie() -> None:
    one, moved, other = (
        Layer((ImagePath("n", nar_hash, source, size),))
        for nar_hash, source, size in [("h", "/a", 1), ("h", "/b", 2), ("g", "/a", 1)]
    )
    assert one.identity == moved.identity != other.identity
    bases = [BaseLayer(), BaseLayer("/x"), BaseLayer(None, "/x"), BaseLayer("/x", "/x")]
    assert len({one.identity, *(base.identity for base in bases)}) == 5


def test_a_path_with_two_contents_is_refused() -> None:
    with pytest.raises(SoftwareError, match="two contents"):
        plan_layers([ImagePath("n", "h", "/a", 1), ImagePath("n", "g", "/b", 1)], {})
    with pytest.raises(ValueError, match="limit"):
        plan_layers([], {}, 1)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree as Nix leaves them, with everything in it that makes archives differ."""
    root = tmp_path / "objects" / ("1" * 32 + "-tree")
    (root / "bin").mkdir(parents=True)
    (root / "bin/tool").write_bytes(b"#!/bin/sh\n" + b"t" * 5_000)
    (root / "bin/tool").chmod(0o555)
    (root / "big").write_bytes(os.urandom(2_500_000))
    (root / "empty").write_bytes(b"")
    (root / "blocks").write_bytes(b"b" * 1024)
    (root / "a-b").write_text("sorts before a/ as text, after it as an entry")
    (root / "a").mkdir()
    (root / "a/x").write_text("x")
    (root / "a" / ("long" * 30)).write_text("over 100")
    deep = root / "/".join(["d" * 60] * 6)
    deep.mkdir(parents=True)
    (deep / "over 300").write_text("deep")
    (root / "Ärger 日本").write_text("not ASCII")
    (root / os.fsdecode(b"not-utf8-\xff")).write_text("bytes")
    (root / "link").symlink_to("bin/tool")
    (root / "far").symlink_to("/nix/store/" + "t" * 200)
    os.link(root / "a/x", root / "second name")
    for path in root.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o555 if path.is_dir() or path.name == "tool" else 0o444)
    root.chmod(0o555)
    return root


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def layer_of(*roots: Path) -> Layer:
    return Layer(tuple(path_named(root.name, str(root)) for root in roots))


def test_a_layer_is_what_gnu_tar_makes_of_the_same_tree(tree: Path, tmp_path: Path) -> None:
    sha256, size = write_layer(layer_of(tree), str(tmp_path / "ours.tar"))
    ours = (tmp_path / "ours.tar").read_bytes()
    assert (hashlib.sha256(ours).hexdigest(), len(ours)) == (sha256, size)
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
    subprocess.run(["tar", "-xpf", "ours.tar", "-C", "ours"], cwd=tmp_path, check=True)
    assert names_in(tmp_path / "ours/nix/store") == [tree.name]
    unpacked = tmp_path / "ours/nix/store" / tree.name
    for path in [tree, *tree.rglob("*")]:
        twin = unpacked / path.relative_to(tree)
        assert twin.lstat().st_mode == path.lstat().st_mode
        assert twin.lstat().st_mtime == 1
        if path.is_symlink():
            assert twin.readlink() == path.readlink()
        elif path.is_file():
            assert twin.read_bytes() == path.read_bytes()
            assert twin.stat().st_nlink == 1
    assert len(list(tree.rglob("*"))) == len(list(unpacked.rglob("*")))
    listing = gnu_tar_listing(tmp_path / "ours.tar")
    command = ["tar", "--format=gnu", "--sort=name", "--hard-dereference", "--mtime=@1", "--owner=:0", "--group=:0"]
    archive = [*command, f"--transform=s,^{tree.name},nix/store/{tree.name},SH", "-cf", str(tmp_path / "theirs.tar")]
    subprocess.run([*archive, "-C", str(tree.parent), tree.name], check=True)
    assert listing[2:] == gnu_tar_listing(tmp_path / "theirs.tar")


def gnu_tar_listing(archive: Path) -> list[bytes]:
    """Names, kinds, modes, owners, sizes and times, in the order of the archive."""
    command = ["tar", "--utc", "--full-time", "--numeric-owner", "--quoting-style=literal", "-tvf", str(archive)]
    lines = subprocess.run(command, check=True, capture_output=True).stdout.splitlines()
    return [b" ".join(line.split()) for line in lines]


def test_a_layer_reads_well_in_python(tree: Path, tmp_path: Path) -> None:
    write_layer(layer_of(tree), str(tmp_path / "a.tar"))
    with tarfile.open(tmp_path / "a.tar") as archive:
        members = archive.getmembers()
    assert [member.name for member in members[:3]] == ["nix", "nix/store", f"nix/store/{tree.name}"]
    assert {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in members} == {(0, 0, "", "", 1)}
    assert {m.type for m in members} == {tarfile.DIRTYPE, tarfile.REGTYPE, tarfile.SYMTYPE}
    assert {m.mode for m in members if m.issym()} == {0o777}
    assert {m.mode for m in members if m.isfile()} == {0o444, 0o555}


def test_a_store_path_may_be_one_file_or_a_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("#!/bin/sh\n")
    (tmp_path / "file").chmod(0o755)
    (tmp_path / "link").symlink_to("/nix/store/other")
    write_layer(layer_of(tmp_path / "file", tmp_path / "link"), str(tmp_path / "a.tar"))
    with tarfile.open(tmp_path / "a.tar") as archive:
        file, link = archive.getmembers()[2:]
    assert (file.name, file.isfile(), file.mode) == ("nix/store/file", True, 0o555)
    assert (link.name, link.linkname) == ("nix/store/link", "/nix/store/other")


def test_what_no_layer_can_hold_is_refused(tmp_path: Path) -> None:
    """`.wh.x` in a layer deletes x from those below (image-spec, layer.md, Whiteouts)."""
    for name in ("whiteout", "socket", "gone"):
        (tmp_path / name).mkdir()
    (tmp_path / "whiteout/.wh.x").write_text("")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket/s"))
    for name, reason in [("whiteout", "deleted"), ("socket", "socket")]:
        with pytest.raises(SoftwareError, match=reason):
            write_layer(layer_of(tmp_path / name), str(tmp_path / "a.tar"))
    with pytest.raises(FileNotFoundError):
        write_layer(layer_of(tmp_path / "absent"), str(tmp_path / "a.tar"))


def test_the_base_is_a_root_directory_for_jobs(tmp_path: Path) -> None:
    write_layer(BaseLayer(SHELL), str(tmp_path / "a.tar"))
    with tarfile.open(tmp_path / "a.tar") as archive:
        members = {member.name: member for member in archive}
        passwd = archive.extractfile("etc/passwd")
        assert passwd is not None
        assert b"repx:x:1000:1000:" in passwd.read()
    assert members["bin/sh"].linkname == SHELL
    assert "usr/bin/env" not in members
    assert {members[name].mode for name in ("tmp", "repx/out")} == {0o1777}
    assert {"proc", "dev", "sys", "repx/in", "nix/store"} <= members.keys()
    order = [".", *members]
    for name in members:
        assert order.index(str(Path(name).parent)) < order.index(name)


@pytest.fixture
def store(tmp_path: Path) -> LayerStore:
    return store_in(tmp_path / "store")


def store_in(root: Path) -> LayerStore:
    for name in ("objects", "tmp"):
        (root / name).mkdir(parents=True)
    return LayerStore(open_writer(Store(str(root)), "/experiment.py"))


def test_only_new_layers_are_written(store: LayerStore, tree: Path, tmp_path: Path) -> None:
    (first,) = store.take([layer_of(tree)])
    assert first.is_new
    subprocess.run(["sha256sum", "--check", "--quiet", "sha256"], cwd=Path(first.path).parent, check=True)
    # Nothing to read any more: were it read again, this would fail.
    tree.rename(tree.with_name("moved"))
    again, base, same = store.take([layer_of(tree), BaseLayer(), layer_of(tree)])
    assert [layer.is_new for layer in (again, base, same)] == [False, True, False]
    assert (again.path, again.sha256, again.size) == (first.path, first.sha256, first.size)
    assert names_in(tmp_path / "store/tmp") == []
    assert Path(first.path).stat().st_mode & 0o222 == 0


def test_a_layer_that_fails_leaves_those_before_it_and_comes_right_later(store: LayerStore, tmp_path: Path) -> None:
    source = tmp_path / ("2" * 32 + "-p")
    with pytest.raises(FileNotFoundError):
        store.take([BaseLayer(), layer_of(source)])
    assert names_in(tmp_path / "store" / "objects") == [f"{BaseLayer().identity}-layer"]
    assert names_in(tmp_path / "store" / "tmp") == []
    source.write_text("there now")
    assert [layer.is_new for layer in store.take([BaseLayer(), layer_of(source)])] == [False, True]


@pytest.mark.parametrize("part", ["layer.tar", "sha256"])
def test_a_layer_half_deleted_is_written_again(store: LayerStore, tree: Path, part: str, tmp_path: Path) -> None:
    (first,) = store.take([layer_of(tree)])
    directory = Path(first.path).parent
    directory.chmod(0o755)
    (directory / part).unlink()
    directory.chmod(0o555)
    (second,) = store.take([layer_of(tree)])
    assert second == first
    subprocess.run(["sha256sum", "--check", "--quiet", "sha256"], cwd=directory, check=True)
    assert names_in(tmp_path / "store/tmp") == []


def test_an_empty_layer_as_after_a_loss_of_power_is_written_again(store: LayerStore, tree: Path) -> None:
    (first,) = store.take([layer_of(tree)])
    Path(first.path).chmod(0o644)
    os.truncate(first.path, 0)
    (second,) = store.take([layer_of(tree)])
    assert second == first
    subprocess.run(["sha256sum", "--check", "--quiet", "sha256"], cwd=Path(first.path).parent, check=True)


def test_many_writers_of_one_layer_all_have_it(tree: Path, tmp_path: Path) -> None:
    root = tmp_path / "store"
    store = store_in(root)
    script = (
        "import sys; from tests.realizer.images.test_image import *\n"
        "store = LayerStore(open_writer(Store(sys.argv[1]), '/experiment.py'))\n"
        "print('ready', flush=True); input()\n"
        "print(store.take([layer_of(Path(sys.argv[2]))])[0].sha256)"
    )
    command = [sys.executable, "-c", script, str(root), str(tree)]
    pipe = subprocess.PIPE
    writers = [subprocess.Popen(command, cwd=HERE, stdin=pipe, stdout=pipe, text=True) for _ in range(4)]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    said = {writer.communicate()[0].strip() for writer in writers}
    assert [writer.returncode for writer in writers] == [0] * 4
    (layer,) = store.take([layer_of(tree)])
    assert not layer.is_new
    assert said == {layer.sha256}
    assert names_in(root / "tmp") == []


def image_files(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_an_image_names_every_blob_by_its_content(store: LayerStore, tree: Path, tmp_path: Path) -> None:
    layers = store.take([BaseLayer(SHELL), layer_of(tree)])
    image = write_image(str(tmp_path / "image"), layers, "amd64")
    files = image_files(tmp_path / "image")
    blobs = {place.removeprefix("blobs/sha256/"): data for place, data in files.items() if "/" in place}
    assert {name: hashlib.sha256(data).hexdigest() for name, data in blobs.items()} == {name: name for name in blobs}
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    (entry,) = json.loads(files["index.json"])["manifests"]
    assert entry["digest"] == f"sha256:{image.digest}"
    assert set(entry["annotations"].values()) == {image.reference}
    manifest = json.loads(blobs[image.digest])
    assert entry["size"] == len(blobs[image.digest])
    assert manifest["config"]["digest"] == f"sha256:{image.image_id}"
    for descriptor in [manifest["config"], *manifest["layers"]]:
        assert len(blobs[descriptor["digest"].removeprefix("sha256:")]) == descriptor["size"]
    config = json.loads(blobs[image.image_id])
    assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]
    assert [entry["created_by"] for entry in config["history"]] == ["repx: base", f"repx: {tree.name}"]
    assert (config["architecture"], config["os"]) == ("amd64", "linux")
    (docker,) = json.loads(files["manifest.json"])
    assert docker["RepoTags"] == [image.reference]
    assert [files[place] for place in (docker["Config"], *docker["Layers"])] == [
        blobs[image.image_id],
        *(Path(layer.path).read_bytes() for layer in layers),
    ]


def test_layers_are_in_images_by_name_only(store: LayerStore, tree: Path, tmp_path: Path) -> None:
    layers = store.take([BaseLayer(SHELL), layer_of(tree)])
    write_image(str(tmp_path / "image"), layers, "amd64")
    for layer in layers:
        blob = tmp_path / "image/blobs/sha256" / layer.sha256
        assert not blob.readlink().is_absolute()
        assert blob.samefile(layer.path)


def test_an_image_is_the_same_bytes_anywhere(tree: Path, tmp_path: Path) -> None:
    script = (
        "import os, sys; from tests.realizer.images.test_image import *\n"
        "from tests.archives import directory_stream\n"
        "os.umask(int(sys.argv[3], 8)); root = Path(sys.argv[1]); tree = Path(sys.argv[2])\n"
        "layers = store_in(root / 'store').take([BaseLayer(SHELL, SHELL), layer_of(tree)])\n"
        "write_image(str(root / 'image'), layers, 'amd64')\n"
        "sys.stdout.buffer.write(b''.join(directory_stream(str(root / 'image'))))"
    )
    copy = tmp_path / "elsewhere" / tree.name
    copy.parent.mkdir()
    subprocess.run(["cp", "-a", str(tree), str(copy)], check=True)
    os.utime(copy / "big", (5e8, 5e8))
    said = set()
    for number, (source, mask, locale, seed) in enumerate([(tree, "022", "C", "1"), (copy, "077", "C.UTF-8", "2")]):
        root = tmp_path / str(number)
        root.mkdir()
        environment = {"PATH": os.environ["PATH"], "LC_ALL": locale, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", script, str(root), str(source), mask]
        done = subprocess.run(command, cwd=HERE, env=environment, check=True, capture_output=True)
        said.add(hashlib.sha256(done.stdout).hexdigest())
    assert len(said) == 1


def test_the_bytes_of_an_image_do_not_drift(store: LayerStore, tmp_path: Path) -> None:
    """When this fails, every image in every store is about to be made anew: then LAYER_FORMAT goes up."""
    source = tmp_path / ("3" * 32 + "-p")
    source.write_text("content")
    image = write_image(str(tmp_path / "image"), store.take([BaseLayer(SHELL), layer_of(source)]), "amd64")
    assert image.digest == "2d68e3455e25985c3b2add9cc9d9d074fbe62090c98d31e1763e28f3a4e0ca7e"


def test_machines_have_their_names() -> None:
    assert [oci_architecture(machine) for machine in ("x86_64", "aarch64")] == ["amd64", "arm64"]
    assert oci_architecture(os.uname().machine)
    with pytest.raises(SoftwareError, match="vax"):
        oci_architecture("vax")
