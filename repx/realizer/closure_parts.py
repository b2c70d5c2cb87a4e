"""What a Lab has more when it carries a closure: store paths, tools that start anywhere, images; knows no jobs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from repx.agent.base.files import link_tree
from repx.model.closure import Closure
from repx.model.graph import DerivationGraph
from repx.model.software import Json, Software
from repx.realizer.bundle import ANY_PYTHON, PYTHON_BESIDE, agent_bundle, runner_bundle
from repx.realizer.host_tools import launchers
from repx.realizer.images.lab_images import LabImages, write_images
from repx.realizer.nix.contents import StoreContents
from repx.realizer.nix.manifest import closure_manifest
from repx.store.writer import StoreWriter


@dataclass(slots=True)
class ClosureParts:
    """For one Lab, which is made at `building`; the closure is in the store already."""

    closure: Closure
    writer: StoreWriter
    building: str
    contents: StoreContents = field(init=False)

    def __post_init__(self) -> None:
        self.contents = StoreContents((self.writer.store.objects,))

    def software(self, software: Software) -> dict[str, Json]:
        """The manifest of a stage's software."""
        return closure_manifest(software, self.contents, self.closure)

    def host_tools(self) -> Iterator[tuple[str, str | bytes]]:
        """(name, content) of the programs that the Lab offers."""
        tools = dict(launchers(self.closure, self.contents))
        yield from tools.items()
        start = PYTHON_BESIDE if "python3" in tools else ANY_PYTHON
        yield "repx-agent", agent_bundle(start)
        yield "repx", runner_bundle(start)

    def images(self, graph: DerivationGraph) -> LabImages:
        """Write the images that the graph asks for."""
        return write_images(graph, self.closure, self.writer, self.contents, self.building)

    def link_store_paths(self) -> None:
        """Give each store path its place in the Lab."""
        for name in self.closure.paths:
            link_tree(f"{self.writer.store.objects}/{name}", f"{self.building}/store/{name}")
