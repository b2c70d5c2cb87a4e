"""What a signature is annotated with: the markers of inputs, outputs, results and work items; reads no signature."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class Input(Path):
    """Marks one path that a stage takes. In the body it is a `pathlib.Path`."""


class Inputs(Sequence[Path]):
    """Marks a list of paths that a stage takes; named `inputs`, the mapping of all dynamic inputs."""

    @typing.overload
    def __getitem__(self, key: int) -> Path: ...
    @typing.overload
    def __getitem__(self, key: slice) -> Sequence[Path]: ...
    @typing.overload
    def __getitem__(self, key: str) -> Path: ...
    def __getitem__(self, key: int | slice | str) -> Any:
        """By position, or by name for dynamic inputs."""
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError


class Output(Path):
    """Marks a path that a stage makes below `$out`. In the body it is a `pathlib.Path`."""


class Outputs(Mapping[str, Path]):
    """Marks the mapping of all outputs, for a stage whose outputs depend on its params. Name it `outputs`."""

    def __getitem__(self, key: str) -> Path:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    def __iter__(self) -> Iterator[str]:
        raise NotImplementedError


class WorkItem(dict[str, Any]):
    """Marks the work item that a step of a scatter-gather takes: one element of the scatter's list."""


class ResultJob:
    """One job of a `Results`: what its stage was called, its params (inherited ones too) and its outputs' paths.

    Of a stage with several realizations each is one, told apart by `index`.
    """

    stage: str
    index: int
    params: dict[str, Any]
    outputs: dict[str, Path]


class Results:
    """Marks a whole upstream run that a stage takes."""

    def jobs(self, stage: str | None = None, **params: Any) -> list[ResultJob]:
        """The jobs that succeeded, of one stage and with these params if given."""
        raise NotImplementedError

    def failed(self, stage: str | None = None, **params: Any) -> list[ResultJob]:
        """The jobs that did not."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class OutputDefault:
    """What `out` returns: the path of an output below `$out`."""

    path: str


def out(path: str) -> Any:
    """The default of an `Output`: its path below `$out`, such as `"plots/loss.png"`."""
    return OutputDefault(path)


def marker_of(annotation: Any) -> tuple[Any, bool]:
    """The marker in an annotation, and whether it is optional (`Input | None`)."""
    markers = (Input, Inputs, Output, Outputs, Results, WorkItem)
    if annotation in markers:
        return annotation, False
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        found = [arg for arg in typing.get_args(annotation) if arg in markers]
        if found and len(typing.get_args(annotation)) == 2 and type(None) in typing.get_args(annotation):
            return found[0], True
    return None, False
