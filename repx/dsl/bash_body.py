"""The script of a `@bash` stage: its body called once with placeholders that only print; runs no shell."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType
from typing import Any, NoReturn, Protocol

from repx.dsl.caller import caller
from repx.dsl.handed import Handed
from repx.dsl.interface import Interface
from repx.dsl.node import tracing
from repx.dsl.stage_options import StageOptions
from repx.errors import DefinitionError, RepxError, SourceLocation
from repx.model.derivation import Script


class BashStage(Protocol):
    """What is asked of a stage to make its script."""

    name: str
    function: FunctionType
    handed: Handed
    interface: Interface
    location: SourceLocation
    options: StageOptions
    text_when_made: str | None

    @property
    def text_origin(self) -> SourceLocation:
        """Where line 1 of the script stands."""


class Placeholder:
    """Stands for a value that is known only at job time: its text is `${name}`, and it is nothing else.

    Comparing it, testing it or computing with it would be silently wrong for every job, so all of that raises.
    """

    __slots__ = ("_name", "_stage", "_text")

    def __init__(self, stage: str, name: str, text: str) -> None:
        self._stage = stage
        self._name = name
        self._text = text

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        # Python's own repr is an address, which would make another script in every process.
        return self._refuse("formatted with !r")

    def __format__(self, spec: str) -> str:
        return self._refuse(f"formatted with {spec!r}") if spec else self._text

    def __getitem__(self, key: str) -> Placeholder:
        if self._name in ("inputs", "outputs", "params"):
            return Placeholder(self._stage, f"{self._name}[{key}]", f"${{{self._name}[{key}]}}")
        return self._refuse("indexed")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._refuse(f"asked for .{name}")

    def _refuse(self, how: str) -> NoReturn:
        raise DefinitionError(
            f"{self._name!r} of @bash stage {self._stage!r} was {how}; its value is known only when the job runs",
            location=caller(),
            hint=f"do it in the shell, with {self._text}; or branch in the pipeline, whose arguments are values",
        )

    def __eq__(self, other: object) -> bool:
        self._refuse("compared")

    def __hash__(self) -> int:
        self._refuse("used as a key")

    def __bool__(self) -> bool:
        self._refuse("tested")

    def __iter__(self) -> Iterator[Any]:
        self._refuse("iterated over")


def _refusing(operation: str) -> Any:
    def refuse(self: Placeholder, *_: object) -> Any:
        self._refuse(operation)

    return refuse


for _name in ("lt", "le", "gt", "ge", "ne"):
    setattr(Placeholder, f"__{_name}__", _refusing("compared"))
for _name in (
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "and",
    "or",
    "xor",
    "lshift",
    "rshift",
    "matmul",
):
    setattr(Placeholder, f"__{_name}__", _refusing("computed with"))
    setattr(Placeholder, f"__r{_name}__", _refusing("computed with"))
for _name in ("neg", "pos", "abs", "invert", "int", "float", "index", "len", "contains", "round", "call", "fspath"):
    setattr(Placeholder, f"__{_name}__", _refusing("computed with"))


def text_when_made(stage: BashStage) -> str | None:
    """The text that the body returns when the stage is made; None where it needs what stands further down."""
    if stage.options.script_file is not None:
        return None
    try:
        return _text(stage, stage.function)
    except Exception:
        return None


def bash_script(stage: BashStage) -> Script:
    """The script of a Bash stage. Raises DefinitionError when the body does not return one.

    The text is that of when the stage was made; in a notebook the body is called again, as its cells may have changed.
    """
    if stage.options.script_file is not None:
        return _from_file(stage, stage.options.script_file)
    handed, made = stage.handed, stage.text_when_made
    what = f"the body of @bash stage {stage.name!r}"
    if made is None or (handed.is_live and not handed.changed()):
        return _checked(stage, _text(stage, handed.now(what)))
    if handed.changed() and _text(stage, handed.as_it_was()) != made:
        handed.now(what)
    return _checked(stage, made)


def _text(stage: BashStage, body: Callable[..., Any]) -> str:
    arguments = {name: Placeholder(stage.name, name, _variable(stage, name)) for name in stage.interface.names}
    try:
        with tracing() as nodes:
            text = body(**arguments)
    except RepxError:
        raise
    except Exception as error:
        raise DefinitionError(
            f"the body of @bash stage {stage.name!r} failed: {type(error).__name__}: {error}",
            location=_place(stage, error),
            hint="it is called once, to make the script; its parameters are placeholders for shell variables",
        ) from None
    if nodes:
        raise DefinitionError(
            f"@bash stage {stage.name!r} calls stage {nodes[0]._stage.name!r}",
            location=nodes[0]._location,
            hint="a stage cannot call another stage; wire it in a pipeline",
        )
    if not isinstance(text, str):
        raise DefinitionError(
            f"@bash stage {stage.name!r} returned {'None' if text is None else type(text).__name__}, not a script",
            location=stage.location,
            hint='write return """…""", or use @stage for a Python body',
        )
    return text


def _place(stage: BashStage, error: Exception) -> SourceLocation:
    """The last line of the stage's own file that led to an error."""
    file = stage.function.__code__.co_filename
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == file]
    return SourceLocation(stage.location.file, lines[-1]) if lines else stage.location


def _variable(stage: BashStage, name: str) -> str:
    spec = stage.interface.input(name)
    if spec is not None and spec.kind == "paths":
        return f"${{{name}[@]}}"
    # With braces, or text that follows would become part of the variable's name.
    return f"${{{name}}}"


def _from_file(stage: BashStage, file: Path) -> Script:
    try:
        # Bytes: reading it as text would change the ends of lines, which a here-document may hold.
        text = file.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DefinitionError(
            f"the script of stage {stage.name!r} cannot be read: {error}", location=stage.location
        ) from None
    return _checked(stage, text)


def _checked(stage: BashStage, text: str) -> Script:
    if "\0" in text:
        raise DefinitionError(f"the script of stage {stage.name!r} contains a NUL character", location=stage.location)
    if text.startswith("\ufeff"):
        raise DefinitionError(
            f"the script of stage {stage.name!r} begins with a byte order mark (BOM), which Bash takes for a command",
            location=stage.text_origin,
            hint="save it as UTF-8 without BOM",
        )
    if not text.strip():
        raise DefinitionError(f"the script of stage {stage.name!r} is empty", location=stage.location)
    return Script("bash", text, text, stage.text_origin)
