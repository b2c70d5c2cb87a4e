"""Stages: functions with an interface, made by `@stage` and `@bash`; calling one makes a node and runs nothing."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NoReturn

from repx.dsl.bash_body import bash_script
from repx.dsl.caller import caller
from repx.dsl.interface import Interface, read_interface
from repx.dsl.node import ItemRef, Node, OuterInput, OutputRef, WholeRun
from repx.dsl.source.cutout import CutOut, bash_text_origin, cut_out, source_location
from repx.errors import DefinitionError, SourceLocation, nearest
from repx.model.derivation import Script
from repx.model.names import check_name, check_version
from repx.model.resources import Resources
from repx.model.software import ImportedModule
from repx.model.values import PackageRef, StoredPath, Value, check_value

Dynamic = Callable[[Any], Any]
"""A function of a stage's params, such as `lambda p: f"train-{p.model}"`."""


class AnyStage:
    """What can be called in a pipeline: a stage, or a scatter-gather."""

    name: str
    location: SourceLocation
    interface: Interface
    resources: Resources

    @property
    def output_names(self) -> frozenset[str] | None:
        """The names of its outputs; None when they depend on params."""
        raise NotImplementedError

    @property
    def has_dynamic_inputs(self) -> bool:
        """Whether the names of its inputs depend on params."""
        return False

    def __call__(self, *nodes: Any, **given: Any) -> Node:
        """Make a node: positional nodes are wired by matching names, keywords are inputs or params."""
        location = caller()
        implicit = []
        for node in nodes:
            if not isinstance(node, Node):
                raise DefinitionError(
                    f"stage {self.name!r} was given {node!r} by position",
                    location=location,
                    hint=self._instead_of_position(node),
                )
            implicit.append(node)
        params = {param.name for param in self.interface.params}
        inputs = {spec.name for spec in self.interface.inputs}
        call: dict[str, Value] = {}
        wires: dict[str, Any] = {}
        for name, value in given.items():
            if name in params:
                call[name] = self._checked(name, value, location)
            elif name in inputs or (self.has_dynamic_inputs and _is_source(value)):
                wires[name] = _checked_wire(self.name, name, value, location)
            else:
                raise DefinitionError(
                    f"stage {self.name!r} has no input or param {name!r}",
                    location=location,
                    hint=nearest(name, params | inputs),
                )
        for name, wire in wires.items():
            if isinstance(wire, WholeRun) and (spec := self.interface.input(name)) and spec.kind != "results":
                raise DefinitionError(
                    f"input {name!r} of stage {self.name!r} was given the run {wire.name!r}",
                    location=location,
                    hint=f"annotate it as {name}: Results",
                )
        return Node(self, call, wires, tuple(implicit), location)

    def _instead_of_position(self, given: Any) -> str:
        if isinstance(given, AnyStage):
            return f"call it: {self.name}({given.name}(…))"
        if isinstance(given, ItemRef | OuterInput | OutputRef):
            kinds = ("item",) if isinstance(given, ItemRef) else ("path", "paths")
            name = next((spec.name for spec in self.interface.inputs if spec.kind in kinds), None)
            return f"give it by name: {self.name}({name}=…)" if name else f"{self.name!r} takes no such input"
        return "positions take the results of other stages, wired by name; give everything else by name"

    def _checked(self, name: str, value: Any, location: SourceLocation) -> Value:
        if isinstance(value, Node | OutputRef):
            raise DefinitionError(
                f"param {name!r} of stage {self.name!r} was given {value!r}",
                location=location,
                hint=f"annotate it as {name}: Input to take the file",
            )
        try:
            return check_value(value)
        except ValueError as error:
            raise DefinitionError(f"param {name!r} of stage {self.name!r}: {error}", location=location) from None


class Stage(AnyStage):
    """A declared unit of work. Immutable once made; its script is cut out when first asked for."""

    def __init__(
        self, function: types.FunctionType, kind: Literal["bash", "python"], options: Mapping[str, Any]
    ) -> None:
        self.function = function
        self.kind = kind
        self.location = source_location(function)
        name = options["name"]
        self.dynamic_name: Dynamic | None = name if callable(name) else None
        self.name = check_name("stage", function.__name__ if name is None or callable(name) else name, self.location)
        self.version = check_version(options["version"], self.location)
        self.packages = _package_names(self.name, options["packages"], self.location)
        self.env = _environment(self.name, options["env"], self.location)
        self.dynamic_inputs: Dynamic | None = options["inputs"]
        self.dynamic_outputs: Dynamic | None = options["outputs"]
        self.impure = bool(options["impure"])
        realizations = options["realizations"]
        if realizations is not None and (type(realizations) is not int or realizations < 1):
            raise DefinitionError(
                f"realizations of stage {self.name!r} is {realizations!r}, not a number ≥ 1", location=self.location
            )
        self.realizations: int = realizations or 1
        resources = options["resources"]
        if resources is not None and not isinstance(resources, Resources) and not callable(resources):
            raise DefinitionError(
                f"resources of stage {self.name!r} is {resources!r}",
                location=self.location,
                hint='write resources=Resources(mem="2G", cpus=2), or a function of the params that returns one',
            )
        self.dynamic_resources: Dynamic | None = resources if callable(resources) else None
        self.resources = resources if isinstance(resources, Resources) else Resources()
        self.interface = read_interface(function, self.location, has_realizations=realizations is not None)
        self.script_file: Path | None = options.get("script")
        self.doc = (function.__doc__ or "").strip()
        self._check_dynamic()

    @property
    def output_names(self) -> frozenset[str] | None:
        if self.dynamic_outputs is not None:
            return None
        return frozenset(name for name, _ in self.interface.outputs)

    @property
    def has_dynamic_inputs(self) -> bool:
        return self.dynamic_inputs is not None

    @property
    def is_dynamic(self) -> bool:
        """Whether its shape depends on params."""
        return bool(self.dynamic_name or self.dynamic_inputs or self.dynamic_outputs)

    @cached_property
    def script(self) -> Script:
        """The script and what identifies it. Raises DefinitionError."""
        if self.kind == "bash":
            return bash_script(self)
        cut = self._cut_out
        modules = tuple((module.path, module.text) for module in cut.modules)
        return Script("python", cut.source, cut.normal_form, cut.origin, entry=cut.name, modules=modules)

    @cached_property
    def imports(self) -> tuple[ImportedModule, ...]:
        """The modules a Python body imports that do not travel along."""
        return self._cut_out.imports if self.kind == "python" else ()

    @cached_property
    def _cut_out(self) -> CutOut:
        return cut_out(self.function)

    @property
    def source_files(self) -> tuple[str, ...]:
        """The user's files that it is written in."""
        own = (self.function.__code__.co_filename,)
        if self.kind == "python":
            return own + self._cut_out.files
        return own if self.script_file is None else (*own, str(self.script_file))

    @cached_property
    def text_origin(self) -> SourceLocation:
        """Where line 1 of a Bash script stands."""
        if self.script_file is not None:
            return SourceLocation(str(self.script_file), 1)
        return bash_text_origin(self.function) if self.kind == "bash" else self.location

    def __repr__(self) -> str:
        return f"<stage {self.name}>"

    def _check_dynamic(self) -> None:
        for what, given, wants in (
            ("inputs", self.dynamic_inputs, self.interface.takes_inputs),
            ("outputs", self.dynamic_outputs, self.interface.takes_outputs),
        ):
            if given is not None and not callable(given):
                raise DefinitionError(
                    f"{what} of stage {self.name!r} is not a function of the params",
                    location=self.location,
                    hint=f"write {what}=lambda p: …, or declare them in the signature",
                )
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
        if not self.interface.outputs and self.dynamic_outputs is None:
            raise DefinitionError(
                f"stage {self.name!r} has no output, so nothing could be kept of it",
                location=self.location,
                hint='add a parameter such as result: Output = out("result.txt")',
            )


def stage(
    function: Callable[..., Any] | None = None,
    *,
    name: str | Dynamic | None = None,
    version: str = "1",
    packages: Sequence[str] = (),
    resources: Resources | Dynamic | None = None,
    env: Mapping[str, str] | None = None,
    inputs: Dynamic | None = None,
    outputs: Dynamic | None = None,
    realizations: int | None = None,
    impure: bool = False,
) -> Any:
    """A stage whose Python body runs as a job: `@stage` or `@stage(packages=["numpy"])`.

    `name`, `inputs`, `outputs` and `resources` may be functions of the params: `inputs` returns an iterable of names,
    `outputs` a mapping of names to paths below `$out`. Two stages may have one name, which is for people: what they
    do tells their jobs apart, and both are listed. Raises DefinitionError.
    """
    options = {
        "name": name,
        "version": version,
        "packages": packages,
        "resources": resources,
        "env": env,
        "inputs": inputs,
        "outputs": outputs,
        "realizations": realizations,
        "impure": impure,
    }
    if function is not None:
        return _make(function, "python", options)
    return lambda decorated: _make(decorated, "python", options)


def bash(
    function: Callable[..., Any] | None = None,
    *,
    script: str | Path | None = None,
    name: str | Dynamic | None = None,
    version: str = "1",
    packages: Sequence[str] = (),
    resources: Resources | Dynamic | None = None,
    env: Mapping[str, str] | None = None,
    inputs: Dynamic | None = None,
    outputs: Dynamic | None = None,
    realizations: int | None = None,
    impure: bool = False,
) -> Any:
    """A stage whose body returns a Bash script, or that runs the file `script` (relative to the experiment's folder).

    The body is called once with placeholders whose text is the shell variable. Raises DefinitionError.
    """
    path = None if script is None else Path(caller().file).resolve().parent / script
    options = {
        "name": name,
        "version": version,
        "packages": packages,
        "resources": resources,
        "env": env,
        "inputs": inputs,
        "outputs": outputs,
        "realizations": realizations,
        "impure": impure,
        "script": path,
    }
    if function is not None:
        return _make(function, "bash", options)
    return lambda decorated: _make(decorated, "bash", options)


def _make(function: Any, kind: Literal["bash", "python"], options: Mapping[str, Any]) -> Stage:
    if not isinstance(function, types.FunctionType):
        _refuse(kind, function)
    return Stage(function, kind, options)


def _refuse(kind: str, function: Any) -> NoReturn:
    word = "@bash" if kind == "bash" else "@stage"
    raise DefinitionError(
        f"{word} decorates a function, not {function!r}", location=caller(), hint=f"write {word} above a def"
    )


def _is_source(value: Any) -> bool:
    return isinstance(value, Node | OutputRef | StoredPath | OuterInput | ItemRef)


def _checked_wire(stage_name: str, name: str, value: Any, location: SourceLocation) -> Any:
    if value is None or _is_source(value) or isinstance(value, WholeRun):
        return value
    if isinstance(value, Sequence) and not isinstance(value, str) and all(_is_source(one) for one in value):
        return list(value)
    raise DefinitionError(
        f"input {name!r} of stage {stage_name!r} was given {value!r}",
        location=location,
        hint=f"call it: {name}={value.name}(…)"
        if isinstance(value, AnyStage)
        else 'an input takes the output of another stage, a list of them, or repx.path("…")',
    )


def _package_names(stage_name: str, packages: Any, location: SourceLocation) -> tuple[str, ...]:
    listed = isinstance(packages, Iterable) and not isinstance(packages, str)
    if not listed or not all(isinstance(name, str | PackageRef) for name in packages):
        raise DefinitionError(
            f"packages of stage {stage_name!r} is {packages!r}", location=location, hint='write packages=["name", …]'
        )
    return tuple(sorted({name.name if isinstance(name, PackageRef) else name for name in packages}))


def _environment(
    stage_name: str, env: Mapping[str, str] | None, location: SourceLocation
) -> tuple[tuple[str, str], ...]:
    if env is not None and not isinstance(env, Mapping):
        raise DefinitionError(
            f"env of stage {stage_name!r} is {env!r}", location=location, hint='write env={"NAME": "value"}'
        )
    for name, value in (env or {}).items():
        if not isinstance(name, str) or not isinstance(value, str) or not name or "=" in name or "\0" in name + value:
            raise DefinitionError(
                f"env of stage {stage_name!r} has {name!r}: {value!r}",
                location=location,
                hint="names and values are texts",
            )
    return tuple(sorted((env or {}).items()))
