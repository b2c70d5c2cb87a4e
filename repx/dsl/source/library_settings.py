"""Which settings of libraries, and imports for their effect alone, a stage needs because it uses these libraries."""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Mapping

from repx.dsl.source.bindings import Binding, root_name
from repx.dsl.source.helper_settings import OwnSetting, own_settings
from repx.dsl.source.imports import LocalFiles, absolute, imports_of
from repx.dsl.source.module import FunctionSource
from repx.dsl.source.settings import settings_of, unused_imports
from repx.dsl.source.statement import Key, Statement
from repx.dsl.source.text import SourceText


class LibrarySettings:
    """Those of the module of one function."""

    def __init__(self, found: FunctionSource) -> None:
        self._found = found
        self._module = found.module
        self._local = LocalFiles(found.module.root, found.module.root)

    @functools.cached_property
    def _own(self) -> tuple[OwnSetting, ...]:
        return own_settings(self._module, LocalFiles(self._module.root, self._module.root))

    def missing(self, statements: Mapping[Key, Statement]) -> list[tuple[Key, Statement]]:
        """What must be taken in addition to `statements`."""
        made: list[tuple[Key, Statement]] = []
        tops: frozenset[str] | None = None
        for number, piece in enumerate(self._module.pieces):
            for setting in settings_of(piece, self._module.package):
                key = number, setting.place, ""
                if key in statements or setting.top == "repx":
                    continue
                tops = self._tops(statements) if tops is None else tops
                # A call of the user's own module may do anything; what it leaves there is compared.
                is_own_call = setting.is_call and self._local.is_local(setting.top)
                if (setting.top in tops or setting.is_needed_everywhere) and not is_own_call:
                    node = piece.tree.body[setting.place]
                    made.append((key, Statement(piece, node, libraries=(setting.top, setting.dotted))))
            for own in self._own:
                if own.number != number or (number, own.place, "") in (statements if own.alias is None else ()):
                    continue
                tops = self._tops(statements) if tops is None else tops
                relevant = [one for one in own.settings if one.top in tops or one.is_needed_everywhere]
                if relevant:
                    libraries = tuple(part for one in relevant for part in (one.top, one.dotted))
                    made += self._with(piece, own, statements, libraries)
            for place, alias, dotted in unused_imports(piece, self._module.package):
                name, top = alias.asname or alias.name.split(".")[0], dotted.partition(".")[0]
                known = statements.get((number, place, ""))
                is_taken = known is not None and name in known.aliases
                if is_taken or top == "repx" or top in sys.stdlib_module_names or self._local.is_local(top):
                    continue
                tops = self._tops(statements) if tops is None else tops
                if top in tops:
                    aliases = {**(known.aliases if known else {}), name: alias}
                    names = set(known.names) if known else set()
                    made.append(((number, place, ""), Statement(piece, piece.tree.body[place], names, aliases)))
        return made

    def _with(
        self, piece: SourceText, own: OwnSetting, statements: Mapping[Key, Statement], libraries: tuple[str, ...]
    ) -> list[tuple[Key, Statement]]:
        """The statement of a setting; of an import what was needed before, and one name more."""
        key = own.number, own.place, ""
        node = piece.tree.body[own.place]
        if own.alias is None:
            return [(key, Statement(piece, node, libraries=libraries))]
        known = statements.get(key)
        name = own.alias.asname or own.alias.name.split(".")[0]
        if known is not None and name in known.aliases:
            return []
        aliases = {**(known.aliases if known else {}), name: own.alias}
        return [(key, Statement(piece, node, set(known.names) if known else set(), aliases, libraries=libraries))]

    def stands_alone(self, piece: SourceText, line: int) -> bool:
        """Whether the statement at a line travels as a setting, or does what is the module's alone."""
        node = next((one for one in piece.tree.body if one.lineno <= line <= (one.end_lineno or 0)), None)
        if not isinstance(node, ast.Expr | ast.Assign | ast.AugAssign | ast.Delete):
            return False
        root = root_name(node.value) if isinstance(node, ast.Expr) else None
        _, found = self._module.bindings(root) if root else (0, [])
        return not any(self.is_from_local(piece.tree, binding) for binding in found)

    def is_from_local(self, tree: ast.Module | None, binding: Binding) -> bool:
        """Whether an import is one of a module beside the experiment."""
        node = tree.body[binding.index] if tree and binding.index < len(tree.body) else None
        if isinstance(node, ast.ImportFrom):
            return self._local.is_local(absolute(node, self._module.package))
        return isinstance(node, ast.Import) and binding.alias is not None and self._local.is_local(binding.alias.name)

    def _tops(self, statements: Mapping[Key, Statement]) -> frozenset[str]:
        """The first names of all modules that what is needed imports, local ones included, at any depth."""
        local = LocalFiles(self._module.root, self._module.root)
        for statement in statements.values():
            if statement.value is None:
                local.follow(imports_of([statement.node], self._module.package), statement.source)
        local.follow(imports_of(self._found.node.body, ""), self._found.piece)
        modules = [name.partition(".")[0] for name in local.external]
        return frozenset([*modules, *(path.partition("/")[0].removesuffix(".py") for path in local.files)])
