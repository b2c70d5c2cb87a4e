"""Reads what Nix prints, of Nix 2.4 and of current ones, whose JSON differs; starts nothing.

What changed: `path-info --json` was a list (to 2.18), is an object by path (from 2.19), and in its second format has
the paths' names below "info" and hashes as objects. Hashes are SRI (`sha256-<base64>`) or base-32 after `sha256:`.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from repx.agent.digest import canonical_json, digest_of_text, nix_base32_bytes
from repx.model.closure import STORE_DIR, StorePath, name_of

OLDEST = (2, 4)
"""The first Nix with flakes."""


class UnreadableAnswerError(Exception):
    """Nix has printed something that none of the known versions prints."""


@dataclass(frozen=True, slots=True)
class FlakeState:
    """What a reference means today: the URL that pins it, what of its source never changes, its lock's digest."""

    url: str
    revision: str
    lock: str


@dataclass(frozen=True, slots=True)
class Package:
    """One attribute of a package set, evaluated: its derivation and the names of the outputs that are to be there."""

    drv: str
    outputs: tuple[str, ...]
    program: str
    version: str
    names: tuple[str, ...]
    """The store paths of `outputs`, by name."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a build is, and what it is at."""

    done: int
    expected: int
    at: str


def parse_version(text: str) -> tuple[int, ...]:
    """(2, 8, 0) of `nix (Nix) 2.8.0`; () when no number is in it."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part) for part in found.groups() if part) if found else ()


def parse_metadata(data: bytes) -> FlakeState:
    """The answer of `nix flake metadata --json`. Raises UnreadableAnswerError."""
    content = _object(data)
    locked = content.get("locked")
    url = content.get("lockedUrl") or content.get("url")
    if not isinstance(locked, dict) or not isinstance(url, str):
        raise UnreadableAnswerError("no locked flake in it")
    locks = content.get("locks", {})
    revision = locked.get("narHash") or locked.get("rev") or ""
    return FlakeState(url, revision, digest_of_text(canonical_json(locks)))


def parse_path_info(data: bytes) -> list[StorePath]:
    """The answer of `nix path-info --json -r`. Raises UnreadableAnswerError, also for a path that is not valid."""
    content = _json(data)
    entries: Iterator[tuple[Any, Any]]
    if isinstance(content, list):
        entries = ((entry.get("path"), entry) for entry in content)
    elif isinstance(content, dict):
        entries = iter((content["info"] if isinstance(content.get("info"), dict) else content).items())
    else:
        raise UnreadableAnswerError("neither a list nor an object")
    return sorted((_store_path(path, entry) for path, entry in entries), key=lambda one: one.name)


def parse_sha256(digest: Any) -> str:
    """A SHA-256 in hex, from any of Nix's forms of one. Raises UnreadableAnswerError."""
    if isinstance(digest, dict):
        digest = f"{digest.get('algorithm')}{'-' if digest.get('format') == 'base64' else ':'}{digest.get('hash')}"
    if isinstance(digest, str) and digest.startswith("sha256-"):
        raw = base64.b64decode(digest[7:], validate=True)
    elif isinstance(digest, str) and re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raw = bytes.fromhex(digest[7:])
    elif isinstance(digest, str) and re.fullmatch(r"sha256:[0-9a-z]{52}", digest):
        raw = nix_base32_bytes(digest[7:])
    else:
        raise UnreadableAnswerError(f"{digest!r} is no SHA-256")
    return raw.hex()


def last_words(text: str, count: int = 12) -> str:
    """The last lines of what Nix said that say something, without colours."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    lines = [line.rstrip() for line in plain.splitlines() if line.strip() and not line.startswith("@nix ")]
    lines = [line for line in lines if not line.lstrip().startswith(("warning:", "(use '--show-trace'", "… "))]
    return "\n".join(lines[-count:])


class BuildLog:
    """Follows `nix build --log-format internal-json`: progress, messages, and each derivation's last lines."""

    _BUILD, _BUILDS = 105, 104
    _LOG_LINE, _PROGRESS = 101, 105
    LINES = 20

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.logs: dict[str, list[str]] = {}
        self._builds: dict[int, str] = {}
        self._totals: int | None = None

    def hear(self, line: str) -> Progress | None:
        """Take in one line; how far the build is when that has changed."""
        if not line.startswith("@nix "):
            if line.strip():
                self.messages.append(line)
            return None
        try:
            event = json.loads(line[5:])
        except ValueError:
            return None
        if event.get("action") == "msg":
            self.messages.append(str(event.get("msg", "")))
        elif event.get("action") == "start":
            self._start(event)
        elif event.get("action") == "result":
            return self._result(event)
        return None

    def failed(self) -> list[str]:
        """The derivations that some message says have failed, as paths."""
        said = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(self.messages))
        return list(dict.fromkeys(re.findall(r"'(/[^']+\.drv)' failed", said)))

    def _start(self, event: Mapping[str, Any]) -> None:
        if event.get("type") == self._BUILD:
            self._builds[event["id"]] = event["fields"][0]
        elif event.get("type") == self._BUILDS:
            self._totals = event["id"]

    def _result(self, event: Mapping[str, Any]) -> Progress | None:
        fields, identity = event.get("fields", []), event.get("id")
        if event.get("type") == self._LOG_LINE and identity in self._builds:
            log = self.logs.setdefault(self._builds[identity], [])
            log.append(re.sub(r"\x1b\[[0-9;]*m|[\x00-\x08\x0b-\x1f\x7f]", "", str(fields[0])))
            del log[: -self.LINES]
        elif event.get("type") == self._PROGRESS and identity == self._totals and fields[1]:
            at = next(reversed(self._builds.values()), "")
            return Progress(fields[0], fields[1], at.rpartition("/")[2].partition("-")[2].removesuffix(".drv"))
        return None


def _store_path(path: Any, entry: Any) -> StorePath:
    if not isinstance(path, str) or not isinstance(entry, dict) or not entry.get("narHash"):
        raise UnreadableAnswerError(f"{path} is not there")
    try:
        references = tuple(sorted(name_of(_whole(one)) for one in entry.get("references", [])))
        return StorePath(name_of(_whole(path)), parse_sha256(entry["narHash"]), int(entry["narSize"]), references)
    except (KeyError, ValueError) as error:
        raise UnreadableAnswerError(f"{path}: {error}") from None


def _whole(path: str) -> str:
    return path if path.startswith("/") else f"{STORE_DIR}/{path}"


def _object(data: bytes) -> dict[str, Any]:
    content = _json(data)
    if not isinstance(content, dict):
        raise UnreadableAnswerError("no object")
    return content


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError as error:
        raise UnreadableAnswerError(f"no JSON: {error}") from None
