"""The software of a stage as a Lab with a closure says it: paths of that closure; looks for none of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from repx.agent.base.names import is_store_path
from repx.agent.lab.checks import complaints, dict_of, is_text, list_of, one_of


class ClosureSoftware(NamedTuple):
    """Software of the closure that the Lab carries; all paths are those in /nix/store.

    `packages` has the paths of each package by its attribute; `path` is PATH; `shell`, `env`, `python` and `locale` are
    empty where there is none.
    """

    packages: Mapping[str, tuple[str, ...]]
    path: tuple[str, ...]
    shell: str
    env: str
    locale: str
    python: str
    python_path: tuple[str, ...]


def parse_closure_software(content: Mapping[str, Any]) -> tuple[ClosureSoftware | None, list[str]]:
    """The software of a stage, or all that keeps it from being that."""
    whole = {**_NO_PYTHON, **content}
    wrong = list(complaints("it", whole, _CLOSURE))
    return (None, wrong) if wrong else (_closure(whole), [])


def _closure(content: Mapping[str, Any]) -> ClosureSoftware:
    return ClosureSoftware(
        packages={name: tuple(paths) for name, paths in content["packages"].items()},
        path=tuple(content["path"]),
        shell=content["shell"],
        env=content["env"],
        locale=content["locale"],
        python=content["python"],
        python_path=tuple(content["python_path"]),
    )


def _is_no_or_store_path(value: Any) -> bool:
    return value == "" or is_store_path(value)


_NO_PYTHON: Mapping[str, Any] = {"python": "", "python_path": [], "locale": ""}

_CLOSURE = {
    "kind": one_of("nix"),
    "packages": dict_of(is_text, lambda paths: list_of(is_store_path)(paths) and len(paths) > 0),
    "path": list_of(is_store_path),
    "shell": _is_no_or_store_path,
    "env": _is_no_or_store_path,
    "locale": _is_no_or_store_path,
    "python": _is_no_or_store_path,
    "python_path": list_of(is_store_path),
}
