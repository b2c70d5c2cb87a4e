"""What is asked of Nix's evaluator, in its language, and what it answers in JSON; starts nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files

from repx.model.closure import name_of
from repx.realizer.nix.json import Package, UnreadableAnswerError


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluation has found: packages by attribute; those that cannot be evaluated; those that are not there.

    `absent` says for each what stands where it would, `other` what an attribute is that is no package, and what stands
    in it. `present` is which of the hints the set has, and `programs` is (attribute, main program, output paths) of
    every package of a small set.
    """

    packages: Mapping[str, Package]
    failed: tuple[str, ...]
    absent: Mapping[str, tuple[str, ...]]
    other: Mapping[str, tuple[str, tuple[str, ...]]]
    present: frozenset[str]
    programs: tuple[tuple[str, str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a pinned flake: attributes, and of which others it is told whether they are there.

    `safe` keeps what one attribute throws from ending the whole; `programs` asks what a small set has altogether.
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
    """What `expression` has become. Raises UnreadableAnswerError."""
    try:
        content = json.loads(data)
        packages, failed, absent, other = {}, [], {}, {}
        for name, answer in content["packages"].items():
            if "absent" in answer:
                absent[name] = tuple(answer["absent"])
            elif "other" in answer:
                other[name] = (answer["other"], tuple(answer["inside"]))
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
        programs = tuple((one["name"], one["program"], tuple(one["paths"])) for one in content["programs"])
        return Evaluation(packages, tuple(failed), absent, other, frozenset(content["present"]), programs)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableAnswerError(str(error)) from None


def nix_string(text: str) -> str:
    """A text as a literal of the Nix language."""
    return '"' + re.sub(r'(["\\])', r"\\\1", text).replace("${", "\\${") + '"'
