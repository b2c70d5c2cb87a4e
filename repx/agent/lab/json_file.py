"""JSON from elsewhere: one spelling of it, bounded, and every value a finite one; knows no keys."""

from __future__ import annotations

import json
from typing import Any

from repx.agent.base.digest import canonical_json
from repx.agent.lab.place import LabRoot


def read_object(root: LabRoot, name: str, limit: int) -> dict[str, Any]:
    """The JSON object in a file of the Lab. It raises what the root raises."""
    value = read_json(root, name, limit)
    if not isinstance(value, dict):
        raise root.fault((name, "it is not a JSON object"))
    return value


def read_json(root: LabRoot, name: str, limit: int) -> Any:
    """The JSON value in a file of the Lab. It raises what the root raises."""
    data = root.file(name).read(limit)
    try:
        return decode_strictly(data.decode())
    except (ValueError, RecursionError) as error:
        raise root.fault((name, "it is not JSON: %s" % error)) from None


def _no_number(text: str) -> Any:
    raise ValueError("%s is not a number" % text)


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        # Two readers would take two different values.
        raise ValueError("a key stands twice in one object")
    return found


_decode = json.JSONDecoder(parse_constant=_no_number, object_pairs_hook=_each_key_once).decode


def decode_strictly(text: str) -> Any:
    """A JSON text, where each key stands once in its object, and every text could be a file's name. ValueError or
    RecursionError."""
    value = _decode(text)
    if "\\ud" in text.lower():
        # Names of files that are not UTF-8 are halves of characters; others cannot be written anywhere.
        canonical_json(value).encode("utf-8", "surrogateescape")
    return value


_scan = json.JSONDecoder(parse_constant=_no_number).raw_decode


def decode_quickly(text: str) -> Any:
    """A JSON text without blanks around it, for the many lines of a run file: of a key that stands twice, the last
    counts. ValueError or RecursionError."""
    value, end = _scan(text)
    if end != len(text):
        raise ValueError("something stands after it")
    return value
