"""The images of a Lab: the files of one, and whether it is the image that its name says; loads none.

An image is known by the first digits of its manifest's SHA-256: the engine, once it has loaded one, is asked for it by
these. So everything in it must follow from that manifest (OCI image specification 1.0, manifest.md).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from repx.agent.base.names import is_place, is_sha256
from repx.agent.lab.fault import Complaint
from repx.agent.lab.format import METADATA_LIMIT
from repx.agent.lab.json_file import read_json
from repx.agent.lab.place import LabRoot, Place
from repx.errors import LabError

BLOBS = "blobs/sha256"
_HEADS = ("index.json", "manifest.json", "oci-layout")
_NAME_DIGITS = 32


def image_reference(image: str) -> str:
    """What an engine calls an image of a Lab; empty for none. It names no registry, so nobody looks in one."""
    return f"localhost/repx:{image.rpartition('/')[2]}" if image else ""


def image_files(root: LabRoot, image: str) -> dict[str, Place]:
    """The files of an image by their paths in it. A blob may be a link to a file below store/. Raises LabError."""
    files = {name: root.file(f"{image}/{name}") for name in _HEADS}
    for name in root.directory(f"{image}/{BLOBS}").names():
        files[f"{BLOBS}/{name}"] = root.file(_blob_place(root, f"{image}/{BLOBS}/{name}"))
    return files


def image_complaints(root: LabRoot, image: str) -> Iterator[Complaint]:
    """What keeps an image from being the one that it is called. Its blobs are known to have the names they should."""
    try:
        files = image_files(root, image)
        index, archive, layout = (read_json(root, f"{image}/{name}", METADATA_LIMIT) for name in _HEADS)
        digest = _digest(index["manifests"][0])
        manifest = read_json(root, files[f"{BLOBS}/{digest}"].name, METADATA_LIMIT)
        wanted = _heads(index["manifests"][0], manifest, image_reference(image))
        blobs = {digest, _digest(manifest["config"]), *map(_digest, manifest["layers"])}
    except (LookupError, TypeError, ValueError):
        yield image, "it is not an image"
        return
    except LabError as error:
        yield image, str(error.facts[0][1]) if error.facts else error.headline
        return
    if [index, archive, layout] != wanted or digest[:_NAME_DIGITS] != image.rpartition("/")[2]:
        yield image, "it is another image than its name says"
    if files.keys() != {*_HEADS, *(f"{BLOBS}/{blob}" for blob in blobs)}:
        yield image, "its blobs are not those of its manifest"


def _heads(entry: dict[str, Any], manifest: dict[str, Any], reference: str) -> list[Any]:
    """What index.json, manifest.json and oci-layout have to say of a manifest and the entry that leads to it."""
    names = {"io.containerd.image.name": reference, "org.opencontainers.image.ref.name": reference}
    archive = {
        "Config": f"{BLOBS}/{_digest(manifest['config'])}",
        "RepoTags": [reference],
        "Layers": [f"{BLOBS}/{_digest(layer)}" for layer in manifest["layers"]],
    }
    index = {"schemaVersion": 2, "manifests": [{**entry, "annotations": names}]}
    return [index, [archive], {"imageLayoutVersion": "1.0.0"}]


def _digest(descriptor: dict[str, Any]) -> str:
    kind, _, digest = descriptor["digest"].partition(":")
    if kind != "sha256" or not is_sha256(digest):
        raise ValueError(digest)
    return str(digest)


def _blob_place(root: LabRoot, place: str) -> str:
    try:
        target = os.readlink(f"{root.path}/{place}")
    except OSError:
        return place
    meant = os.path.normpath(os.path.join(os.path.dirname(place), target))
    if not is_place(meant) or not meant.startswith("store/"):
        raise root.fault((place, f"it is a link to {target}"))
    return meant
