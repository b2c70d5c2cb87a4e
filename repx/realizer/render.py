"""The files of a stage as they stand in a Lab: scripts, modules, expected outputs; writes nothing."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

from repx.errors import SourceLocation
from repx.model.derivation import StageRecipe
from repx.model.lab import folder_digest
from repx.realizer.templates import LOCAL_MODULES, script_text


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
        _add_script(files, recipe, recipe.name, "", base)
    else:
        _add_script(files, recipe.parts.scatter, recipe.name, "-scatter", base)
        for step in recipe.parts.steps:
            _add_script(files, step.stage, recipe.name, f"-step-{step.name}", base)
        _add_script(files, recipe.parts.gather, recipe.name, "-gather", base)
    for _, path in recipe.outputs:
        files[f"out/{path}"] = ("", False)
    ordered = tuple((path, text, executable) for path, (text, executable) in sorted(files.items()))
    hashed = [(path, hashlib.sha256(_encoded(text)).hexdigest(), executable) for path, text, executable in ordered]
    return StageFiles(folder_digest(recipe.digest, hashed), ordered)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def render_script(recipe: StageRecipe, base: str, modules: str = LOCAL_MODULES) -> str:
    """The self-contained script of a stage with a script of its own; `modules` is the folder of its local modules."""
    assert recipe.script is not None
    lines = [(line, relative_location(location, base)) for line, location in recipe.script.lines]
    return script_text(recipe, relative_location(recipe.script.origin, base), modules, lines)


def relative_location(location: SourceLocation, base: str) -> str:
    """A place as the Lab says it: no path of this machine."""
    path = os.path.relpath(location.file, base) if os.path.isabs(location.file) else location.file
    if path.startswith(".."):
        path = os.path.basename(path)
    return f"{path}:{location.line}"


def _add_script(files: dict[str, tuple[str, bool]], recipe: StageRecipe, name: str, role: str, base: str) -> None:
    # Each part has modules of its own: it may use other parts of the same ones.
    modules = LOCAL_MODULES + role
    files[f"bin/{name}{role}"] = (render_script(recipe, base, modules), True)
    assert recipe.script is not None
    for path, text in recipe.script.modules:
        files[f"{modules}/{path}"] = (text, False)
