"""Derivations: closed recipes of jobs, and what all jobs of one stage share; pure values that hash themselves.

A job has two digests. Its *recipe* covers the stage and the params; its *id* covers the recipe and where the inputs
come from. At run time the recipe and the contents of the inputs make the resolved key
(`repx.agent.base.record.resolved_key`).
The lines that are hashed are the lines that are shown and compared (`Recipe.lines`, `Derivation.lines`).

Not covered, so that changing them reruns nothing: resources (how a job runs is not what it computes), the target, the
run's name, groups and descriptions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from repx.agent.base.digest import canonical_json, short_digest
from repx.errors import SourceLocation
from repx.model.names import JobId, job_id
from repx.model.resources import Resources
from repx.model.software import Software
from repx.model.values import PackageRef, StoredPath, Value

CONTRACT = 1
"""The contract between a script and its runtime. Raising it gives every job a new id: never for a new template."""

HashMode = Literal["pure", "params-only"]
Kind = Literal["bash", "python", "scatter-gather"]
InputKind = Literal["path", "paths", "results", "item"]


@dataclass(frozen=True, slots=True)
class InputSpec:
    """A declared input. `paths` takes a list, `results` a whole run, `item` a work item of a scatter."""

    name: str
    kind: InputKind
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Script:
    """What a stage executes: the user's text and what identifies it.

    `identity` is the text (Bash) or the normal form (Python), never what a template makes of it.
    """

    kind: Literal["bash", "python"]
    text: str
    identity: str
    origin: SourceLocation
    entry: str = ""
    modules: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One step of a scatter-gather: its recipe and where each input comes from.

    `wiring` is (input, source, output): source is "item", "input" (of the whole, named by output), "scatter" (one of
    its outputs) or "step:<name>". `fixed` are params given where the step is called; all others come from the whole.
    """

    name: str
    recipe: Recipe
    wiring: tuple[tuple[str, str, str], ...]
    fixed: tuple[tuple[str, Value], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """The inside of a scatter-gather. Step order is topological; the last one is the sink.

    `items` names the scatter's output that lists the work items, `results` the gather's input that takes the sinks;
    `gather_wiring` is (input, "scatter" or "input", name) for its other inputs.
    """

    scatter: Recipe
    steps: tuple[Step, ...]
    gather: Recipe
    items: str
    sink_output: str
    results: str
    gather_wiring: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Recipe:
    """What all jobs of a stage share, in one of its shapes (dynamic names, inputs and outputs make several)."""

    name: str
    version: str
    kind: Kind
    script: Script | None
    inputs: tuple[InputSpec, ...]
    outputs: tuple[tuple[str, str], ...]
    params: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    software: Software
    realizations: int
    impure: bool
    hash_mode: HashMode
    location: SourceLocation
    doc: str = ""
    dynamic_inputs: bool = False
    dynamic_outputs: bool = False
    takes_index: bool = False
    path_params: tuple[str, ...] = ()
    """Params that the body gets as a `pathlib.Path`."""
    signature_inputs: tuple[str, ...] = ()
    signature_outputs: tuple[str, ...] = ()
    """What the signature declares by name; the rest of the inputs and outputs come with the params."""
    parts: Parts | None = None
    lines: tuple[tuple[str, str], ...] = ()
    prefix: bytes = field(default=b"", repr=False)

    @property
    def dynamic_output_names(self) -> tuple[str, ...]:
        """Outputs that the body finds only in its mapping `outputs`."""
        return tuple(name for name, _ in self.outputs if name not in self.signature_outputs)

    def stages(self) -> Iterator[Recipe]:
        """Itself, or the parts of a scatter-gather: what has a script."""
        if self.parts is None:
            yield self
        else:
            yield from (self.parts.scatter, *(step.recipe for step in self.parts.steps), self.parts.gather)

    @property
    def digest(self) -> str:
        """The digest of the stage part alone."""
        return short_digest(hashlib.sha256(self.prefix).digest())


def recipe_lines(recipe: Recipe) -> tuple[tuple[str, str], ...]:
    """The labelled lines that identify a stage; sorted by label, one value a label."""
    lines = {
        "contract": str(CONTRACT),
        "hash-mode": recipe.hash_mode,
        "stage.name": recipe.name,
        "stage.version": recipe.version,
    }
    lines.update((f"output.{name}", path) for name, path in recipe.outputs)
    lines.update((f"takes.{spec.name}", spec.kind) for spec in recipe.inputs)
    if recipe.takes_index:
        lines["takes.index"] = "index"
    if recipe.impure:
        lines["impure"] = "true"
    if recipe.hash_mode == "pure":
        lines.update((f"env.{name}", value) for name, value in recipe.env)
        lines.update((f"software.{label}", value) for label, value in recipe.software.identity)
        if recipe.script is not None:
            lines["script.kind"] = recipe.script.kind
            lines["script"] = short_digest(
                hashlib.sha256(recipe.script.identity.encode("utf-8", "surrogatepass")).digest()
            )
    if recipe.parts is not None:
        parts = [("scatter", recipe.parts.scatter), ("gather", recipe.parts.gather)]
        parts += [(f"step.{step.name}", step.recipe) for step in recipe.parts.steps]
        for role, part in parts:
            lines.update((f"{role}.{label}", value) for label, value in part.lines)
        for step in recipe.parts.steps:
            for name, source, output in step.wiring:
                lines[f"step.{step.name}.wiring.{name}"] = f"{source} {output}"
            for name, value in step.fixed:
                lines[f"step.{step.name}.fixed.{name}"] = param_text(value)
        for name, source, output in recipe.parts.gather_wiring:
            lines[f"gather.wiring.{name}"] = f"{source} {output}"
    return tuple(sorted(lines.items()))


def encode_lines(tag: str, lines: Sequence[tuple[str, str]]) -> bytes:
    """Labelled lines as the bytes that are hashed; values are JSON strings, so that none can imitate another line."""
    return (f"{tag}\n" + "".join(f"{label} {canonical_json(value)}\n" for label, value in lines)).encode(
        "utf-8", "surrogatepass"
    )


def param_text(value: Value) -> str:
    """The canonical text of a param: tells 1, 1.0, true and "1" apart; a stored path is its name and content."""
    if isinstance(value, StoredPath):
        return f"path {canonical_json(value.name)} {value.digest}"
    if isinstance(value, PackageRef):
        return f"package {canonical_json(value.name)} {value.digest}"
    return canonical_json(value)


@dataclass(frozen=True, slots=True)
class RunResults:
    """A whole upstream run as an input; `digest` is over its sorted job ids."""

    run: str
    digest: str


class Edge(NamedTuple):
    """Where one input comes from; fan-in repeats the name, in order. `output` is empty but for a job's output."""

    name: str
    source: Derivation | StoredPath | RunResults
    output: str = ""

    def text(self) -> str:
        """The canonical text of the source."""
        source = self.source
        if isinstance(source, Derivation):
            return f"job {source.id} {self.output}"
        if isinstance(source, StoredPath):
            return param_text(source)
        return f"results {source.digest}"


class Derivation:
    """A closed recipe: one job. Identity is the id, never `==` of its parts (1 == True in Python)."""

    __slots__ = ("edges", "id", "params", "part_resources", "recipe", "recipe_digest", "resources")

    def __init__(
        self,
        recipe: Recipe,
        params: tuple[Value, ...],
        edges: tuple[Edge, ...],
        recipe_digest: str,
        identity: JobId,
        resources: Resources,
        part_resources: tuple[tuple[str, Resources], ...] = (),
    ) -> None:
        self.recipe = recipe
        self.params = params
        self.edges = edges
        self.recipe_digest = recipe_digest
        self.id = identity
        self.resources = resources
        self.part_resources = part_resources

    def upstreams(self) -> Iterator[Derivation]:
        """The jobs whose outputs it takes, in the order of its edges."""
        for edge in self.edges:
            if isinstance(edge.source, Derivation):
                yield edge.source

    def packages(self) -> Iterator[str]:
        """The packages that are values of its params, those that steps of a scatter-gather are given included."""
        fixed = (
            () if self.recipe.parts is None else (value for step in self.recipe.parts.steps for _, value in step.fixed)
        )
        yield from (value.name for value in (*self.params, *fixed) if isinstance(value, PackageRef))

    def params_dict(self) -> dict[str, Value]:
        """Params by name."""
        return dict(zip(self.recipe.params, self.params, strict=True))

    def lines(self) -> tuple[tuple[str, str], ...]:
        """All labelled lines of the id: stage, params, inputs."""
        params = [(f"param.{name}", param_text(value)) for name, value in self.params_dict().items()]
        return (*self.recipe.lines, *params, *[(f"input.{edge.name}", edge.text()) for edge in self.edges])

    def __repr__(self) -> str:
        return f"<Derivation {self.id}>"


def recipe_digest(recipe: Recipe, param_texts: str) -> str:
    """The digest of a stage with its params; `param_texts` is what `params_line` made of each, joined."""
    return short_digest(hashlib.sha256(recipe.prefix + param_texts.encode("utf-8", "surrogatepass")).digest())


def params_line(name: str, text: str) -> str:
    """One hashed line of a param."""
    return f"param.{name} {text}\n"


def derivation_id(recipe: Recipe, digest: str, edges: Sequence[Edge]) -> JobId:
    """The job id for a recipe digest and the edges of its inputs."""
    lines = "".join([f"input.{edge.name} {edge.text()}\n" for edge in edges])
    hashed = hashlib.sha256(f"repx-derivation 1\nrecipe {digest}\n{lines}".encode("utf-8", "surrogatepass")).digest()
    return job_id(short_digest(hashed), recipe.name, recipe.version)
