"""What a cut-out is made of: top-level statements, and reasons why one cannot be taken; decides nothing."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from repx.dsl.source.frozen import Assignment
from repx.dsl.source.scope import Use
from repx.dsl.source.text import SourceText
from repx.errors import SourceLocation

Key = tuple[int, int, str]
"""A top-level statement: the number of its piece, its index there. With a name: the value that it has in the module."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason why a stage cannot be cut out."""

    location: SourceLocation
    message: str
    hint: str


@dataclass(slots=True)
class Statement:
    """A needed top-level statement, and what of it is needed; or `value`, which stands for what made a name's value."""

    source: SourceText
    node: ast.stmt
    names: set[str] = field(default_factory=set)
    aliases: dict[str, ast.alias] = field(default_factory=dict)
    """The needed names of an import at the very top level; empty for everything else."""
    uses: tuple[Use, ...] = ()
    value: Assignment | None = None
    libraries: tuple[str, ...] = ()
    """The libraries whose settings it makes."""
