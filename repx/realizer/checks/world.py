"""Compares what a module holds with what its cut-out makes in a clean interpreter; knows neither cut-outs nor jobs.

What a script makes there is remembered by all that it depends on, so that the interpreter is started once for it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from repx.agent.base.digest import short_digest
from repx.agent.base.files import read_if_there
from repx.dsl.source import portrait
from repx.errors import Finding, SourceLocation
from repx.model.closure import Closure
from repx.model.software import Software, SoftwareRequest, World
from repx.process import RunProgram, TimedOutError, run
from repx.realizer.cache import cache_directory
from repx.realizer.checks import clean_world
from repx.realizer.package_set import PackageSet
from repx.store.writer import StoreWriter

LONGEST_S = 300
"""Seconds for the top levels of all scripts that are not known yet."""

LARGEST = 1 << 23
"""Bytes after which what is remembered is begun anew."""

Answers = Mapping[str, Any]


class WithWorlds:
    """A package set that also says where a stage's module holds something else than a job would."""

    def __init__(self, packages: PackageSet, path: str | None = None, run: RunProgram = run) -> None:
        self._packages = packages
        self._path = path
        self._run = run

    def resolve(self, requests: Sequence[SoftwareRequest]) -> list[Software]:
        """What the package set answers, with more findings."""
        answers = self._packages.resolve(requests)
        keys = {
            place: _key(request.world, answer)
            for place, (request, answer) in enumerate(zip(requests, answers, strict=True))
            if request.world is not None and not answer.findings
        }
        if not keys:
            return answers
        known = self._read(set(keys.values()))
        new: dict[str, World] = {}
        for place, key in keys.items():
            world = requests[place].world
            if key not in known and world is not None:
                new.setdefault(key, world)
        if new:
            made = dict(zip(new, _clean(list(new.values()), self._run), strict=True))
            known.update(made)
            self._write({key: answer for key, answer in made.items() if "lines" in answer})
        for place, key in keys.items():
            world = requests[place].world
            if world is not None:
                answers[place] = replace(answers[place], findings=tuple(_findings(requests[place], world, known[key])))
        return answers

    def realize(
        self, software: Iterable[Software], writer: StoreWriter, watch: Callable[[str], None]
    ) -> Closure | None:
        """What the package set does."""
        return self._packages.realize(software, writer, watch)

    def _read(self, keys: set[str]) -> dict[str, Answers]:
        found: dict[str, Answers] = {}
        try:
            text = (read_if_there(self._path) or b"").decode("utf-8", "replace") if self._path else ""
        except OSError:
            text = ""
        for line in text.split("\n"):
            key, _, said = line.partition(" ")
            if key in keys:
                try:
                    found[key] = json.loads(said)
                except ValueError:
                    continue  # a line that was cut short
        return found

    def _write(self, answers: Mapping[str, Answers]) -> None:
        if not self._path or not answers:
            return
        lines = "".join(f"{key} {json.dumps(answer)}\n" for key, answer in answers.items())
        try:
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            is_full = os.path.exists(self._path) and os.path.getsize(self._path) > LARGEST
            with open(self._path, "w" if is_full else "a", encoding="utf-8") as file:
                file.write(lines)
        except OSError:
            return  # where nothing can be kept, it is asked again


def worlds_path() -> str:
    """Where the answers are kept."""
    return f"{cache_directory()}/worlds"


def _wish(world: World) -> dict[str, Any]:
    return {
        "script": world.script,
        "modules": world.modules,
        "names": world.names,
        "locals": world.local_names,
        "libraries": world.libraries,
        "subclasses": world.subclasses,
    }


def _key(world: World, software: Software) -> str:
    programs = [hashlib.sha256(Path(one).read_bytes()).hexdigest() for one in _programs()]
    parts = [sys.version, sys.executable, programs, [list(line) for line in software.identity], _wish(world)]
    return short_digest(hashlib.sha256(json.dumps(parts).encode()).digest())


def _programs() -> tuple[str, str]:
    return clean_world.__file__, portrait.__file__


def _clean(worlds: Sequence[World], run: RunProgram) -> list[Answers]:
    """What each script makes in an interpreter of its own, or the error that it ends with."""
    program, lines = _programs()
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "TZ": "UTC"}
    environment |= {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}
    if "PYTHONPATH" in os.environ:
        # What is found by it here is what the jobs are given.
        environment["PYTHONPATH"] = os.environ["PYTHONPATH"]
    wishes = "".join(json.dumps(_wish(world)) + "\n" for world in worlds)
    try:
        done = run([sys.executable, "-P", program, lines], stdin=wishes.encode(), env=environment, timeout_s=LONGEST_S)
    except TimedOutError:
        error = {"error": f"it takes longer than {LONGEST_S} seconds", "file": "", "line": 0}
        return [error] * len(worlds)
    said = [json.loads(line) for line in done.stdout.decode("utf-8", "replace").splitlines()]
    missing = {"error": done.stderr.decode("utf-8", "replace").strip()[-200:], "file": "", "line": 0}
    return [*said, *[missing] * (len(worlds) - len(said))]


def _findings(request: SoftwareRequest, world: World, answer: Answers) -> Iterator[Finding]:
    if "error" in answer:
        place = _place(world, answer, request.origin)
        message = f"this fails where the job begins: {answer['error']}"
        remedy = (
            "a job has an empty folder and an environment of its own: move this into the stage's body, hand files "
            'over as inputs with repx.path("…"), or make the value a param'
        )
        yield Finding(request.stage, place, message, remedy)
        return
    for what, file, line in answer["outside"]:
        place = _place(world, {"file": file, "line": line}, request.origin)
        remedy = (
            'hand a file over as an input, with repx.path("…"), and read it in the stage\'s body; or bind what is read '
            "to a name of its own: plain values travel as they are"
        )
        yield Finding(request.stage, place, f"this reads {what} where the job begins, and nothing tracks that", remedy)
    made: Mapping[str, str] = answer["lines"]
    # What only the stage's body imports is made when the body runs, whatever else has imported it here.
    later = tuple(f"{module}." for module in answer.get("unloaded", ()))
    told: set[SourceLocation] = set()
    for path in sorted(world.held.keys() | made.keys()):
        here, there = world.held.get(path), made.get(path)
        place = _nearest(world, path, request.origin)
        if here != there and place not in told and not path.startswith(later):
            told.add(place)
            yield Finding(request.stage, place, _difference(path, here, there), _remedy(path))


def _difference(path: str, here: str | None, there: str | None) -> str:
    if here is None or there is None:
        only = "in the module alone" if there is None else "where the job begins, and not in the module"
        return f"{path} is there {only}"
    if max(len(here), len(there)) <= 60:
        return f"{path} is {here} in the module, and {there} where the job begins"
    return f"{path} is another where the job begins than in the module"


def _remedy(path: str) -> str:
    return (
        f"something has changed {path.partition('.')[0].partition('[')[0]} since it was made, or it depends on what is "
        "around: make it complete in one statement, make it in the stage's body, or hand it over as a param"
    )


def _nearest(world: World, path: str, origin: SourceLocation) -> SourceLocation:
    """The place of the longest beginning of a path that has one."""
    while path:
        if path in world.places:
            return world.places[path]
        cut = max(path.rfind("."), path.rfind("["))
        path = path[:cut] if cut > 0 else ""
    return origin


def _place(world: World, answer: Answers, origin: SourceLocation) -> SourceLocation:
    line = int(answer["line"])
    if answer["file"]:
        return SourceLocation(world.files.get(answer["file"], answer["file"]), line)
    before = [(first, place) for first, place in world.lines if first <= line]
    if not before:
        return origin
    first, place = before[-1]
    return SourceLocation(place.file, place.line + line - first)
