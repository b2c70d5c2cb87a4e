"""Recipes of stages: asks the package set once for all, then makes what all jobs of a stage share; makes no job."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from repx.agent.base.wire import InputSpec
from repx.dsl.interface import check_output_path, refuse_equal_paths
from repx.dsl.node import Callee
from repx.dsl.scatter import ScatterGather
from repx.dsl.stage import Stage
from repx.errors import DefinitionError, Finding, RepxError, nearest
from repx.model.derivation import HashMode, Parts, StageRecipe, Step
from repx.model.fingerprint import fingerprinted, package_digest
from repx.model.names import check_name, check_output_name, check_variable
from repx.model.resources import Resources
from repx.model.software import Software, SoftwareRequest, SoftwareResolver
from repx.model.values import PackageRef, Value


class ParamsView:
    """The params of one job as `lambda p: …` sees them."""

    __slots__ = ("_stage", "_values")

    def __init__(self, stage: Stage, values: Mapping[str, Value]) -> None:
        self._stage = stage
        self._values = values

    def __getattr__(self, name: str) -> Value:
        try:
            return self._values[name]
        except KeyError:
            raise DefinitionError(
                f"stage {self._stage.name!r} has no param {name!r}",
                location=self._stage.location,
                hint=nearest(name, self._values),
            ) from None

    def __repr__(self) -> str:
        return f"params({', '.join(f'{name}={value!r}' for name, value in self._values.items())})"


class RecipeBook:
    """The recipes of all stages of an experiment, each made once for each of its shapes."""

    def __init__(self, resolver: SoftwareResolver) -> None:
        self._resolver = resolver
        self._software: dict[Stage, Software] = {}
        self._packages: dict[str, Software] = {}
        self._recipes: dict[tuple[Any, ...], StageRecipe] = {}

    def resolve(self, stages: Iterable[Callee], packages: Iterable[str]) -> list[Finding]:
        """Ask the package set about all stages, and all packages that are values of params, in one go."""
        wanted = [part for one in stages for part in (one.stages() if isinstance(one, ScatterGather) else (one,))]
        asked = [one for one in dict.fromkeys(wanted) if isinstance(one, Stage) and one not in self._software]
        for one in asked:
            one.look_again()
        names = sorted(set(packages) - set(self._packages))
        requests = [software_request(one) for one in asked]
        requests += [_package_request(name, asked[0] if asked else next(iter(self._software))) for name in names]
        answers = self._resolver.resolve(requests)
        self._software.update(zip(asked, answers, strict=False))
        self._packages.update(zip(names, answers[len(asked) :], strict=True))
        return [finding for answer in answers for finding in answer.findings]

    @property
    def packages(self) -> tuple[tuple[str, Software], ...]:
        """The packages that are values of params, by name."""
        return tuple(sorted(self._packages.items()))

    @property
    def notes(self) -> tuple[Finding, ...]:
        """What authors of stages should know of their software."""
        return tuple(note for software in self._software.values() for note in software.notes)

    def identified(self, value: Value) -> Value:
        """A param's value with the identity of its package, when it is one."""
        if isinstance(value, PackageRef):
            return PackageRef(value.name, package_digest(self._packages[value.name].identity))
        return value

    def recipe(self, stage: Callee, hash_mode: HashMode, params: Mapping[str, Value] | None = None) -> StageRecipe:
        """The recipe of a stage, in the shape it has for `params` (needed only when it is dynamic)."""
        if isinstance(stage, ScatterGather):
            return self._made((stage, hash_mode), lambda: self._scatter_gather(stage, hash_mode))
        assert isinstance(stage, Stage)
        if not stage.options.is_dynamic:
            return self._made((stage, hash_mode), lambda: self._static(stage, hash_mode))
        name, inputs, outputs = dynamic_shape(stage, ParamsView(stage, params or {}))
        key = (stage, hash_mode, name, inputs, outputs)
        return self._made(key, lambda: self._shaped(stage, hash_mode, name, inputs, outputs))

    def _made(self, key: tuple[Any, ...], make: Callable[[], StageRecipe]) -> StageRecipe:
        recipe = self._recipes.get(key)
        if recipe is None:
            recipe = self._recipes[key] = fingerprinted(make())
        return recipe

    def _static(self, stage: Stage, hash_mode: HashMode) -> StageRecipe:
        return self._shaped(
            stage, hash_mode, stage.name, stage.interface.inputs, tuple(sorted(stage.interface.outputs))
        )

    def _shaped(
        self,
        stage: Stage,
        hash_mode: HashMode,
        name: str,
        inputs: tuple[InputSpec, ...],
        outputs: tuple[tuple[str, str], ...],
    ) -> StageRecipe:
        return StageRecipe(
            name=name,
            version=stage.options.version,
            kind=stage.kind,
            script=stage.script,
            inputs=tuple(sorted(inputs, key=lambda spec: spec.name)),
            outputs=outputs,
            params=tuple(param.name for param in stage.interface.params),
            env=stage.options.env,
            software=self._software[stage],
            realizations=stage.options.realizations or 1,
            impure=stage.options.impure,
            hash_mode=hash_mode,
            location=stage.location,
            retries=stage.options.retries,
            doc=stage.doc,
            dynamic_inputs=stage.interface.takes_inputs,
            dynamic_outputs=stage.interface.takes_outputs,
            takes_index=stage.interface.takes_index,
            path_params=tuple(param.name for param in stage.interface.params if param.is_path),
            made_params=tuple(
                (param.name, param.made("value"))
                for param in stage.interface.params
                if param.made and stage.kind == "python"
            ),
            signature_inputs=tuple(spec.name for spec in stage.interface.inputs),
            signature_outputs=tuple(name for name, _ in stage.interface.outputs),
        )

    def _scatter_gather(self, whole: ScatterGather, hash_mode: HashMode) -> StageRecipe:
        def part(stage: Stage) -> StageRecipe:
            return self.recipe(stage, hash_mode)

        parts = Parts(
            scatter=part(whole.scatter),
            steps=tuple(
                Step(step.name, part(step.stage), step.wires, tuple((n, self.identified(v)) for n, v in step.fixed))
                for step in whole.steps
            ),
            gather=part(whole.gather),
            items=whole.items_output,
            gather_wires=whole.gather_wires,
        )
        return StageRecipe(
            name=whole.name,
            version=whole.version,
            kind="scatter-gather",
            script=None,
            inputs=tuple(sorted(whole.interface.inputs, key=lambda spec: spec.name)),
            outputs=parts.gather.outputs,
            params=tuple(param.name for param in whole.interface.params),
            env=(),
            software=Software(()),
            realizations=1,
            impure=any(stage.options.impure for stage in whole.stages()),
            hash_mode=hash_mode,
            location=whole.location,
            doc=whole.doc,
            parts=parts,
        )


def dynamic_shape(stage: Stage, params: ParamsView) -> tuple[str, tuple[InputSpec, ...], tuple[tuple[str, str], ...]]:
    """Name, inputs and outputs of a dynamic stage for one job. Raises DefinitionError."""
    name = stage.name
    if stage.options.dynamic_name is not None:
        name = check_name("stage", _called(stage, "name", stage.options.dynamic_name, params), stage.location)
    inputs = stage.interface.inputs
    if stage.options.dynamic_inputs is not None:
        given = _called(stage, "inputs", stage.options.dynamic_inputs, params)
        inputs += tuple(InputSpec(check_variable("input", str(one), stage.location), "path") for one in given)
    outputs = stage.interface.outputs
    if stage.options.dynamic_outputs is not None:
        made = _called(stage, "outputs", stage.options.dynamic_outputs, params)
        if not isinstance(made, Mapping) or not (made or outputs):
            raise DefinitionError(
                f"outputs of stage {stage.name!r} returned {made!r}",
                location=stage.location,
                hint='return a mapping of names to paths, such as {"model": "model.pt"}',
            )
        outputs += tuple(
            (check_output_name(name, stage.location), check_output_path(stage.name, name, path, stage.location))
            for name, path in made.items()
        )
    _refuse_twice("inputs", stage, [spec.name for spec in inputs])
    _refuse_twice("outputs", stage, [name for name, _ in outputs])
    refuse_equal_paths(stage.name, outputs, stage.location)
    return name, tuple(sorted(inputs, key=lambda spec: spec.name)), tuple(sorted(outputs))


def dynamic_resources(stage: Stage, params: ParamsView) -> Resources:
    """The resources of a stage for one job."""
    if stage.options.dynamic_resources is None:
        return stage.resources
    made = _called(stage, "resources", stage.options.dynamic_resources, params)
    if not isinstance(made, Resources):
        raise DefinitionError(
            f"resources of stage {stage.name!r} returned {made!r}", location=stage.location, hint="return Resources(…)"
        )
    return made


def part_resources(whole: ScatterGather, values: Mapping[str, Value]) -> tuple[tuple[str, Resources], ...]:
    """What each part asks for: what it says itself, as it runs many times. Roles as in a Lab's `executables`."""

    def own(stage: Stage, fixed: Mapping[str, Value]) -> Resources:
        given = {**values, **fixed}
        return dynamic_resources(
            stage, ParamsView(stage, {one.name: given[one.name] for one in stage.interface.params})
        )

    steps = ((f"step-{step.name}", own(step.stage, dict(step.fixed))) for step in whole.steps)
    return (("scatter", own(whole.scatter, {})), *steps, ("gather", own(whole.gather, {})))


def software_request(stage: Stage) -> SoftwareRequest:
    """What a stage asks of the package set."""
    script = stage.script
    arrays = [spec.name for spec in stage.interface.inputs if spec.kind == "paths"]
    names = [spec.name for spec in stage.interface.inputs] + [name for name, _ in stage.interface.outputs]
    names += [param.name for param in stage.interface.params] + (["index"] if stage.interface.takes_index else [])
    return SoftwareRequest(
        stage=stage.name,
        kind=stage.kind,
        packages=stage.options.packages,
        script=script.text,
        origin=stage.text_origin if stage.kind == "bash" else script.origin,
        imports=stage.imports,
        variables=(*sorted(names), "out", "inputs", "outputs", "params", "inputs_json", "params_json"),
        arrays=(*sorted(arrays), "inputs", "outputs", "params"),
        impure=stage.options.impure,
        world=stage.world,
        lines=script.lines,
    )


def _refuse_twice(what: str, stage: Stage, names: Sequence[str]) -> None:
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DefinitionError(
            f"{what} of stage {stage.name!r} has {twice[0]!r} twice",
            location=stage.location,
            hint="what the signature declares need not be returned",
        )


def _package_request(name: str, near: Stage) -> SoftwareRequest:
    return SoftwareRequest(f"package {name}", "package", (name,), "", near.location)


def _called(stage: Stage, what: str, function: Callable[[Any], Any], params: ParamsView) -> Any:
    try:
        return function(params)
    except RepxError as error:
        error.location = error.location or stage.location
        raise
    except Exception as error:
        raise DefinitionError(
            f"{what} of stage {stage.name!r} failed: {type(error).__name__}: {error}",
            facts=[("for", repr(params))],
            location=stage.location,
        ) from None
