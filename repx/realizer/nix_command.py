"""The `nix` program as we use it: pins a flake, evaluates attributes, builds, tells closures; decides nothing.

Flakes are switched on by argument, so that nobody's nix.conf has to change.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import TypeVar

from repx.errors import SoftwareError
from repx.model.closure import StorePath, name_of
from repx.process import Completed, Follow, Run, follow, run
from repx.realizer.nix_json import (
    OLDEST,
    BuildLog,
    FlakeState,
    Package,
    Progress,
    UnreadableAnswerError,
    last_words,
    parse_metadata,
    parse_path_info,
    parse_version,
)

Answer = TypeVar("Answer")

_FLAKES = ("--extra-experimental-features", "nix-command flakes")
_OUTPUTS_OF_DERIVATION = (2, 13)
"""From this version on `nix build X.drv` means the file X.drv itself, and `X.drv^out` what it makes."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluation has found: packages by attribute; those that cannot be evaluated; those that are not there.

    `absent` says for each what stands where it would, `present` is which of the hints the set has, and `programs` is
    (attribute, main program, output paths) of every package of a small set.
    """

    packages: Mapping[str, Package]
    failed: tuple[str, ...]
    absent: Mapping[str, tuple[str, ...]]
    present: frozenset[str]
    programs: tuple[tuple[str, str, tuple[str, ...]], ...]


class BuildFailedError(Exception):
    """`nix build` has failed; `log` has heard all it said."""

    def __init__(self, log: BuildLog) -> None:
        super().__init__("nix build failed")
        self.log = log


class Nix:
    """The program on PATH. Looks for it, and at its version, when it is first used."""

    def __init__(self, run: Run = run, follow: Follow = follow, program: str = "nix") -> None:
        self._run = run
        self._follow = follow
        self._name = program

    @cached_property
    def program(self) -> str:
        """Its absolute path. Raises SoftwareError when it is not there or too old."""
        path = shutil.which(self._name)
        if path is None:
            raise SoftwareError(
                "packages=nix(…) needs Nix, and there is no nix on PATH",
                hint="install Nix (Debian: nix-bin) where the Lab is realized; where it runs, none is needed",
            )
        said = self._run([path, "--version"], timeout_s=30).stdout.decode("utf-8", "replace").strip()
        self._version = parse_version(said)
        if self._version < OLDEST:
            raise SoftwareError(
                f"{path} is {said or 'no Nix'}, and flakes need Nix 2.4 or newer", hint="install a newer Nix"
            )
        return path

    @property
    def version(self) -> tuple[int, ...]:
        """Its version. Raises SoftwareError as `program` does."""
        assert self.program
        return self._version

    def flake(self, reference: str) -> FlakeState:
        """Pin a flake by its lock file, which is not written. Raises SoftwareError."""
        done = self._nix(["flake", "metadata", "--json", "--no-update-lock-file", reference])
        said = done.stderr.decode("utf-8", "replace")
        if done.exit_status and "requires lock file changes" in said:
            raise SoftwareError(
                f"the flake {reference} is not locked: its flake.lock is missing or older than its inputs",
                hint=f"pin its inputs and keep the file: nix flake lock {reference}",
            )
        if done.exit_status:
            raise self._failed(f"the flake {reference} cannot be read", said)
        return self._parsed(parse_metadata, done)

    def evaluate(self, url: str, system: str, asked: Sequence[str], hints: Sequence[str]) -> Evaluation:
        """Evaluate attributes of a pinned flake, all in one go; whether the set has `hints` is told too.

        Raises SoftwareError when the flake itself cannot be evaluated.
        """
        done = self._nix(["eval", "--json", "--expr", _expression(url, system, asked, hints)])
        if done.exit_status:
            raise self._failed(f"the flake {url.partition('?')[0]} cannot be evaluated", _said(done))
        return self._parsed(_parse_evaluation, done)

    def why_not(self, url: str, system: str, attribute: str) -> str:
        """What Nix says when it evaluates one attribute that fails; empty when it does not fail."""
        expression = _expression(url, system, [attribute], [], safe=False)
        done = self._nix(["eval", "--json", "--expr", expression])
        return last_words(_said(done)) if done.exit_status else ""

    def build(self, packages: Sequence[Package], watch: Callable[[Progress], None]) -> None:
        """Make all outputs valid, in one call. Raises BuildFailedError."""
        if self.version >= _OUTPUTS_OF_DERIVATION:
            wanted = [f"{one.drv}^{','.join(one.outputs)}" for one in packages]
        else:
            wanted = [one.drv for one in packages]
        log = BuildLog()

        def hear(line: str) -> None:
            progress = log.hear(line)
            if progress is not None:
                watch(progress)

        done = self._follow(
            [
                *(self.program, *_FLAKES, "build", "--no-link", "--json", "--log-format", "internal-json", "-v"),
                *sorted(set(wanted)),
            ],
            hear,
        )
        if done.exit_status:
            raise BuildFailedError(log)

    def closure(self, paths: Sequence[str]) -> list[StorePath]:
        """All store paths reachable from some that are valid. Raises SoftwareError."""
        done = self._nix(["path-info", "--json", "--recursive", *paths])
        if done.exit_status:
            raise self._failed("nix cannot tell a closure", _said(done))
        return self._parsed(parse_path_info, done)

    def inputs_of(self, drv: str) -> frozenset[str]:
        """The derivations that a derivation needs, itself among them; empty when they cannot be told."""
        done = self._nix(["path-info", "--recursive", "--derivation", drv])
        return frozenset(done.stdout.decode("utf-8", "replace").split()) if not done.exit_status else frozenset()

    def _nix(self, arguments: Sequence[str]) -> Completed:
        return self._run([self.program, *_FLAKES, *arguments])

    def _failed(self, headline: str, said: str) -> SoftwareError:
        words = last_words(said)
        if "experimental Nix feature" in words or "experimental feature" in words:
            hint = (
                "this Nix does not allow flakes to you: let nix.conf say `experimental-features = nix-command flakes`"
            )
        elif "Permission denied" in words or "not writable" in words:
            hint = "you may not write to Nix's store: start its daemon, or ask whoever has installed it"
        elif "No space left" in words:
            hint = "free some space below /nix and run the same command again"
        else:
            hint = ""
        return SoftwareError(headline, facts=[("nix says", words)], hint=hint)

    def _parsed(self, parse: Callable[[bytes], Answer], done: Completed) -> Answer:
        try:
            return parse(done.stdout)
        except UnreadableAnswerError as error:
            raise SoftwareError(
                f"nix {'.'.join(map(str, self.version))} has answered what this repx cannot read",
                facts=[("command", " ".join(done.argv[3:6])), ("because", error)],
            ) from None


def _said(done: Completed) -> str:
    return done.stderr.decode("utf-8", "replace")


def _expression(url: str, system: str, asked: Sequence[str], hints: Sequence[str], *, safe: bool = True) -> str:
    text = files("repx").joinpath("templates/evaluate.nix").read_text(encoding="utf-8")
    question = {"url": url, "system": system, "asked": list(asked), "hints": list(hints), "safe": safe}
    return f"({text}) (builtins.fromJSON {nix_string(json.dumps(question))})"


def nix_string(text: str) -> str:
    """A text as a literal of the Nix language."""
    return '"' + re.sub(r'(["\\])', r"\\\1", text).replace("${", "\\${") + '"'


def _parse_evaluation(data: bytes) -> Evaluation:
    try:
        content = json.loads(data)
        packages, failed, absent = {}, [], {}
        for name, answer in content["packages"].items():
            if "absent" in answer:
                absent[name] = tuple(answer["absent"])
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
        return Evaluation(packages, tuple(failed), absent, frozenset(content["present"]), programs)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableAnswerError(str(error)) from None
