"""Inputs as a stage declares them, and where those of a scatter-gather's parts come from; knows no stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

_STEP = "step:"
"""What stands before a step's name where a wire comes from one."""


class InputSpec(NamedTuple):
    """A declared input. `paths` takes a list, `results` a whole run, `item` a work item of a scatter."""

    name: str
    kind: Literal["path", "paths", "results", "item"]
    is_optional: bool = False


class Wire(NamedTuple):
    """Where an input of a step or of a gather comes from.

    The work item, an input of the whole, an output of the scatter, or an output of the step that `step` names; `name`
    is that input's or output's.
    """

    input: str
    source: Literal["item", "input", "scatter", "step"]
    step: str
    name: str

    @classmethod
    def parse(cls, line: Sequence[str]) -> Wire:
        """What `json` has written; whether it leads anywhere is not asked."""
        name, source, output = line
        is_step = source.startswith(_STEP)
        kind: Any = "step" if is_step else source
        return cls(name, kind, source[len(_STEP) :] if is_step else "", output)

    @property
    def source_text(self) -> str:
        """The source in one word: `item`, `input`, `scatter` or `step:<name>`."""
        return _STEP + self.step if self.source == "step" else self.source

    def json(self) -> list[str]:
        """As a Lab says it."""
        return [self.input, self.source_text, self.name]
