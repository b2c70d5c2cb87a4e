"""Parses what Nix prints, from Nix 2.4 to current versions, whose JSON differs; starts nothing.

What changed: `path-info --json` was a list (to 2.18), is an object by path (from 2.19), and in its second format (from
2.33) has names of paths below "info". Hashes are SRI (`sha256-<base64>`), base-32 or hex after `sha256:`, or objects.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from repx.agent.base.digest import canonical_json, digest_of_text, nix_base32_bytes
from repx.model.closure import STORE_DIR, StorePath, is_store_name

OLDEST = (2, 4)
"""The first Nix with flakes."""


class UnreadableAnswerError(Exception):
    """Nix has printed something that none of the known versions prints."""


@dataclass(frozen=True, slots=True)
class FlakeState:
    """What a reference means today: the URL that pins it, the revision of its source, and the digest of its lock."""

    url: str
    revision: str
    lock: str


@dataclass(frozen=True, slots=True)
class Package:
    """One evaluated attribute of a package set: its derivation, and the outputs that a Lab needs of it."""

    drv: str
    outputs: tuple[str, ...]
    program: str
    version: str
    names: tuple[str, ...]
    """The names of the store paths of `outputs`."""


def parse_version(text: str) -> tuple[int, ...]:
    """(2, 8, 0) of `nix (Nix) 2.8.0`; () without a number. Forks print their own version first and Nix's last."""
    found = re.findall(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part) for part in found[-1] if part) if found else ()


def parse_metadata(data: bytes) -> FlakeState:
    """The answer of `nix flake metadata --json`. Raises UnreadableAnswerError."""
    content = _object(data)
    locked = content.get("locked")
    url = content.get("lockedUrl") or content.get("url")
    if not isinstance(locked, dict) or not isinstance(url, str):
        raise UnreadableAnswerError("no locked flake in it")
    locks = content.get("locks", {})
    revision = locked.get("narHash") or locked.get("rev") or ""
    if not isinstance(revision, str):
        raise UnreadableAnswerError(f"a revision that is {revision!r}")
    return FlakeState(url, revision, digest_of_text(canonical_json(locks)))


def parse_path_info(data: bytes) -> list[StorePath]:
    """The answer of `nix path-info --json -r`. Raises UnreadableAnswerError, also for a path that is not valid."""
    content = _json(data)
    entries: Iterable[tuple[Any, Any]]
    if isinstance(content, list):
        entries = ((entry.get("path") if isinstance(entry, dict) else entry, entry) for entry in content)
    elif isinstance(content, dict) and isinstance(content.get("info"), dict):
        entries = content["info"].items()
    elif isinstance(content, dict):
        # From 2.33 on, two keys beside the paths describe the whole answer.
        entries = ((path, entry) for path, entry in content.items() if path not in ("version", "storeDir"))
    else:
        raise UnreadableAnswerError("neither a list nor an object")
    return sorted((_store_path(path, entry) for path, entry in entries), key=lambda one: one.name)


def parse_sha256(digest: Any) -> str:
    """A SHA-256 in hex, from any of Nix's forms of one. Raises UnreadableAnswerError."""
    if isinstance(digest, dict):
        digest = f"{digest.get('algorithm')}{'-' if digest.get('format') == 'base64' else ':'}{digest.get('hash')}"
    try:
        if isinstance(digest, str) and re.fullmatch(r"sha256-[0-9A-Za-z+/]{43}=", digest):
            return base64.b64decode(digest[7:], validate=True).hex()
        if isinstance(digest, str) and re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
            return digest[7:]
        if isinstance(digest, str) and re.fullmatch(r"sha256:[0-9a-z]{52}", digest):
            return nix_base32_bytes(digest[7:]).hex()
    except ValueError:
        pass
    raise UnreadableAnswerError(f"{digest!r} is not a SHA-256")


def _store_path(path: Any, entry: Any) -> StorePath:
    if not isinstance(path, str) or not isinstance(entry, dict) or not entry.get("narHash"):
        raise UnreadableAnswerError(f"{path} is not there")
    try:
        references = tuple(sorted(_name(one) for one in entry.get("references", [])))
        return StorePath(_name(path), parse_sha256(entry["narHash"]), int(entry["narSize"]), references)
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise UnreadableAnswerError(f"{path}: {error}") from None


def _name(path: Any) -> str:
    """The name of a store path, which Nix gives whole or as a name. Raises ValueError for anything else."""
    name = path.removeprefix(f"{STORE_DIR}/") if isinstance(path, str) else path
    if not is_store_name(name):
        raise ValueError(f"{path!r} is not a store path")
    return str(name)


def _object(data: bytes) -> dict[str, Any]:
    content = _json(data)
    if not isinstance(content, dict):
        raise UnreadableAnswerError("not an object")
    return content


def _json(data: bytes) -> Any:
    try:
        return json.loads(data, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise UnreadableAnswerError(f"not JSON: {error}") from None


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is not a number")
