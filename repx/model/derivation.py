"""Derivations: closed recipes of jobs, and what all jobs of one stage share; pure values that hash nothing.

`repx.model.fingerprint` says what of them is hashed, and into what.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from repx.agent.base.fingerprint import Line
from repx.agent.base.retries import NO_RETRIES, Retries
from repx.agent.base.selector import Selector
from repx.agent.base.wire import InputSpec, Wire
from repx.errors import SourceLocation
from repx.model.names import JobId
from repx.model.resources import Resources
from repx.model.software import Software
from repx.model.values import PackageRef, StoredPath, Value

HashMode = Literal["pure", "params-only"]
Kind = Literal["bash", "python", "scatter-gather"]


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
    lines: tuple[tuple[int, SourceLocation], ...] = ()
    """Lines of a Python text at which something begins, and where that stands in the user's; tracebacks tell it."""


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One step of a scatter-gather; `fixed` are params given where it is called, all others come from the whole."""

    name: str
    stage: StageRecipe
    wires: tuple[Wire, ...]
    fixed: tuple[tuple[str, Value], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """The inside of a scatter-gather. Step order is topological; the last one is the sink.

    `items` names the scatter's output that lists the work items; `gather_wires` are those of the gather's inputs, of
    which the ones from the sink bring a list.
    """

    scatter: StageRecipe
    steps: tuple[Step, ...]
    gather: StageRecipe
    items: str
    gather_wires: tuple[Wire, ...]


@dataclass(frozen=True, slots=True, eq=False)
class StageRecipe:
    """What all jobs of a stage share, in one of its shapes (dynamic names, inputs and outputs make several).

    `lines` and `digest` are its fingerprint; `repx.model.fingerprint.fingerprinted` fills them in.
    """

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
    retries: Retries = NO_RETRIES
    doc: str = ""
    dynamic_inputs: bool = False
    dynamic_outputs: bool = False
    takes_index: bool = False
    path_params: tuple[str, ...] = ()
    """Params that the body gets as a `pathlib.Path`."""
    made_params: tuple[tuple[str, str], ...] = ()
    """Params that the body gets as something that JSON does not have, each with the expression that makes it."""
    signature_inputs: tuple[str, ...] = ()
    signature_outputs: tuple[str, ...] = ()
    """What the signature declares by name; the rest of the inputs and outputs come with the params."""
    parts: Parts | None = None
    lines: tuple[Line, ...] = ()
    digest: str = ""

    @property
    def dynamic_output_names(self) -> tuple[str, ...]:
        """Outputs that the body finds only in its mapping `outputs`."""
        return tuple(name for name, _ in self.outputs if name not in self.signature_outputs)

    @property
    def arguments(self) -> str:
        """How the body of a stage gets what its signature alone does not say; empty for most."""
        said = [f"path {name}" for name in sorted(self.path_params)]
        said += [f"made {name} {made}" for name, made in self.made_params]
        if self.dynamic_inputs:
            declared = set(self.signature_inputs)
            said += ["inputs", *(f"input {spec.name}" for spec in self.inputs if spec.name not in declared)]
        if self.dynamic_outputs:
            said += ["outputs", *(f"output {name}" for name in sorted(self.dynamic_output_names))]
        return ", ".join(said)

    def stages(self) -> Iterator[StageRecipe]:
        """Itself, or the parts of a scatter-gather: what has a script."""
        if self.parts is None:
            yield self
        else:
            yield from (self.parts.scatter, *(step.stage for step in self.parts.steps), self.parts.gather)


@dataclass(frozen=True, slots=True)
class RunResults:
    """A whole upstream run as an input; `digest` is over its sorted job ids."""

    run: str
    digest: str


class Edge(NamedTuple):
    """Where one input comes from; fan-in repeats the name, in order. `output` is empty but for a job's output.

    `selector` says which realizations of that job count.
    """

    name: str
    source: Derivation | StoredPath | RunResults
    output: str = ""
    selector: Selector | None = None


class Derivation:
    """A closed recipe: one job. Identity is the id, never `==` of its parts (1 == True in Python)."""

    __slots__ = ("edges", "id", "params", "part_resources", "recipe_digest", "resources", "stage")

    def __init__(
        self,
        stage: StageRecipe,
        params: tuple[Value, ...],
        edges: tuple[Edge, ...],
        recipe_digest: str,
        identity: JobId,
        resources: Resources,
        part_resources: tuple[tuple[str, Resources], ...] = (),
    ) -> None:
        self.stage = stage
        self.params = params
        self.edges = edges
        self.recipe_digest = recipe_digest
        self.id = identity
        self.resources = resources
        self.part_resources = part_resources

    def values(self) -> Iterator[Value]:
        """The values of its params, and those that the steps of a scatter-gather are given."""
        yield from self.params
        if self.stage.parts is not None:
            yield from (value for step in self.stage.parts.steps for _, value in step.fixed)

    def packages(self) -> Iterator[str]:
        """The packages that are values of its params."""
        yield from (value.name for value in self.values() if isinstance(value, PackageRef))

    def stored_paths(self) -> Iterator[StoredPath]:
        """What has to be in the Lab for it: the paths among its params and its inputs."""
        yield from (value for value in self.values() if isinstance(value, StoredPath))
        yield from (edge.source for edge in self.edges if isinstance(edge.source, StoredPath))

    def params_dict(self) -> dict[str, Value]:
        """Params by name."""
        return dict(zip(self.stage.params, self.params, strict=True))

    def __repr__(self) -> str:
        return f"<Derivation {self.id}>"
