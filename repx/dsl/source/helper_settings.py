"""Which calls of the user's own functions, and imports of the user's own modules, set something in a library.

`set_seed(42)` may seed three libraries; `import plot_style` may set options of a fourth. Decides for no stage.
"""

from __future__ import annotations

import ast
import functools
from typing import NamedTuple

from repx.dsl.source.imports import Import, LocalFiles, imports_of, only, package_of
from repx.dsl.source.loaded import Loaded, Unit
from repx.dsl.source.module import ModuleSource
from repx.dsl.source.settings import Setting, is_setting

_OWN = "__main__"


class OwnSetting(NamedTuple):
    """A top-level statement by the number of its piece and its place there; of an import, one name of it."""

    number: int
    alias: ast.alias | None
    settings: tuple[Setting, ...]

    @property
    def place(self) -> int:
        return self.settings[0].place


def own_settings(module: ModuleSource, local: LocalFiles) -> tuple[OwnSetting, ...]:
    """In the order of the source. `local` is empty, and is filled with all that the module imports."""
    for piece in module.pieces:
        local.follow(imports_of(piece.tree.body, module.package), piece)
    units = [Unit(_OWN, module.package, piece, tuple(piece.tree.body)) for piece in module.pieces]
    for path, source in sorted(local.files.items()):
        name = local.names[path]
        units.append(Unit(name, package_of(path, name), source, tuple(source.tree.body)))
    modules = {name: path for path, name in local.names.items()}
    changes = _changes(tuple(units), frozenset(name.partition(".")[0] for name in modules))
    if not changes:
        return ()
    found: list[OwnSetting] = []
    for number, piece in enumerate(module.pieces):
        for index, node in enumerate(piece.tree.body):
            if isinstance(node, ast.Import | ast.ImportFrom):
                for alias in node.names:
                    reached = LocalFiles(module.root, module.root)
                    wanted: list[Import] = list(imports_of([only(node, alias)], module.package))
                    reached.follow(wanted, piece)
                    made = [one for name in reached.names.values() for one in changes.get((name, -1), ())]
                    found += _as_setting(number, index, alias, made)
            else:
                found += _as_setting(number, index, None, changes.get((f"{_OWN} {number}", index), ()))
    return tuple(found)


def _as_setting(
    number: int, index: int, alias: ast.alias | None, made: list[Setting] | tuple[Setting, ...]
) -> list[OwnSetting]:
    placed = tuple(dict.fromkeys(one._replace(place=index) for one in made))
    return [OwnSetting(number, alias, placed)] if placed else []


@functools.lru_cache(maxsize=32)
def _changes(units: tuple[Unit, ...], own: frozenset[str]) -> dict[tuple[str, int], tuple[Setting, ...]]:
    """What calls of own functions set, by place; what the import of a local module sets, by its name and -1."""
    loaded = Loaded(units)
    found: dict[tuple[str, int], tuple[Setting, ...]] = {}
    pieces = [unit for unit in units if unit.name == _OWN]
    for unit in units:
        for index, node in enumerate(unit.source.tree.body):
            is_own = unit.name == _OWN
            if is_own and not (isinstance(node, ast.Expr) and loaded.calls_own(unit, node.value)):
                continue
            made = tuple(
                Setting(index, dotted, is_call)
                for dotted, is_call in loaded.changes(unit, node)
                if dotted.partition(".")[0] not in own | {_OWN} and is_setting(dotted, is_call)
            )
            if made:
                key = (f"{_OWN} {pieces.index(unit)}", index) if is_own else (unit.name, -1)
                found[key] = (*found.get(key, ()), *made)
    return found
