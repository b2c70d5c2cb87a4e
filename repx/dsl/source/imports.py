"""Which modules a piece of code imports, and which of them are files beside the experiment; never imports anything."""

from __future__ import annotations

import ast
import importlib.machinery
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from repx.dsl.source.bindings import catches_import_error, is_about_platform, is_main_guard, is_type_checking
from repx.dsl.source.text import SourceText, decoded, is_utf8, parsed
from repx.errors import SourceLocation
from repx.model.software import ImportedModule


@dataclass(frozen=True, slots=True)
class Import:
    """One module that code imports, by absolute name; `names` are what it takes out of it."""

    module: str
    names: tuple[str, ...]
    line: int
    optional: bool


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something an import leads to that cannot travel."""

    location: SourceLocation
    message: str
    hint: str


@dataclass(slots=True)
class LocalFiles:
    """The local modules that imports lead to, whole and transitively, and the modules that are not local.

    `shown_root` is the root as the user wrote it, for messages.
    """

    root: Path
    shown_root: Path
    files: dict[str, SourceText] = field(default_factory=dict)
    external: dict[str, ImportedModule] = field(default_factory=dict)
    troubles: list[Trouble] = field(default_factory=list)
    texts: Mapping[str, str] = field(default_factory=dict)
    """The texts that stand for files, by their paths below the root."""
    names: dict[str, str] = field(default_factory=dict)
    """The dotted name of each file."""

    def follow(self, imports: Iterable[Import], source: SourceText) -> None:
        """Takes in what `imports`, written in `source`, lead to."""
        for item in imports:
            if item.module.startswith("."):
                message = f"the relative import of {item.module} leads out of every package"
                self.troubles.append(Trouble(source.at(item.line), message, "write the module's whole name"))
                continue
            if not self.is_local(item.module):
                self._external(item, source.at(item.line))
                continue
            self._module(item.module, source.at(item.line))
            for name in item.names:
                names = self._exported(item.module) if name == "*" else [name]
                for submodule in names:
                    if self._file(f"{item.module}.{submodule}") is not None:
                        self._module(f"{item.module}.{submodule}", source.at(item.line))

    def _external(self, item: Import, location: SourceLocation) -> None:
        before = self.external.get(item.module)
        if before is None or (before.optional and not item.optional):
            self.external[item.module] = ImportedModule(item.module, location, item.optional)

    def is_local(self, dotted: str) -> bool:
        """Whether a module lies beside the experiment."""
        top = dotted.split(".")[0]
        if top in sys.builtin_module_names:
            return False
        loaded = getattr(sys.modules.get(top), "__file__", None)
        if top in sys.stdlib_module_names and loaded and not Path(loaded).is_relative_to(self.root):
            return False  # the user's own import found the library's module, whatever stands beside the experiment
        if self._file(top) is not None:
            return True
        # A directory without __init__.py counts only when nothing on the path is a real module of that name.
        if not (self.root / top).is_dir():
            return False
        spec = importlib.machinery.PathFinder.find_spec(top)
        return spec is None or spec.loader is None or spec.origin is None

    def _file(self, dotted: str) -> Path | None:
        """The file of a local module: a package comes before a module of the same name, as in Python."""
        place = self.root.joinpath(*dotted.split("."))
        suffixes = [*importlib.machinery.EXTENSION_SUFFIXES, ".py"]
        candidates = [place / "__init__.py", *(place.with_name(place.name + suffix) for suffix in suffixes)]
        return next((path for path in candidates if path.is_file()), None)

    def _module(self, dotted: str, location: SourceLocation) -> None:
        """Takes in one module and the packages around it."""
        parts = dotted.split(".")
        for length in range(1, len(parts) + 1):
            name = ".".join(parts[:length])
            if (path := self._file(name)) is not None:
                self._take(path, name, location)
            elif not self.root.joinpath(*parts[:length]).is_dir():
                hint = f"there is no {'/'.join(parts[:length])}.py beside the experiment"
                self.troubles.append(Trouble(location, f"the local module {name} does not exist", hint))
                return

    def _take(self, path: Path, dotted: str, location: SourceLocation) -> None:
        key = path.relative_to(self.root).as_posix()
        if key in self.files:
            return
        shown = str(self.shown_root / key)
        try:
            if path.suffix != ".py":
                raise SyntaxError("it is a compiled extension")
            content = path.read_bytes()
            if not is_utf8(content):
                raise SyntaxError("it is not in UTF-8")
            source = parsed(shown, self.texts[key] if key in self.texts else decoded(content))
        except (OSError, SyntaxError, UnicodeDecodeError) as problem:
            line = getattr(problem, "lineno", None)
            place = SourceLocation(shown, line) if line else location
            hint = "local modules travel with the stage, as Python source in UTF-8; make this one a package it asks for"
            self.troubles.append(Trouble(place, f"the local module {dotted} cannot travel: {problem}", hint))
            return
        self.files[key] = source
        self.names[key] = dotted
        package = package_of(key, dotted)
        imports = list(imports_of(source.tree.body, package))
        for item in imports:
            if item.module.split(".")[0] == "repx":
                self.troubles.append(
                    Trouble(
                        source.at(item.line),
                        f"the local module {dotted} imports repx, which is not there when the job runs",
                        "keep the helpers of jobs and the stages in separate files",
                    )
                )
        self.follow([item for item in imports if item.module.split(".")[0] != "repx"], source)

    def _exported(self, dotted: str) -> list[str]:
        """`__all__` of a local package, as far as it is written out."""
        path = self._file(dotted)
        source = self.files.get(path.relative_to(self.root).as_posix()) if path else None
        for statement in source.tree.body if source else []:
            match statement:
                case ast.Assign(targets=[ast.Name(id="__all__")], value=ast.List(elts=items) | ast.Tuple(elts=items)):
                    constants = [item.value for item in items if isinstance(item, ast.Constant)]
                    return [value for value in constants if isinstance(value, str)]
        return []


def package_of(path: str, dotted: str) -> str:
    """Where the relative imports of a local module start."""
    return dotted if path.rpartition("/")[2] == "__init__.py" else dotted.rpartition(".")[0]


def imports_of(nodes: Iterable[ast.AST], package: str, optional: bool = False) -> Iterator[Import]:
    """Every import that running `nodes` may perform; `package` is where relative ones start.

    Left out: `__future__`, what only type checkers see, what runs only when the file is the program.
    """
    for node in nodes:
        match node:
            case ast.Import(names=aliases):
                for alias in aliases:
                    yield Import(alias.name, (), node.lineno, optional)
            case ast.ImportFrom(module="__future__"):
                continue
            case ast.ImportFrom(names=aliases):
                names = tuple(alias.name for alias in aliases)
                yield Import(absolute(node, package), names, node.lineno, optional)
            case ast.If(test=test, orelse=orelse) if is_type_checking(test) or is_main_guard(test):
                yield from imports_of(orelse, package, optional)
            case ast.If(test=test, body=body, orelse=orelse) if is_about_platform(test):
                # Which of them is imported is for the interpreter of the job to say.
                yield from imports_of([*body, *orelse], package, True)
            case ast.Try(handlers=handlers, finalbody=finalbody) | ast.TryStar(handlers=handlers, finalbody=finalbody):
                attempt = optional or any(map(catches_import_error, handlers))
                yield from imports_of([*node.body, *handlers, *node.orelse], package, attempt)
                yield from imports_of(finalbody, package, optional)
            case ast.With(body=body) if any(map(_suppresses, node.items)):
                yield from imports_of(body, package, True)
            case _:
                inner = (ast.stmt, ast.ExceptHandler, ast.match_case)
                children = [child for child in ast.iter_child_nodes(node) if isinstance(child, inner)]
                yield from imports_of(children, package, optional)


def only(node: ast.stmt, alias: ast.alias) -> ast.stmt:
    """One name of an import, as an import of its own."""
    if isinstance(node, ast.ImportFrom):
        one: ast.stmt = ast.ImportFrom(module=node.module, names=[alias], level=node.level)
    else:
        one = ast.Import(names=[alias])
    return ast.copy_location(one, node)


def absolute(node: ast.ImportFrom, package: str) -> str:
    """The absolute name of the module in `from … import`; a leading dot stays when the import leaves the package."""
    if not node.level:
        return node.module or ""
    parts = package.split(".") if package else []
    if node.level > len(parts):
        return "." * node.level + (node.module or "")
    base = parts[: len(parts) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def _suppresses(item: ast.withitem) -> bool:
    match item.context_expr:
        case ast.Call(func=ast.Name(id="suppress") | ast.Attribute(attr="suppress"), args=args):
            return any(isinstance(arg, ast.Name) and arg.id in {"ImportError", "ModuleNotFoundError"} for arg in args)
        case _:
            return False
