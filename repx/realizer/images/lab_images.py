"""The images of a Lab: which runs share one, and what goes into each; makes no bytes of its own."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from repx.agent.base.digest import file_sha256
from repx.agent.base.files import link_tree, remove_tree
from repx.model.closure import Closure
from repx.model.graph import DerivationGraph, RunGraph
from repx.model.software import Software
from repx.realizer.images.layer_store import LayerStore, StoredLayer
from repx.realizer.images.layout import oci_architecture, write_image
from repx.realizer.images.plan import BaseLayer, ImagePath, plan_layers
from repx.realizer.nix.contents import StoreContents
from repx.realizer.nix.manifest import closure_manifest
from repx.store.writer import StoreWriter


@dataclass(frozen=True, slots=True)
class LabImages:
    """Where the image of each run is in the Lab, and what has been written: (place, SHA-256)."""

    of_run: Mapping[str, str]
    files: tuple[tuple[str, str], ...]


def write_images(
    graph: DerivationGraph, closure: Closure, writer: StoreWriter, contents: StoreContents, building: str
) -> LabImages:
    """Write the images that the graph asks for into a Lab that is being built; layers stand once in its `store/`."""
    modes = {run.name: run.container or graph.container for run in graph.runs}
    unified = tuple(run for run in graph.runs if modes[run.name] == "unified")
    groups = [unified] if unified else []
    groups += [(run,) for run in graph.runs if modes[run.name] == "per-run"]
    if not groups:
        return LabImages({}, ())
    os.mkdir(f"{building}/images")
    software = list(dict.fromkeys(recipe.software.roots for recipe in graph.stages()))
    uses = Counter(name for roots in software for name in closure.of(roots))
    images = _ImageWriter(closure, writer, uses, _base(graph, contents, closure), building)
    of_run: dict[str, str] = {}
    for runs in groups:
        place = images.image(sorted(_roots(graph, runs)))
        of_run.update((run.name, place) for run in runs)
    return LabImages(of_run, tuple(images.files.items()))


class _ImageWriter:
    def __init__(
        self, closure: Closure, writer: StoreWriter, uses: Mapping[str, int], base: BaseLayer, building: str
    ) -> None:
        self.closure = closure
        self.objects = writer.store.objects
        self.uses = uses
        self.base = base
        self.building = building
        self.layers = LayerStore(writer)
        self.files: dict[str, str] = {}

    def image(self, roots: Iterable[str]) -> str:
        """Write one image; its place in the Lab. Two runs with the same closure have the same image."""
        paths = [self.closure.paths[name] for name in self.closure.of(roots)]
        here = [ImagePath(one.name, one.nar_sha256, f"{self.objects}/{one.name}", one.nar_size) for one in paths]
        layers = self.layers.take([self.base, *plan_layers(here, self.uses)])
        aside = f"{self.building}/images/new"
        architecture = oci_architecture(self.closure.flake.system.partition("-")[0])
        image = write_image(aside, [self._in_lab(layer) for layer in layers], architecture)
        place = f"images/{image.digest[:32]}"
        if os.path.isdir(f"{self.building}/{place}"):
            remove_tree(aside)
            return place
        os.rename(aside, f"{self.building}/{place}")
        for name in ("index.json", "manifest.json", "oci-layout"):
            self._list(f"{place}/{name}")
        for blob in (image.digest, image.image_id):
            self.files[f"{place}/blobs/sha256/{blob}"] = blob
        return place

    def _in_lab(self, layer: StoredLayer) -> StoredLayer:
        place = f"store/{layer.layer.identity}-layer.tar"
        path = f"{self.building}/{place}"
        if place not in self.files:
            link_tree(layer.path, path)
            self.files[place] = layer.sha256
        return replace(layer, path=path)

    def _list(self, place: str) -> None:
        self.files[place] = file_sha256(f"{self.building}/{place}")


def _roots(graph: DerivationGraph, runs: Iterable[RunGraph]) -> set[str]:
    recipes = {stage for run in runs for whole in {job.stage for job in run.jobs} for stage in whole.stages()}
    roots = {root for recipe in recipes for root in recipe.software.roots}
    return roots.union(*(software.roots for _, software in graph.packages))


def _base(graph: DerivationGraph, contents: StoreContents, closure: Closure) -> BaseLayer:
    """What /bin/sh and /usr/bin/env are: those of the base that all stages have."""
    software: Software = next(recipe.software for recipe in graph.stages())
    manifest = closure_manifest(software, contents, closure)
    return BaseLayer(shell=str(manifest["shell"]) or None, env=str(manifest["env"]) or None)
