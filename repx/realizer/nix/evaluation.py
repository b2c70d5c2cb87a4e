"""Writes a question to Nix's evaluator in the Nix language, and parses its answer in JSON; starts nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import NamedTuple

from repx.model.closure import name_of
from repx.realizer.nix.json import Package, UnreadableAnswerError


class NotAPackage(NamedTuple):
    """An attribute of another type than a package: its type, and the packages inside it."""

    kind: str
    inside: tuple[str, ...]


class ListedPackage(NamedTuple):
    """A package of the set, whether asked for or not: its main program, and the names of its store paths."""

    attribute: str
    program: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluation has found, by attribute.

    `failed` are the attributes that Nix cannot evaluate. `absent` gives for each attribute that is not there the names
    that stand beside its place. `present` are those of the hints that the set has. `listed` are all packages of the
    set, or none where the set is large.
    """

    packages: Mapping[str, Package]
    failed: tuple[str, ...]
    absent: Mapping[str, tuple[str, ...]]
    other: Mapping[str, NotAPackage]
    present: frozenset[str]
    listed: tuple[ListedPackage, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """What Nix is asked of a pinned flake: the packages `asked`, and whether the set has the attributes `hints`.

    With `safe`, an attribute that throws does not end the evaluation; `programs` asks for all packages of a small set.
    """

    url: str
    system: str
    asked: Sequence[str] = ()
    hints: Sequence[str] = ()
    safe: bool = True
    programs: bool = False


def expression(question: Question) -> str:
    """The question as an expression of the Nix language."""
    text = files("repx").joinpath("templates/evaluate.nix").read_text(encoding="utf-8")
    return f"({text}) (builtins.fromJSON {nix_string(json.dumps(asdict(question)))})"


def parse_evaluation(data: bytes) -> Evaluation:
    """The answer to `expression`. Raises UnreadableAnswerError."""
    try:
        content = json.loads(data)
        packages, failed, absent, other = {}, [], {}, {}
        for name, answer in content["packages"].items():
            if "absent" in answer:
                absent[name] = tuple(answer["absent"])
            elif "other" in answer:
                other[name] = NotAPackage(answer["other"], tuple(answer["inside"]))
            elif "failed" in answer:
                failed.append(name)
            else:
                packages[name] = Package(
                    answer["drv"],
                    tuple(answer["outputs"]),
                    answer["program"],
                    answer["version"],
                    tuple(map(name_of, answer["paths"])),
                )
        listed = tuple(
            ListedPackage(one["name"], one["program"], tuple(map(name_of, one["paths"]))) for one in content["programs"]
        )
        return Evaluation(packages, tuple(failed), absent, other, frozenset(content["present"]), listed)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableAnswerError(str(error)) from None


def nix_string(text: str) -> str:
    """A text as a literal of the Nix language."""
    return '"' + re.sub(r'(["\\])', r"\\\1", text).replace("${", "\\${") + '"'
