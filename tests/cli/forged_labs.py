"""Labs whose every digest fits, but which say something else than what was realized: made as an attacker would."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from repx.agent.base.digest import canonical_json, digest_of_text, short_digest
from repx.lab.directory import LabDirectory
from repx.model.lab import folder_digest
from tests.runtime.world import World


def copied(world: World, name: str = "tampered") -> Path:
    """A copy of ./result that may be written to."""
    copy = world.root / name
    for old in (copy, world.root / "bin"):
        shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(world.root / "result", copy, symlinks=True)
    for path in copy.rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o200)
    return copy


def forge_script(lab: Path, stage: str, old: str, new: str) -> None:
    """Another script under the same recipe: its directory, its run file and the manifest get the names that fit."""
    (script,) = lab.glob(f"store/*/bin/{stage}")
    text = script.read_text()
    assert old in text
    script.write_text(text.replace(old, new))
    found = next(one for run in LabDirectory(lab).runs.values() for one in run.stages.values() if one.name == stage)
    folder = script.parents[1]
    files = [
        (str(path.relative_to(folder)), sha256_of(path), os.access(path, os.X_OK))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    digest = folder_digest(
        found.fingerprint_digest, [(name, sha256, name == f"bin/{stage}") for name, sha256, _ in files]
    )
    rename(lab, found.digest, digest)


def rename(lab: Path, old: str, new: str) -> None:
    """Give a stage's directory another name, and everything that says it."""
    (lab / "store" / old).rename(lab / "store" / new)
    for link in (lab / "jobs").iterdir():
        if old in str(link.readlink()):
            link.unlink()
            link.symlink_to(f"../store/{new}/")
    root = lab / "revision/metadata.json"
    text = root.read_text()
    for place in json.loads(text)["runs"]:
        content = (lab / place).read_text().replace(old, new).encode()
        (lab / place).unlink()
        name = f"revision/{short_digest(hashlib.sha256(content).digest())}.json"
        (lab / name).write_bytes(content)
        text = text.replace(place, name)
    root.write_text(text)
    seal(lab)


def seal(lab: Path, **values: Any) -> None:
    """A manifest of what is there now."""
    manifest = lab / "lab/lab-metadata.json"
    content = {**json.loads(manifest.read_text()), **values}
    content.pop("labId")
    content["files"] = [
        {"path": str(path.relative_to(lab)), "sha256": sha256_of(path)}
        for path in sorted(lab.rglob("*"))
        if path.is_file() and not path.is_symlink() and path != manifest and "jobs" not in path.relative_to(lab).parts
    ]
    content["labId"] = digest_of_text(canonical_json(content))
    manifest.write_text(json.dumps(content))


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
