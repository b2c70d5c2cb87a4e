"""Write a derivation graph as a Lab into the store: built aside, published by one rename, the same bytes each time."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from repx.agent.base.digest import canonical_json, digest_of_text, short_digest
from repx.agent.base.files import link_tree, remove_tree, sync_path
from repx.agent.base.version import VERSION
from repx.agent.lab.format import HOST_TOOLS, JOBS_END, LAB_FORMAT, MANIFEST, ROOT
from repx.errors import Finding, plural
from repx.lab.directory import LabDirectory
from repx.model.closure import Closure
from repx.model.derivation import Derivation, StageRecipe
from repx.model.graph import DerivationGraph, RunGraph
from repx.model.lab import (
    job_line,
    parts_json,
    run_header,
    stage_json,
)
from repx.model.resources import Resources
from repx.model.software import Software
from repx.model.sources import Scan
from repx.model.values import StoredPath, place_in_lab
from repx.realizer.bundle import agent_bundle
from repx.realizer.crate import crate_json
from repx.realizer.render import StageFiles, relative_location, stage_files
from repx.realizer.templates import readme_text
from repx.store.location import is_whole, remember_verified, store_error
from repx.store.objects import add_objects
from repx.store.writer import StoreWriter

if TYPE_CHECKING:
    from repx.realizer.closure_parts import ClosureParts


@dataclass(frozen=True, slots=True)
class WrittenLab:
    """A Lab in the store: where, its id, whether it was new, and how much is in it."""

    path: str
    lab_id: str
    is_new: bool
    runs: int
    jobs: int
    realizations: int
    notes: tuple[Finding, ...] = ()

    def summary(self, link: str) -> str:
        """One line: `result: 2 runs, 21 jobs`; also the realizations, which a run counts, where they are more."""
        what = f"{self.runs} {plural('run', self.runs)}, {self.jobs} {plural('job', self.jobs)}"
        if self.realizations > self.jobs:
            what += f" with {self.realizations} realizations in all"
        return f"{link}: {what}{'' if self.is_new else ', unchanged'}"


def write_lab(graph: DerivationGraph, writer: StoreWriter, base: str, closure: Closure | None = None) -> WrittenLab:
    """Realize a Lab. `base` is the experiment's folder, to which places are said relative; `closure` is in the store.

    One that is there already stays if it is whole, and is replaced if it is not. Raises StoreError when the store
    cannot be written; then nothing of the attempt is left.
    """
    building = writer.new_place("lab")
    try:
        os.mkdir(building)
        return _LabWriter(graph, writer, base, building, closure).write()
    except OSError as error:
        raise store_error(error, writer.store) from None
    finally:
        remove_tree(building)


class _LabWriter:
    def __init__(
        self, graph: DerivationGraph, writer: StoreWriter, base: str, building: str, closure: Closure | None
    ) -> None:
        self.graph = graph
        self.writer = writer
        self.store = writer.store
        self.base = base
        self.building = building
        self.files: list[tuple[str, str]] = []
        self.stages: dict[StageRecipe, StageFiles] = {}
        self.stage_texts: dict[StageRecipe, dict[str, Any]] = {}
        self.hints: dict[Resources, dict[str, Any]] = {}
        self.stored: set[str] = set()
        self.closure: ClosureParts | None = None
        if closure is not None:
            # Imported here: images, tar files and Nix are a good part of a start, and most Labs have no closure.
            from repx.realizer.closure_parts import ClosureParts

            self.closure = ClosureParts(closure, writer, building)
        self.images: Mapping[str, str] = {}

    def write(self) -> WrittenLab:
        for name in ("lab", "revision", "store", "jobs", HOST_TOOLS, "readme"):
            os.mkdir(f"{self.building}/{name}")
        jobs = list(self.graph.jobs())
        for job in jobs:
            if job.stage not in self.stages:
                self._write_stage(job.stage)
        paths = [path for job in jobs for path in job.stored_paths()]
        self._store_paths(paths)
        if self.closure is not None:
            images = self.closure.images(self.graph)
            self.images = images.of_run
            self.files += images.files
        run_files = self._write_runs()
        self._write_host_tools()
        root = {
            "repx_version": VERSION,
            "type": "root",
            "gitHash": self.graph.git_commit or "unknown",
            "runs": list(run_files.values()),
            "format": LAB_FORMAT,
            "sources": replace(self.graph.sources, scans=_scans(paths, self.base)).texts(),
            "packages": {name: self._write_software(software) for name, software in self.graph.packages},
            "counts": {run.name: len(run.jobs) for run in self.graph.runs},
        }
        if self.closure is not None:
            root["closure"] = self._write_json(self.closure.closure.json(), "closure")
        if self.graph.groups:
            root["groups"] = {name: list(runs) for name, runs in self.graph.groups}
        self._write(ROOT, canonical_json(root) + "\n")
        self._write(
            "readme/README.md", readme_text(self.graph, closure=self.closure is not None, images=bool(self.images))
        )
        self._write("ro-crate-metadata.json", crate_json(self.graph, self.stages, self.base))
        lab_id = self._write_manifest()
        target = f"{self.store.labs}/{lab_id}"
        is_there = os.path.lexists(target)
        if is_there and is_whole(target, self.store):
            return self._written(target, lab_id, is_new=False)
        self._link_jobs(jobs)
        if self.closure is not None:
            self.closure.link_store_paths()
        if is_there:
            self.writer.publisher.replace(target, self.building)
        else:
            self.writer.publisher.publish({target: self.building})
        sync_path(self.store.labs)
        # Somebody else may have published the same Lab meanwhile; then ours is still where it was made.
        is_new = not os.path.lexists(self.building)
        if is_new:
            remember_verified(LabDirectory(target), self.store)
        return self._written(target, lab_id, is_new=is_new)

    def _written(self, target: str, lab_id: str, *, is_new: bool) -> WrittenLab:
        realizations = [job.stage.realizations for job in self.graph.jobs()]
        counts = len(self.graph.runs), len(realizations), sum(realizations)
        return WrittenLab(target, lab_id, is_new, *counts, self.graph.notes)

    def _write_stage(self, recipe: StageRecipe) -> None:
        rendered = self.stages[recipe] = stage_files(recipe, self.base)
        for path, text, executable in rendered.files:
            self._write(f"store/{rendered.digest}/{path}", text, executable=executable)
        for directory in ("bin", "out"):
            os.makedirs(f"{self.building}/store/{rendered.digest}/{directory}", exist_ok=True)
        described = self._describe(recipe, recipe.name, rendered.digest)
        if recipe.parts is not None:
            described["parts"] = parts_json(recipe, lambda part, name: self._describe(part, name, rendered.digest))
        self.stage_texts[recipe] = described

    def _describe(self, recipe: StageRecipe, script: str, digest: str) -> dict[str, Any]:
        software = self._write_software(recipe.software)
        source = relative_location(recipe.location, self.base)
        return stage_json(recipe, f"store/{digest}/bin/{script}", software, source)

    def _write_software(self, software: Software) -> str:
        if self.closure is None or not software.roots:
            return self._write_json(software.manifest, "software")
        return self._write_json(self.closure.software(software), "software")

    def _write_json(self, content: Mapping[str, Any], name: str) -> str:
        text = canonical_json(content) + "\n"
        place = f"store/{digest_of_text(text)}-{name}.json"
        self._write_once(place, text)
        return place

    def _store_paths(self, paths: Iterable[StoredPath]) -> None:
        """Give the Lab what its jobs take from outside. The manifest says what was asked for, not what was found."""
        for path, stored in add_objects(self.writer, paths).items():
            place = place_in_lab(path)
            link_tree(stored.place, f"{self.building}/{place}")
            self.files += [(f"{place}/{file}" if file else place, sha256) for file, sha256 in stored.files]

    def _write_runs(self) -> dict[str, str]:
        """Each run's file, by run name, in dependency order."""
        places: dict[str, str] = {}
        for run in self.graph.runs:
            dependencies = {places[one.run]: one.kind for one in run.after}
            places[run.name] = self._write_run(run, dependencies)
        return places

    def _write_run(self, run: RunGraph, dependencies: Mapping[str, str]) -> str:
        recipes = dict.fromkeys(job.stage for job in run.jobs)
        stages = {self.stages[recipe].digest: self.stage_texts[recipe] for recipe in recipes}
        lines = sorted(
            job_line(job, self.stages[job.stage].digest, self._hints(job.resources), run.arguments.get(job.id, ()))
            for job in run.jobs
        )
        header = run_header(run, dependencies, stages, len(lines), self.images.get(run.name, ""))
        digest = hashlib.sha256()
        aside = f"{self.building}/revision/{run.name}.tmp"
        with open(aside, "wb") as file:
            for piece in _pieces(header, lines):
                file.write(piece)
                digest.update(piece)
        place = f"revision/{short_digest(digest.digest())}.json"
        os.chmod(aside, 0o444)
        os.rename(aside, f"{self.building}/{place}")
        self.files.append((place, digest.hexdigest()))
        return place

    def _hints(self, resources: Resources) -> dict[str, Any]:
        hints = self.hints.get(resources)
        if hints is None:
            hints = self.hints[resources] = resources.hints()
        return hints

    def _write_host_tools(self) -> None:
        tools: dict[str, str | bytes] = (
            {"repx-agent": agent_bundle()} if self.closure is None else dict(self.closure.host_tools())
        )
        digest = hashlib.sha256()
        for name, content in sorted(tools.items()):
            digest.update(f"{name}\0".encode() + (content if isinstance(content, bytes) else content.encode()))
        for name, content in sorted(tools.items()):
            self._write(f"{HOST_TOOLS}/{short_digest(digest.digest())}/bin/{name}", content, executable=True)

    def _write_manifest(self) -> str:
        manifest: dict[str, Any] = {
            "lab_version": self.graph.version,
            "metadata": ROOT,
            "files": [{"path": path, "sha256": digest} for path, digest in sorted(self.files)],
            "format": LAB_FORMAT,
        }
        lab_id = digest_of_text(canonical_json(manifest))
        # One file a line: a manifest is read by people too.
        files = ",\n".join(json.dumps(entry, sort_keys=True) for entry in manifest.pop("files"))
        head = canonical_json({**manifest, "labId": lab_id})[:-1]
        self._write(MANIFEST, f'{head},"files":[\n{files}\n]}}\n')
        return lab_id

    def _link_jobs(self, jobs: Iterable[Derivation]) -> None:
        for job in jobs:
            os.symlink(f"../store/{self.stages[job.stage].digest}/", f"{self.building}/jobs/{job.id}")

    def _write_once(self, place: str, text: str) -> None:
        if place not in self.stored:
            self.stored.add(place)
            self._write(place, text)

    def _write(self, place: str, content: str | bytes, *, executable: bool = False) -> None:
        data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
        path = f"{self.building}/{place}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
        os.chmod(path, 0o555 if executable else 0o444)
        if place != MANIFEST:
            self.files.append((place, hashlib.sha256(data).hexdigest()))


def _scans(paths: Iterable[StoredPath], base: str) -> tuple[Scan, ...]:
    """The folders that were scanned, relative to the experiment's; not those that another machine has elsewhere."""
    found: dict[Scan, None] = {}
    # Many paths are found by one scan, and hashing it for each would take as long as all else here.
    for by in {id(path.found_by): path.found_by for path in paths}.values():
        if by is not None:
            folder = os.path.relpath(by.scan.folder, base)
            if by.is_relative or not folder.startswith(".."):
                found[replace(by.scan, folder=folder)] = None
    return tuple(found)


def _pieces(header: str, lines: list[str]) -> Iterable[bytes]:
    """A run file in pieces of some hundred kilobytes: header, a line for each job, the end."""
    yield header.encode()
    last = len(lines)
    for start in range(0, last, 1000):
        chunk = ",\n".join(lines[start : start + 1000])
        yield (chunk + (",\n" if start + 1000 < last else "\n")).encode("utf-8", "surrogatepass")
    yield JOBS_END.encode()
