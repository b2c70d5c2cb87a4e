"""Stages: functions with an interface, made by `@stage` and `@bash`; calling one makes a node and runs nothing."""

from __future__ import annotations

import types
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, Unpack

from repx.dsl.any_stage import AnyStage
from repx.dsl.bash_body import bash_script, text_when_made
from repx.dsl.caller import caller
from repx.dsl.handed import Handed
from repx.dsl.interface import read_interface
from repx.dsl.packages import package_base
from repx.dsl.source.cutout import CutOut, bash_text_origin, cut_out, source_location
from repx.dsl.stage_options import StageKeywords, StageOptions, read_options, refuse_unknown, with_stage_keywords
from repx.errors import DefinitionError, SourceLocation
from repx.model.derivation import Script
from repx.model.software import ImportedModule, World

ReadOptions = Callable[[str, SourceLocation], StageOptions]
"""The options of a stage, read when its function's name and place are known: messages say both."""


class Stage(AnyStage):
    """A declared unit of work. Its script is cut out when it is asked for, anew after `look_again`."""

    def __init__(self, function: types.FunctionType, kind: Literal["bash", "python"], options: ReadOptions) -> None:
        self.function = function
        self.kind = kind
        self.location = source_location(function)
        self.options = options(function.__name__, self.location)
        self.name = self.options.name
        self.resources = self.options.resources
        self.interface = read_interface(function, self.location, has_realizations=self.options.realizations is not None)
        self.doc = (function.__doc__ or "").strip()
        self._check_dynamic()
        self.text_when_made = text_when_made(self) if kind == "bash" else None
        self.handed = Handed(function, self.location)

    @property
    def output_names(self) -> frozenset[str] | None:
        if self.options.dynamic_outputs is not None:
            return None
        return frozenset(name for name, _ in self.interface.outputs)

    @property
    def realizations(self) -> int | None:
        return self.options.realizations

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset({self.kind})

    @property
    def has_dynamic_inputs(self) -> bool:
        return self.options.dynamic_inputs is not None

    def look_again(self) -> None:
        """Forget the script: in a notebook, other cells may have run since it was made."""
        for name in ("script", "imports", "_cut_out", "text_origin"):
            self.__dict__.pop(name, None)

    @cached_property
    def script(self) -> Script:
        """The script and what identifies it. Raises DefinitionError."""
        if self.kind == "bash":
            return bash_script(self)
        cut = self._cut_out
        modules = tuple((module.path, module.text) for module in cut.modules)
        return Script(
            "python", cut.source, cut.normal_form, cut.origin, entry=cut.name, modules=modules, lines=cut.lines
        )

    @cached_property
    def imports(self) -> tuple[ImportedModule, ...]:
        """The modules a Python body imports that do not travel along."""
        return self._cut_out.imports if self.kind == "python" else ()

    @property
    def world(self) -> World | None:
        """What of the module is to be compared with what a job would have."""
        return self._cut_out.world if self.kind == "python" else None

    @cached_property
    def _cut_out(self) -> CutOut:
        function = self.handed.body(f"stage {self.name!r}")
        assert isinstance(function, types.FunctionType)
        return cut_out(function, frozenset().union(*(param.names for param in self.interface.params)))

    @property
    def source_files(self) -> tuple[str, ...]:
        """The user's files that it is written in."""
        own = (self.function.__code__.co_filename,)
        if self.kind == "python":
            return own + self._cut_out.files
        return own if self.options.script_file is None else (*own, str(self.options.script_file))

    @cached_property
    def text_origin(self) -> SourceLocation:
        """Where line 1 of a Bash script stands."""
        if self.options.script_file is not None:
            return SourceLocation(str(self.options.script_file), 1)
        return bash_text_origin(self.function) if self.kind == "bash" else self.location

    def __repr__(self) -> str:
        return f"<stage {self.name}>"

    def _check_dynamic(self) -> None:
        for what, given, wants in (
            ("inputs", self.options.dynamic_inputs, self.interface.takes_inputs),
            ("outputs", self.options.dynamic_outputs, self.interface.takes_outputs),
        ):
            if (given is not None) != wants:
                kind = what.capitalize()
                raise DefinitionError(
                    f"stage {self.name!r} "
                    + (
                        f"has {what} that depend on params but does not ask for them"
                        if given
                        else f"asks for {what!r} but has none"
                    ),
                    location=self.location,
                    hint=f"a stage with {what}=lambda p: … takes a parameter `{what}: {kind}`",
                )
        if not self.interface.outputs and self.options.dynamic_outputs is None:
            raise DefinitionError(
                f"stage {self.name!r} has no output, so nothing could be kept of it",
                location=self.location,
                hint='add a parameter such as result: Output = out("result.txt")',
            )


@with_stage_keywords
def stage(function: Callable[..., Any] | None = None, **keywords: Unpack[StageKeywords]) -> Any:
    """A stage whose Python body runs as a job: `@stage` or `@stage(packages=["numpy"])`.

    `name`, `inputs`, `outputs` and `resources` may be functions of the params: `inputs` returns an iterable of names,
    `outputs` a mapping of names to paths below `$out`. Two stages may have one name, which is for people: what they
    do tells their jobs apart, and both are listed. Raises DefinitionError.
    """
    refuse_unknown("@stage", keywords, (), caller())
    return _decorated(function, "python", partial(read_options, **keywords))


@with_stage_keywords
def bash(
    function: Callable[..., Any] | None = None,
    *,
    script: str | Path | None = None,
    **keywords: Unpack[StageKeywords],
) -> Any:
    """A stage whose body returns a Bash script, or that runs the file `script` (relative to the experiment's folder).

    The body is called once with placeholders whose text is the shell variable. Raises DefinitionError.
    """
    refuse_unknown("@bash", keywords, ("script",), caller())
    path = None if script is None else Path(package_base(caller().file), script)
    return _decorated(function, "bash", partial(read_options, script=path, **keywords))


def _decorated(function: Callable[..., Any] | None, kind: Literal["bash", "python"], options: ReadOptions) -> Any:
    """The stage, or what makes one of the function that is decorated."""
    if function is None:
        return lambda decorated: _decorated(decorated, kind, options)
    if not isinstance(function, types.FunctionType):
        word = "@bash" if kind == "bash" else "@stage"
        raise DefinitionError(
            f"{word} decorates a function, not {function!r}", location=caller(), hint=f"write {word} above a def"
        )
    return Stage(function, kind, options)
