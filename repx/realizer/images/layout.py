"""An image on disk: an OCI image layout that is a Docker archive too; does not know what is in its layers.

OCI image specification 1.0, image-layout.md, manifest.md, config.md. `manifest.json` is what `docker load` reads
(moby, image/spec, since 1.10); Docker itself writes both since 25. Podman looks at `index.json` first.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from repx.agent.base.digest import canonical_json
from repx.agent.base.files import write_file
from repx.errors import SoftwareError
from repx.realizer.images.layer_store import StoredLayer

OUT = "/repx/out"
"""Where a job in a container starts and leaves its results."""

_ARCHITECTURES = {
    "aarch64": "arm64",
    "amd64": "amd64",
    "arm64": "arm64",
    "armv7l": "arm",
    "i686": "386",
    "ppc64le": "ppc64le",
    "riscv64": "riscv64",
    "s390x": "s390x",
    "x86_64": "amd64",
}
_CREATED = "1970-01-01T00:00:01Z"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


@dataclass(frozen=True, slots=True)
class Image:
    """An image's names: `digest` (of its manifest), `image_id` (of its config: what engines call it), `reference`.

    The first two are lowercase hex of a SHA-256. `reference` is `localhost/repx:` with half of the digest: engines find
    a loaded image by it, and never look for it in a registry.
    """

    digest: str
    image_id: str
    reference: str


def write_image(directory: str, layers: Sequence[StoredLayer], architecture: str) -> Image:
    """Write an image as a new directory, lowest layer first. The same bytes for the same layers and architecture.

    `architecture` is OCI's word (`oci_architecture`). Each layer stands in `blobs/` as a relative link to its file.
    Raises OSError; whoever calls this publishes the directory, or removes what is left of it.
    """
    blobs = f"{directory}/blobs/sha256"
    for path in (directory, os.path.dirname(blobs), blobs):
        os.mkdir(path)
    for layer in layers:
        os.symlink(os.path.relpath(layer.path, blobs), f"{blobs}/{layer.sha256}")
    config = _write_blob(blobs, _config(layers, architecture))
    manifest = _write_blob(
        blobs,
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": {"mediaType": _CONFIG, **config},
            "layers": [_descriptor(layer.sha256, layer.size) | {"mediaType": _LAYER} for layer in layers],
        },
    )
    digest, image_id = (str(one["digest"]).removeprefix("sha256:") for one in (manifest, config))
    image = Image(digest, image_id, f"localhost/repx:{digest[:32]}")
    # Podman before 4 knows the second name only, containerd means the first.
    names = {"io.containerd.image.name": image.reference, "org.opencontainers.image.ref.name": image.reference}
    entry = {"mediaType": _MANIFEST, **manifest, "annotations": names}
    archive = {
        "Config": f"blobs/sha256/{image_id}",
        "RepoTags": [image.reference],
        "Layers": [f"blobs/sha256/{layer.sha256}" for layer in layers],
    }
    _write(f"{directory}/index.json", {"schemaVersion": 2, "manifests": [entry]})
    _write(f"{directory}/manifest.json", [archive])
    _write(f"{directory}/oci-layout", {"imageLayoutVersion": "1.0.0"})
    return image


def oci_architecture(machine: str) -> str:
    """OCI's word for what `uname -m`, or Nix's `system` before its dash, says. SoftwareError if there is none."""
    try:
        return _ARCHITECTURES[machine]
    except KeyError:
        raise SoftwareError(
            "images cannot be made for this machine",
            facts=[("machine", machine), ("known", ", ".join(sorted(_ARCHITECTURES)))],
            hint='use container="none"',
        ) from None


def _config(layers: Sequence[StoredLayer], architecture: str) -> dict[str, Any]:
    return {
        "architecture": architecture,
        "os": "linux",
        "created": _CREATED,
        "config": {"Env": ["PATH=/bin:/usr/bin"], "User": "1000:1000", "WorkingDir": OUT},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.sha256}" for layer in layers]},
        "history": [{"created": _CREATED, "created_by": f"repx: {layer.layer.title}"} for layer in layers],
    }


def _write_blob(blobs: str, value: Any) -> dict[str, Any]:
    content = canonical_json(value).encode()
    sha256 = hashlib.sha256(content).hexdigest()
    write_file(f"{blobs}/{sha256}", content)
    os.chmod(f"{blobs}/{sha256}", 0o444)
    return _descriptor(sha256, len(content))


def _descriptor(sha256: str, size: int) -> dict[str, Any]:
    return {"digest": f"sha256:{sha256}", "size": size}


def _write(path: str, value: Any) -> None:
    write_file(path, canonical_json(value).encode())
    os.chmod(path, 0o444)
