"""What `@stage` and `@bash` are told beside a function, checked; looks at no function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, TypeVar

from repx.agent.base.retries import Retries
from repx.agent.lab.format import REALIZATIONS_LIMIT
from repx.dsl.handed import Handed
from repx.errors import DefinitionError, SourceLocation, nearest
from repx.model.names import check_name, check_version
from repx.model.resources import NOTHING_SAID, Resources
from repx.model.retry import Retry, read_retries
from repx.model.values import PackageRef

Dynamic = Callable[[Any], Any]
"""A function of a stage's params, such as `lambda p: f"train-{p.model}"`."""


_Decorator = TypeVar("_Decorator", bound=Callable[..., Any])


class StageKeywords(TypedDict, total=False):
    """The keywords that `@stage` and `@bash` share, for editors and type checkers; `read_options` has the defaults."""

    name: str | Dynamic | None
    version: str
    packages: Sequence[str]
    resources: Resources | Dynamic | None
    env: Mapping[str, str] | None
    inputs: Dynamic | None
    outputs: Dynamic | None
    realizations: int | None
    impure: bool
    retries: Retry | int


@dataclass(frozen=True, slots=True)
class StageOptions:
    """The options of one stage. What depends on params is a function, and stands in a field of its own.

    `realizations` is None where the experiment does not say how many there are: such a stage has no index.
    """

    name: str
    dynamic_name: Dynamic | None
    version: str
    packages: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    dynamic_inputs: Dynamic | None
    dynamic_outputs: Dynamic | None
    resources: Resources
    dynamic_resources: Dynamic | None
    realizations: int | None
    impure: bool
    retries: Retries
    script_file: Path | None

    @property
    def is_dynamic(self) -> bool:
        """Whether the stage's name, inputs or outputs depend on params."""
        return bool(self.dynamic_name or self.dynamic_inputs or self.dynamic_outputs)


def read_options(
    function: str,
    location: SourceLocation,
    script: Path | None = None,
    *,
    name: Any = None,
    version: Any = "1",
    packages: Any = (),
    resources: Any = None,
    env: Any = None,
    inputs: Any = None,
    outputs: Any = None,
    realizations: Any = None,
    impure: Any = False,
    retries: Any = 0,
) -> StageOptions:
    """The options of the stage that a function of this name becomes. Raises DefinitionError."""
    called = check_name("stage", function if name is None or callable(name) else name, location)
    if realizations is not None and (type(realizations) is not int or realizations < 1):
        raise DefinitionError(
            f"realizations of stage {called!r} is {realizations!r}, not a number ≥ 1", location=location
        )
    if realizations is not None and realizations > REALIZATIONS_LIMIT:
        raise DefinitionError(
            f"realizations of stage {called!r} is {realizations}, and a Lab holds at most {REALIZATIONS_LIMIT}",
            location=location,
            hint='sweep over an index instead: params={"index": range(…)}',
        )
    if resources is not None and not isinstance(resources, Resources) and not callable(resources):
        raise DefinitionError(
            f"resources of stage {called!r} is {resources!r}",
            location=location,
            hint='write resources=Resources(mem="2G", cpus=2), or a function of the params that returns one',
        )
    for what, given in (("inputs", inputs), ("outputs", outputs)):
        if given is not None and not callable(given):
            raise DefinitionError(
                f"{what} of stage {called!r} is not a function of the params",
                location=location,
                hint=f"write {what}=lambda p: …, or declare them in the signature",
            )
    return StageOptions(
        name=called,
        dynamic_name=_later("name", called, name, location) if callable(name) else None,
        version=check_version(version, location),
        packages=_package_names(called, packages, location),
        env=_environment(called, env, location),
        dynamic_inputs=_later("inputs", called, inputs, location) if inputs is not None else None,
        dynamic_outputs=_later("outputs", called, outputs, location) if outputs is not None else None,
        resources=resources if isinstance(resources, Resources) else NOTHING_SAID,
        dynamic_resources=_later("resources", called, resources, location) if callable(resources) else None,
        realizations=realizations,
        impure=bool(impure),
        retries=read_retries(called, retries, location),
        script_file=script,
    )


def with_stage_keywords(decorator: _Decorator) -> _Decorator:
    """Let `help()` and notebooks show each keyword of a decorator that takes `StageKeywords`."""
    own = [one for one in inspect.signature(decorator).parameters.values() if one.kind is not one.VAR_KEYWORD]
    types = StageKeywords.__annotations__
    found = inspect.signature(read_options).parameters
    shared = [found[name].replace(annotation=types[name].__forward_arg__) for name in types]
    decorator.__dict__["__signature__"] = inspect.Signature([*own, *shared], return_annotation="Any")
    return decorator


def refuse_unknown(
    decorator: str, keywords: Mapping[str, object], more: Iterable[str], location: SourceLocation
) -> None:
    """Raise DefinitionError for a keyword that a decorator does not take."""
    valid = [*StageKeywords.__annotations__, *more]
    for name in keywords:
        if name not in valid:
            raise DefinitionError(f"{decorator} takes no {name!r}", location=location, hint=nearest(name, valid))


def _later(what: str, stage: str, function: Dynamic, location: SourceLocation) -> Dynamic:
    """The function, with what it reads from loops and closures as it is now."""
    handed = Handed(function, location)
    return lambda params: handed.now(f"{what} of stage {stage!r}")(params)


def _package_names(stage_name: str, packages: Any, location: SourceLocation) -> tuple[str, ...]:
    listed = isinstance(packages, Iterable) and not isinstance(packages, str)
    if not listed or not all(isinstance(name, str | PackageRef) for name in packages):
        raise DefinitionError(
            f"packages of stage {stage_name!r} is {packages!r}", location=location, hint='write packages=["name", …]'
        )
    return tuple(sorted({name.name if isinstance(name, PackageRef) else name for name in packages}))


_MOST_BYTES = 131_072
"""Bytes of one variable with its name and the NUL at its end (execve(2), MAX_ARG_STRLEN)."""

_MOST_BYTES_IN_ALL = 1 << 20
"""Half of what a program is given of arguments and environment with the usual limit of its stack (execve(2))."""


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
    for name, value in (env or {}).items():
        if len(f"{name}={value}".encode("utf-8", "surrogateescape")) >= _MOST_BYTES:
            raise DefinitionError(
                f"env of stage {stage_name!r} has {name!r} with {len(value):,} characters; a program is given at most "
                f"{_MOST_BYTES:,} bytes in one variable",
                location=location,
                hint="write it to a file and give that to the stage as an input",
            )
    total = sum(len(f"{name}={value}".encode("utf-8", "surrogateescape")) for name, value in (env or {}).items())
    if total >= _MOST_BYTES_IN_ALL:
        longest = max((env or {}).items(), key=lambda item: len(item[1]))[0]
        raise DefinitionError(
            f"env of stage {stage_name!r} has {total:,} bytes, {longest!r} most of them; a program is sure to get "
            f"{_MOST_BYTES_IN_ALL:,}",
            location=location,
            hint="write them to a file and give that to the stage as an input",
        )
    return tuple(sorted((env or {}).items()))
