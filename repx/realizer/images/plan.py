"""Which store path goes into which layer of an image; reads and writes nothing.

Engines share a layer between two images only if all layers below it are the same too. So what most stages use lies
lowest, in an order that is the same for every image of a Lab.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from repx.agent.base.digest import digest_of_text
from repx.errors import SoftwareError

LAYER_FORMAT = 1
"""Goes up when the same paths would become other bytes."""

LAYER_LIMIT = 100
"""Layers of one image, the base among them. Docker stops at 125 and overlayfs at 128."""


@dataclass(frozen=True, slots=True)
class ImagePath:
    """A store path to be put into an image: its name in /nix/store, its NAR hash, and where its tree lies now."""

    name: str
    nar_hash: str
    source: str
    size: int


@dataclass(frozen=True)
class BaseLayer:
    """The lowest layer: what programs expect of any root directory, and the places where a job's are mounted.

    `shell` and `env` are absolute paths of programs, for `/bin/sh` and `/usr/bin/env`; None leaves them out.
    """

    shell: str | None = None
    env: str | None = None

    @cached_property
    def identity(self) -> str:
        """32 digits that name the bytes of this layer."""
        return digest_of_text(f"repx-base-layer {LAYER_FORMAT}\nshell {self.shell or ''}\nenv {self.env or ''}\n")

    @property
    def title(self) -> str:
        """What an image's history says of it."""
        return "base"


@dataclass(frozen=True)
class Layer:
    """Some store paths, sorted by name. Two layers with the same paths are one, wherever they are read from."""

    paths: tuple[ImagePath, ...]

    @cached_property
    def identity(self) -> str:
        """32 digits that name the bytes of this layer."""
        lines = [f"{path.name} {path.nar_hash}" for path in self.paths]
        return digest_of_text("\n".join([f"repx-layer {LAYER_FORMAT}", *lines, ""]))

    @property
    def title(self) -> str:
        """What an image's history says of it."""
        return self.paths[0].name if len(self.paths) == 1 else f"{len(self.paths)} store paths"


def plan_layers(paths: Iterable[ImagePath], uses: Mapping[str, int], limit: int = LAYER_LIMIT) -> list[Layer]:
    """The layers above the base, lowest first: one for each path, most used first; what is over `limit` in the last.

    `limit` counts the base too. `uses` says by a path's name how often it is used: give the numbers of the whole Lab,
    so that its images agree on the order. Ties go to the larger path, then by name. Raises SoftwareError when one
    name stands for two contents.
    """
    if limit < 2:
        raise ValueError(f"an image needs a base and one layer more, and the limit is {limit}")
    ordered = sorted(_by_name(paths).values(), key=lambda path: (-uses.get(path.name, 0), -path.size, path.name))
    alone = ordered if len(ordered) < limit else ordered[: limit - 2]
    layers = [Layer((path,)) for path in alone]
    rest = ordered[len(alone) :]
    if rest:
        layers.append(Layer(tuple(sorted(rest, key=lambda path: path.name))))
    return layers


def _by_name(paths: Iterable[ImagePath]) -> dict[str, ImagePath]:
    named: dict[str, ImagePath] = {}
    for path in paths:
        known = named.setdefault(path.name, path)
        if known.nar_hash != path.nar_hash:
            raise SoftwareError(
                "one store path has two contents",
                facts=[
                    ("path", path.name),
                    *sorted([(path.nar_hash, path.source), (known.nar_hash, known.source)]),
                ],
                hint="nix store verify --all says which is broken",
            )
    return named
