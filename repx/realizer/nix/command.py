"""Runs the `nix` program: pins a flake, evaluates attributes, builds, asks for closures; decides nothing.

Flakes are switched on by argument, so that nobody's nix.conf has to change.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TypeVar

from repx.errors import SoftwareError
from repx.model.closure import StorePath
from repx.process import Completed, FollowProgram, RunProgram, follow, run
from repx.realizer.nix.evaluation import Evaluation, Question, expression, parse_evaluation
from repx.realizer.nix.json import (
    OLDEST,
    FlakeState,
    Package,
    UnreadableAnswerError,
    parse_metadata,
    parse_path_info,
    parse_version,
)
from repx.realizer.nix.log import BuildLog, Progress, last_lines
from repx.realizer.nix.problems import remedy

Parsed = TypeVar("Parsed")

_FLAKES = ("--extra-experimental-features", "nix-command flakes")
_OUTPUTS_OF_DERIVATION = (2, 13)
"""From this version on `nix build X.drv` means the file X.drv itself, and `X.drv^out` its output."""
_FORMATS_OF_PATH_INFO = (2, 33)
"""From this version on `nix path-info --json` wants an option for its format, which Lix does not have."""


class BuildFailedError(Exception):
    """`nix build` has failed; `log` has its messages."""

    def __init__(self, log: BuildLog) -> None:
        super().__init__("nix build failed")
        self.log = log


class Nix:
    """The program on PATH; looked for, and asked for its version, at its first use."""

    def __init__(self, run: RunProgram = run, follow: FollowProgram = follow, program: str = "nix") -> None:
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
        self._is_lix = "Lix" in said
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
        """Pin a flake by its lock file, which Nix may not change. Raises SoftwareError."""
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
        """Evaluate attributes of a pinned flake in one call, and see which of the attributes `hints` the set has.

        Raises SoftwareError when the flake itself cannot be evaluated.
        """
        done = self._eval(Question(url, system, asked, hints, programs=bool(asked)))
        failed: list[str] = []
        if done.exit_status:
            # An error that tryEval does not catch ends the whole evaluation: ask again without what raises it.
            if (
                self._eval(Question(url, system, asked)).exit_status
                and not self._eval(Question(url, system)).exit_status
            ):
                failed = [name for name in asked if self._eval(Question(url, system, [name])).exit_status]
            done = self._eval(Question(url, system, [name for name in asked if name not in failed], hints))
        if done.exit_status:
            raise self._failed(f"the flake {url.partition('?')[0]} cannot be evaluated", _said(done))
        found = self._parsed(parse_evaluation, done)
        return replace(found, failed=(*found.failed, *failed))

    def why_not(self, url: str, system: str, attribute: str) -> str:
        """What Nix says when it evaluates one failing attribute alone; empty when that succeeds."""
        done = self._eval(Question(url, system, [attribute], safe=False))
        return last_lines(_said(done)) if done.exit_status else ""

    def build(self, packages: Sequence[Package], watch: Callable[[Progress], None]) -> None:
        """Build all outputs in one call. Raises BuildFailedError."""
        if self.version >= _OUTPUTS_OF_DERIVATION:
            wanted = [f"{one.drv}^{','.join(one.outputs)}" for one in packages]
        else:
            wanted = [one.drv for one in packages]
        log = BuildLog()

        def read_line(line: str) -> None:
            progress = log.read_line(line)
            if progress is not None:
                watch(progress)

        done = self._follow(
            [
                *(self.program, *_FLAKES, "build", "--no-link", "--json", "--log-format", "internal-json", "-v"),
                *sorted(set(wanted)),
            ],
            read_line,
        )
        if done.exit_status:
            raise BuildFailedError(log)

    def closure(self, paths: Sequence[str]) -> list[StorePath]:
        """All store paths that are reachable from these valid ones. Raises SoftwareError."""
        has_formats = self.version >= _FORMATS_OF_PATH_INFO and not self._is_lix
        form = ["--json-format", "2"] if has_formats else []
        done = self._nix(["path-info", "--json", *form, "--recursive", *paths])
        if done.exit_status:
            raise self._failed("nix cannot tell a closure", _said(done))
        return self._parsed(parse_path_info, done)

    def inputs_of(self, drv: str) -> frozenset[str]:
        """The derivations that a derivation needs, itself included; empty when Nix cannot tell them."""
        done = self._nix(["path-info", "--recursive", "--derivation", drv])
        return frozenset(done.stdout.decode("utf-8", "replace").split()) if not done.exit_status else frozenset()

    def _eval(self, question: Question) -> Completed:
        return self._nix(["eval", "--json", "--expr", expression(question)])

    def _nix(self, arguments: Sequence[str]) -> Completed:
        return self._run([self.program, *_FLAKES, *arguments])

    def _failed(self, headline: str, said: str) -> SoftwareError:
        words = last_lines(said)
        return SoftwareError(headline, facts=[("nix says", words)], hint=remedy(words))

    def _parsed(self, parse: Callable[[bytes], Parsed], done: Completed) -> Parsed:
        try:
            return parse(done.stdout)
        except UnreadableAnswerError as error:
            raise SoftwareError(
                f"nix {'.'.join(map(str, self.version))} has answered what this repx cannot read",
                facts=[("command", " ".join(done.argv[3:6])), ("because", error)],
            ) from None


def _said(done: Completed) -> str:
    return done.stderr.decode("utf-8", "replace")
