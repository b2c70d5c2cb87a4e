"""The shape of a Lab's manifest and root metadata: all complaints about what is not as it should be."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from typing import Any

from repx.agent.base.files import is_inside
from repx.agent.lab.format import LAB_FORMAT, MANIFEST
from repx.errors import LabError

Complaint = tuple[str, object]
"""A file of the Lab, and what is wrong with it."""

ANOTHER = "realize it again, or copy it again from where it came from"


def broken(lab: str, complaints: list[Complaint]) -> LabError:
    """All that is wrong with a Lab, as one error."""
    shown = complaints[:20]
    more = len(complaints) - len(shown)
    facts = [*shown, ("…", f"and {more} more")] if more else shown
    return LabError(f"the Lab {lab} is broken or has been changed", facts=facts, hint=ANOTHER)


def read_json(shown: str, root: str, place: str) -> dict[str, Any]:
    """The JSON object in a file of the Lab. Raises LabError."""
    path = f"{root}/{place}"
    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
    except (FileNotFoundError, NotADirectoryError):
        if not os.path.exists(root):
            raise LabError(f"there is no Lab at {shown}", hint=f"make one: {_realize(shown)}") from None
        raise LabError(
            f"{shown} is not a Lab", facts=[("missing", place)], hint="make one: repx realize experiment.py"
        ) from None
    except OSError as error:
        raise LabError(f"the Lab cannot be read: {error.strerror}", facts=[("file", path)]) from None
    except (ValueError, RecursionError) as error:
        raise LabError(
            "a file of the Lab is no JSON", facts=[("file", path), ("because", error)], hint=ANOTHER
        ) from None
    if not isinstance(value, dict):
        raise LabError("a file of the Lab is no JSON object", facts=[("file", path)], hint=ANOTHER)
    return value


def _realize(link: str) -> str:
    """The command that makes a Lab and links it there."""
    return "repx realize experiment.py" + ("" if link == "result" else f" -o {shlex.quote(link)}")


def check_format(shown: str, place: str, content: dict[str, Any]) -> None:
    """Raises LabError for a format of another time: what else is wrong with it, nobody can say."""
    if content.get("format") != LAB_FORMAT:
        raise LabError(
            f"the Lab {shown} has the format {content.get('format')!r}, and this repx reads {LAB_FORMAT}",
            facts=[("file", place)],
            hint="use the repx that made it, or realize it again with this one",
        )


def manifest_complaints(manifest: dict[str, Any]) -> Iterator[Complaint]:
    """What is wrong with a manifest."""
    for key, wanted in (("labId", str), ("lab_version", str), ("metadata", str), ("files", list)):
        if key not in manifest:
            yield MANIFEST, f"it has no {key}"
        elif not isinstance(manifest[key], wanted):
            yield MANIFEST, f"{key} is {manifest[key]!r}"
    files = manifest.get("files")
    for entry in files if isinstance(files, list) else []:
        if not (
            isinstance(entry, dict) and isinstance(entry.get("path"), str) and isinstance(entry.get("sha256"), str)
        ):
            yield MANIFEST, f"files has {entry!r}"
        elif not is_inside(entry["path"]):
            yield MANIFEST, f"files has {entry['path']!r}, outside the Lab"
    metadata = manifest.get("metadata")
    if isinstance(metadata, str) and not is_inside(metadata):
        yield MANIFEST, f"metadata is {metadata!r}, outside the Lab"


def root_complaints(place: str, root: dict[str, Any]) -> Iterator[Complaint]:
    """What is wrong with the root metadata."""
    runs = root.get("runs")
    if not _is_list_of_texts(runs):
        yield place, f"runs is {runs!r}, no list of files" if "runs" in root else "it has no runs"
    else:
        for run in runs or ():
            if not is_inside(run):
                yield place, f"runs has {run!r}, outside the Lab"
    groups = root.get("groups", {})
    if not isinstance(groups, dict) or not all(_is_list_of_texts(members) for members in groups.values()):
        yield place, f"groups is {groups!r}, not names with lists of runs"
    for key in ("packages", "sources"):
        named = root.get(key, {})
        if not isinstance(named, dict) or not all(isinstance(value, str) for value in named.values()):
            yield place, f"{key} is {named!r}, not names with texts"
    closure = root.get("closure")
    if closure is not None and not (isinstance(closure, str) and is_inside(closure)):
        yield place, f"closure is {closure!r}, not a file of the Lab"
    for key in ("gitHash", "repx_version"):
        if not isinstance(root.get(key, ""), str):
            yield place, f"{key} is {root[key]!r}, not a text"


def _is_list_of_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
