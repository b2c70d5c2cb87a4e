"""Scripts as they stand in a Lab: the user's text in its template; writes nothing."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from repx.agent.base.digest import short_digest
from repx.agent.scratch import quote
from repx.errors import SourceLocation
from repx.model.derivation import StageRecipe


@dataclass(frozen=True, slots=True)
class StageFiles:
    """The files of one stage below its directory in the Lab: scripts in bin/, and out/ as it is expected to be.

    `files` are (relative path, text, executable), sorted.
    """

    digest: str
    files: tuple[tuple[str, str, bool], ...]


def stage_files(recipe: StageRecipe, base: str) -> StageFiles:
    """All files of a stage. `base` is the folder of the experiment, to which the source is said relative."""
    files: dict[str, tuple[str, bool]] = {}
    if recipe.parts is None:
        _add_script(files, recipe, recipe.name, base)
    else:
        _add_script(files, recipe.parts.scatter, f"{recipe.name}-scatter", base)
        for step in recipe.parts.steps:
            _add_script(files, step.stage, f"{recipe.name}-step-{step.name}", base)
        _add_script(files, recipe.parts.gather, f"{recipe.name}-gather", base)
    for _, path in recipe.outputs:
        files[f"out/{path}"] = ("", False)
    digest = hashlib.sha256(recipe.digest.encode())
    for path, (text, executable) in sorted(files.items()):
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(f"{path}\0{executable:d}\0{len(encoded)}\0".encode() + encoded)
    ordered = tuple((path, text, executable) for path, (text, executable) in sorted(files.items()))
    return StageFiles(short_digest(digest.digest()), ordered)


def render_script(recipe: StageRecipe, base: str) -> str:
    """The self-contained script of a stage with a script of its own."""
    script = recipe.script
    assert script is not None
    declared = {spec.name for spec in recipe.inputs}
    dynamic_inputs = sorted(declared - set(recipe.signature_inputs)) if recipe.dynamic_inputs else []
    return (
        _environment()
        .get_template("stage.sh.j2" if script.kind == "bash" else "stage.py.j2")
        .render(
            name=recipe.name,
            version=recipe.version,
            source=relative_location(script.origin, base),
            text=script.text.rstrip("\n"),
            entry=script.entry,
            inputs=recipe.inputs,
            outputs=[list(pair) for pair in recipe.outputs],
            hidden=sorted(recipe.dynamic_output_names),
            hidden_inputs=dynamic_inputs,
            params=recipe.params + (("index",) if recipe.takes_index and script.kind == "bash" else ()),
            path_params=recipe.path_params,
            dynamic_inputs=recipe.dynamic_inputs,
            dynamic_outputs=recipe.dynamic_outputs,
            takes_index=recipe.takes_index,
            results=any(spec.kind == "results" for spec in recipe.inputs),
            directories=sorted({os.path.dirname(path) for _, path in recipe.outputs} - {""}),
        )
    )


def relative_location(location: SourceLocation, base: str) -> str:
    """A place as the Lab says it: no path of this machine."""
    path = os.path.relpath(location.file, base) if os.path.isabs(location.file) else location.file
    if path.startswith(".."):
        path = os.path.basename(path)
    return f"{path}:{location.line}"


@lru_cache
def _environment() -> Environment:
    # Scripts are not HTML: nothing is to be escaped in them.
    environment = Environment(
        loader=PackageLoader("repx", "templates"),
        undefined=StrictUndefined,
        trim_blocks=False,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - scripts are not HTML: nothing is to be escaped in them
    )
    environment.filters["shell"] = quote
    return environment


def _add_script(files: dict[str, tuple[str, bool]], recipe: StageRecipe, name: str, base: str) -> None:
    files[f"bin/{name}"] = (render_script(recipe, base), True)
    assert recipe.script is not None
    for path, text in recipe.script.modules:
        files[f"bin/{path}"] = (text, False)
