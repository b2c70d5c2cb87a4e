"""Images loaded and started by a real Podman, in a storage of its own that is gone afterwards."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from repx.agent.base.layout import Store
from repx.realizer.images.layer_store import LayerStore
from repx.realizer.images.layout import Image, oci_architecture, write_image
from repx.realizer.images.plan import BaseLayer, ImagePath, plan_layers
from repx.store.writer import open_writer
from tests.archives import directory_stream
from tests.machine import needs_programs
from tests.real.worlds import podman_environment

pytestmark = pytest.mark.real

APPLETS = ("cat", "env", "id", "ls", "pwd", "sh", "test", "touch")


class Podman:
    """One engine with a storage of its own."""

    def __init__(self, settings: dict[str, str]) -> None:
        self.environment = {"PATH": os.environ["PATH"], "HOME": settings["TMPDIR"], **settings}
        self.storage = Path(settings["CONTAINERS_STORAGE_CONF"]).parent

    def __call__(self, *arguments: str, cwd: Path | None = None) -> str:
        done = subprocess.run(["podman", *arguments], cwd=cwd, env=self.environment, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def load(self, directory: Path) -> None:
        """Give `podman load` the image piece by piece, as a transport would."""
        command = ["podman", "load"]
        loader = subprocess.Popen(command, env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        assert loader.stdin is not None
        for piece in directory_stream(str(directory)):
            loader.stdin.write(piece)
        loader.stdin.close()
        assert loader.wait() == 0

    def run(self, image: str, *command: str) -> str:
        """What a command says in a container without network and with nothing it could write to but mounts."""
        return self("run", "--rm", "--network=none", "--read-only", "--read-only-tmpfs=false", image, *command)


@pytest.fixture
def podman() -> Iterator[Podman]:
    needs_programs("podman", "runc", "busybox")
    with podman_environment() as settings:
        yield Podman(settings)


@pytest.fixture
def busybox(tmp_path: Path) -> ImagePath:
    """A closure of one path: Debian's static busybox, with its commands beside it."""
    program = shutil.which("busybox")
    assert program is not None
    return store_path(tmp_path, "busybox", Path(program).read_bytes())


def store_path(tmp_path: Path, name: str, program: bytes) -> ImagePath:
    root = tmp_path / "objects" / (name[0] * 32 + "-" + name)
    (root / "bin").mkdir(parents=True)
    (root / "bin" / name).write_bytes(program)
    (root / "bin" / name).chmod(0o555)
    for applet in APPLETS:
        (root / "bin" / applet).symlink_to(name)
    return ImagePath(root.name, f"sha256:{name}", str(root), len(program))


def image_of(tmp_path: Path, name: str, *paths: ImagePath) -> tuple[Path, Image]:
    root = tmp_path / "lab"
    (root / "image").mkdir(parents=True, exist_ok=True)
    bin_directory = f"/nix/store/{paths[0].name}/bin"
    base = BaseLayer(f"{bin_directory}/sh", f"{bin_directory}/env")
    plan = plan_layers(paths, {paths[0].name: 2})
    store = Store(str(root))
    store.create()
    layers = LayerStore(open_writer(store, "/experiment.py")).take([base, *plan])
    architecture = oci_architecture(os.uname().machine)
    image = write_image(str(root / "image" / name), layers, architecture)
    return root / "image" / name, image


def test_a_loaded_image_runs_and_is_found_by_each_of_its_names(
    podman: Podman, busybox: ImagePath, tmp_path: Path
) -> None:
    directory, image = image_of(tmp_path, "one", busybox)
    podman.load(directory)
    for name in (image.reference, image.image_id):
        assert podman("image", "inspect", "--format={{.Id}} {{.Digest}}", name).split() == [
            image.image_id,
            f"sha256:{image.digest}",
        ]
    said = podman.run(image.reference, "/bin/sh", "-c", f"exec /nix/store/{busybox.name}/bin/id; echo not reached")
    assert said.startswith("uid=1000(repx) gid=1000(repx)")
    bin_directory = f"/nix/store/{busybox.name}/bin"
    assert podman.run(image.reference, "/usr/bin/env", "-i", f"{bin_directory}/pwd") == "/repx/out\n"
    script = f"cd {bin_directory}/..; ./bin/touch new 2>/dev/null || echo read-only; ./bin/ls -ld /tmp /repx/out"
    said = podman.run(image.reference, "/bin/sh", "-c", script)
    assert said.startswith("read-only\n")
    assert said.count("drwxrwxrwt") == 2


def test_a_job_writes_where_its_results_are_mounted(podman: Podman, busybox: ImagePath, tmp_path: Path) -> None:
    directory, image = image_of(tmp_path, "one", busybox)
    podman.load(directory)
    out = tmp_path / "results"
    out.mkdir()
    command = ["/bin/sh", "-c", "echo done > result.txt"]
    # By number: a user without sub-ids can have no other than root in a container.
    mounted = ["--user=0:0", "--network=none", "--read-only", f"--volume={out}:/repx/out"]
    podman("run", "--rm", *mounted, image.reference, *command)
    assert (out / "result.txt").read_text() == "done\n"


def test_podman_reads_the_directory_itself(podman: Podman, busybox: ImagePath, tmp_path: Path) -> None:
    """By a short name: of the path given it makes the image's, and refuses capitals in it."""
    directory, image = image_of(tmp_path, "one", busybox)
    podman("pull", f"oci:{directory.name}", cwd=directory.parent)
    assert podman.run(image.image_id, "/bin/sh", "-c", "echo $PATH") == "/bin:/usr/bin\n"


def test_podman_reads_it_as_an_archive_of_docker(podman: Podman, busybox: ImagePath, tmp_path: Path) -> None:
    """No engine of Docker is here to ask; this is the same file, read by other code than that for OCI's layout."""
    directory, image = image_of(tmp_path, "one", busybox)
    archive = tmp_path / "docker.tar"
    with archive.open("wb") as file:
        for piece in directory_stream(str(directory)):
            file.write(piece)
    podman("pull", f"docker-archive:{archive}")
    assert podman.run(image.reference, "/bin/sh", "-c", "echo $PATH") == "/bin:/usr/bin\n"
    assert podman("image", "inspect", "--format={{.Id}}", image.reference).strip() == image.image_id


def test_two_images_share_the_layers_they_have_in_common(podman: Podman, busybox: ImagePath, tmp_path: Path) -> None:
    other = store_path(tmp_path, "more", b"#!/bin/sh\necho more\n")
    references = []
    for name, paths in [("one", [busybox]), ("two", [busybox, other])]:
        directory, image = image_of(tmp_path, name, *paths)
        podman.load(directory)
        references.append(image.reference)
    assert podman.run(references[1], f"/nix/store/{other.name}/bin/more") == "more\n"
    layers = json.loads((podman.storage / "graph/overlay-layers/layers.json").read_text())
    assert len(layers) == len({layer["diff-digest"] for layer in layers}) == 3


def test_a_hundred_layers_are_not_too_many(podman: Podman, busybox: ImagePath, tmp_path: Path) -> None:
    paths = []
    for number in range(120):
        source = tmp_path / f"{number:032d}-p"
        source.write_text(f"{number}\n")
        paths.append(ImagePath(source.name, f"sha256:{number}", str(source), 1))
    directory, image = image_of(tmp_path, "one", busybox, *paths)
    podman.load(directory)
    last = " ".join(f"/nix/store/{path.name}" for path in paths)
    said = podman.run(image.reference, "/bin/sh", "-c", f"/nix/store/{busybox.name}/bin/cat {last}")
    assert said.split() == [str(number) for number in range(120)]
    assert len(json.loads(podman("image", "inspect", image.reference))[0]["RootFS"]["Layers"]) == 100


def test_the_stream_is_an_archive_gnu_tar_reads(busybox: ImagePath, tmp_path: Path) -> None:
    directory, _ = image_of(tmp_path, "one", busybox)
    archive = tmp_path / "image.tar"
    archive.write_bytes(b"".join(directory_stream(str(directory))))
    listed = subprocess.run(["tar", "-tf", str(archive)], check=True, capture_output=True, text=True).stdout.split()
    with tarfile.open(archive) as reader:
        assert [name.rstrip("/") for name in listed] == reader.getnames()
    assert {"oci-layout", "index.json", "manifest.json"} <= set(listed)
