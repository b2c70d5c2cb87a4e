"""Writes the error for a package that fails: which stage needs it, what Nix said, what to do; asks nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from textwrap import indent

from repx.errors import SoftwareError, nearest
from repx.model.software import SoftwareRequest
from repx.realizer.nix.evaluation import Evaluation
from repx.realizer.nix.log import BuildLog, last_lines

_REMEDIES = (
    (
        ("experimental Nix feature", "experimental feature"),
        "this Nix does not allow you flakes: write into nix.conf `experimental-features = nix-command flakes`",
    ),
    (("No space left",), "free some space below /nix and run the same command again"),
    (
        ("Permission denied", "Operation not permitted", "not writable", "Read-only", "readonly", "daemon-socket"),
        "you may not write to Nix's store: start its daemon, or ask the person who installed Nix",
    ),
)


def remedy(said: str) -> str:
    """What the user can do about what Nix said; empty when that is not known."""
    return next((hint for words, hint in _REMEDIES if any(one in said for one in words)), "")


def attribute_problem(name: str, answer: Evaluation, where: str, why_not: Callable[[str], str]) -> tuple[str, str]:
    """Message and remedy for an attribute that is not a usable package; `why_not` asks Nix about it alone."""
    if name in answer.absent:
        return f"package '{name}' is not in {where}", nearest(name, answer.absent[name])
    if name in answer.other:
        kind, inside = answer.other[name]
        known = f"write one of its packages, such as {name}.{inside[0]}" if inside else ""
        return f"'{name}' of {where} is not a package: its type is {kind}", known
    return f"package '{name}' cannot be evaluated; nix says:\n{indent(why_not(name), ' ' * 6)}", ""


def build_error(
    log: BuildLog, wanted: Sequence[tuple[SoftwareRequest, str, str]], inputs_of: Callable[[str], frozenset[str]]
) -> SoftwareError:
    """The error for a failed build: the package, the stage that needs it, and the last lines of the build's log.

    `wanted` are (request, attribute, derivation), `inputs_of` asks Nix for the derivations that one needs.
    """
    for failed in log.failed():
        lines = "\n".join(line for line in log.logs.get(failed, []) if line.strip())
        for request, name, drv in wanted:
            if drv == failed or failed in inputs_of(drv):
                facts: list[tuple[str, object]] = [
                    ("needed by", f"stage {request.stage}, {request.origin}"),
                    ("nix says", log.reason(failed)),
                    ("its log", lines),
                ]
                is_full = "No space left" in lines
                return SoftwareError(
                    f"package '{name}' of stage '{request.stage}' cannot be built",
                    facts=facts if lines else facts[:-1],
                    hint=remedy(lines if is_full else "\n".join(log.errors)) or f"all it said: nix log {failed}",
                )
    said = last_lines("\n".join(log.errors))
    return SoftwareError("nix build failed", facts=[("nix says", said)], hint=remedy(said))
