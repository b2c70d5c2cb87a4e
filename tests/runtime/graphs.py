"""A graph of units over a small Lab, driven by hand: what is ready is noted, and ends when the test says so."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from repx import Run
from repx.agent.base.files import remove_tree
from repx.agent.base.layout import COLLECTED, ITEMS, RECORD, Store
from repx.agent.base.state import State
from repx.agent.lab.run_file import Job
from repx.agent.resolve import ItemInput, Realized
from repx.agent.resolver import Resolver
from repx.agent.scatter import PartJob
from repx.lab.selection import select
from repx.runtime.branches import Branches
from repx.runtime.graph import UnitGraph
from repx.runtime.report import stage_of
from repx.runtime.units import Unit
from tests.small_labs import put_result, small_lab


class Driven:
    """`told` is what the graph has told, in order: `ready take`, `failed take`; a unit is named by its stage.

    Where a stage has several units they are told apart by their param `n`, their index or their item's text.
    """

    def __init__(self, root: Path, runs: Sequence[Run]) -> None:
        self.root = root
        self.lab = small_lab(root, runs)
        self.store = Store(str(root / "store"))
        self.told: list[str] = []
        self.forced: Collection[str] = ()
        self.wanted: Collection[str] = ()
        self.is_over = False

    def begin(self, *names: str, dry: bool = False) -> UnitGraph:
        """A new graph of what is named, with everything looked at that can be."""
        self.told = []
        selection = select(self.lab, names)
        self.graph = UnitGraph(self.lab, Resolver(self.lab, self.store), selection, self, dry=dry)
        self.graph.build(Branches(self.graph).open_scatter)
        self.graph.resolve_ready()
        return self.graph

    def end(self, name: str, text: str = "", *, state: State = State.SUCCEEDED) -> None:
        """A ready unit has come to its end; `text` is what each of its outputs holds."""
        (unit,) = [unit for unit in self.graph.units if unit.state is State.READY and name_of(unit) == name]
        unit.move(State.RUNNING)
        if state is State.SUCCEEDED:
            assert unit.job is not None
            assert unit.resolved is not None
            files = dict.fromkeys(unit.job.stage.outputs, text)
            self.graph.succeed(unit, put_result(self.store, unit.job, unit.resolved, files, unit.index), found=False)
        else:
            self.graph.end(unit, state)
        self.graph.resolve_ready()

    def finish(self) -> None:
        """Let all that is ready, and will be, come to its end; each makes what it would make any time."""
        while ready := [unit for unit in self.graph.units if unit.state is State.READY]:
            unit = ready[0]
            assert unit.job is not None
            assert unit.resolved is not None
            text = "[1, 1, 2]" if unit.job.stage.name == "split" else name_of(unit)
            unit.move(State.RUNNING)
            files = dict.fromkeys(unit.job.stage.outputs, text)
            self.graph.succeed(unit, put_result(self.store, unit.job, unit.resolved, files, unit.index), found=False)
            self.graph.resolve_ready()

    def collect(self, *stages: str) -> None:
        """Take away the outputs of all results of some stages, as `repx gc` does."""
        for directory in (self.root / "store" / "outputs").iterdir():
            if any(directory.name.endswith(f"-{stage}-1") for stage in stages):
                items = directory / "out" / "items.json"
                if items.exists():
                    items.rename(directory / ITEMS)
                (directory / RECORD).rename(directory / COLLECTED)
                remove_tree(str(directory / "out"))

    def states(self) -> Mapping[str, str]:
        """How every unit stands."""
        return {name_of(unit): unit.state.value for unit in self.graph.units}

    def unit(self, name: str) -> Unit:
        """The one unit of a name."""
        (found,) = [unit for unit in self.graph.units if name_of(unit) == name]
        return found

    # -- what the graph asks and tells (repx.runtime.graph.Hooks)

    def is_stopped(self) -> bool:
        return self.is_over

    def added(self, job: Job) -> Sequence[int]:
        return ()

    def is_wanted(self, job: Job | PartJob) -> bool:
        return job.id in self.wanted

    def is_forced(self, job: Job | PartJob) -> bool:
        return job.stage.name in self.forced

    def found(self, unit: Unit, outcome: Realized) -> Realized:
        return outcome

    def ready(self, unit: Unit) -> None:
        self.told.append(f"ready {name_of(unit)}")

    def ended(self, unit: Unit) -> None:
        self.told.append(f"{'found' if unit.found else unit.state.value} {name_of(unit)}")

    def grown(self) -> None:
        self.told.append("grown")


def name_of(unit: Unit) -> str:
    """`take`, `take 2` for param n, `twice#1` for an index, `work 1` for an item."""
    name = stage_of(unit)
    if unit.job is not None and unit.job.params.get("n"):
        name += f" {unit.job.params['n']}"
    if unit.resolved is not None:
        items = [value.text for value in unit.resolved.inputs.values() if isinstance(value, ItemInput)]
        name = " ".join([name, *items])
    return name if unit.index == 0 else f"{name}#{unit.index}"
