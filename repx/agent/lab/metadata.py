"""A Lab's manifest and root metadata, each parsed once: which files there are, which runs, which software; opens none.

Every function returns what it has read, or all that keeps it from being that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from repx.agent.base.digest import canonical_json, digest_of_text
from repx.agent.base.names import is_digest, is_file_name, is_place, is_sha256
from repx.agent.lab.checks import dict_of, is_text, list_of, short


class Manifest(NamedTuple):
    """What a Lab consists of: SHA-256 by path. `metadata` is the place of the root metadata."""

    lab_id: str
    version: str
    metadata: str
    files: Mapping[str, str]
    is_sealed: bool
    """Whether the id is the digest of all the rest."""


class RootMetadata(NamedTuple):
    """What a Lab says of itself. `runs` are places of run files, each after those it comes after.

    `packages` are places of software manifests by the name of a package that a param may be; `sources` are texts about
    what the Lab was made from, by path; `closure` is the place of the list of store paths, empty where there is none.
    """

    runs: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]]
    packages: Mapping[str, str]
    sources: Mapping[str, str]
    closure: str
    git_commit: str
    repx_version: str


def parse_manifest(content: Mapping[str, Any]) -> tuple[Manifest | None, list[str]]:
    """The manifest."""
    wrong = list(_manifest_complaints(content))
    if wrong:
        return None, wrong
    files = {entry["path"]: entry["sha256"] for entry in content["files"]}
    if len(files) != len(content["files"]):
        return None, ["files has a path twice"]
    rest = canonical_json({key: value for key, value in content.items() if key != "labId"})
    is_sealed = digest_of_text(rest) == content["labId"]
    return Manifest(content["labId"], content["lab_version"], content["metadata"], files, is_sealed), []


def parse_root(content: Mapping[str, Any]) -> tuple[RootMetadata | None, list[str]]:
    """The root metadata."""
    wrong = list(_root_complaints(content))
    if wrong:
        return None, wrong
    return RootMetadata(
        runs=tuple(content["runs"]),
        groups={name: tuple(runs) for name, runs in content.get("groups", {}).items()},
        packages=content.get("packages", {}),
        sources=content.get("sources", {}),
        closure=content.get("closure", ""),
        git_commit=content.get("gitHash", "unknown"),
        repx_version=content.get("repx_version", "unknown"),
    ), []


def _manifest_complaints(content: Mapping[str, Any]) -> Iterator[str]:
    for key, check in (("labId", is_digest), ("lab_version", is_text), ("metadata", is_text)):
        if key not in content:
            yield f"it has no {key}"
        elif not check(content[key]):
            yield f"{key} is {short(content[key])}"
    files = content.get("files")
    if not isinstance(files, list):
        yield f"files is {short(files)}" if "files" in content else "it has no files"
        return
    for entry in files:
        if not (isinstance(entry, dict) and is_text(entry.get("path")) and is_text(entry.get("sha256"))):
            yield f"files has {short(entry)}"
        elif not is_place(entry["path"]):
            yield f"files has {short(entry['path'])}, outside the Lab"
        elif not is_sha256(entry["sha256"]):
            yield f"files has {short(entry['sha256'])}, which is not a SHA-256"
    metadata = content.get("metadata")
    if isinstance(metadata, str) and not is_place(metadata):
        yield f"metadata is {short(metadata)}, outside the Lab"


def _root_complaints(content: Mapping[str, Any]) -> Iterator[str]:
    runs = content.get("runs")
    if not list_of(is_text)(runs):
        yield f"runs is {short(runs)}, not a list of files" if "runs" in content else "it has no runs"
    else:
        yield from (f"runs has {short(run)}, outside the Lab" for run in runs or () if not is_place(run))
    groups = content.get("groups", {})
    if not dict_of(is_text, list_of(is_file_name))(groups):
        yield f"groups is {short(groups)}, not names with lists of runs"
    for key in ("packages", "sources"):
        named = content.get(key, {})
        if not dict_of(is_text, is_place if key == "packages" else is_text)(named):
            yield f"{key} is {short(named)}, not names with {'files' if key == 'packages' else 'texts'}"
    closure = content.get("closure", "")
    if closure != "" and not is_place(closure):
        yield f"closure is {short(closure)}, not a file of the Lab"
    for key in ("gitHash", "repx_version"):
        if not isinstance(content.get(key, ""), str):
            yield f"{key} is {short(content[key])}, not a text"
