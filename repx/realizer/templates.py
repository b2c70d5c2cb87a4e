"""Texts of a Lab made from the templates in `repx/templates`: scripts and the README; writes no Lab."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from repx.agent.scratch import quote
from repx.model.derivation import StageRecipe
from repx.model.graph import DerivationGraph
from repx.realizer.cache import cache_directory

if TYPE_CHECKING:
    from jinja2 import Environment


LOCAL_MODULES = "lib"
"""The folder beside a script's own in which local modules travel: a stage may be called as one of them is."""

_FUTURE = "from __future__ import annotations\n"


def script_text(
    recipe: StageRecipe, source: str, modules: str = LOCAL_MODULES, lines: Sequence[tuple[int, str]] = ()
) -> str:
    """The self-contained script of a stage; `source` is the place of the user's text, as people are told it.

    `lines` are lines of that text at which something begins, each with its place in the user's file.
    """
    script = recipe.script
    assert script is not None
    declared = {spec.name for spec in recipe.inputs}
    # Nothing may stand before such an import.
    future = _FUTURE if script.text.startswith(_FUTURE) else ""
    dynamic_inputs = sorted(declared - set(recipe.signature_inputs)) if recipe.dynamic_inputs else []
    return (
        _environment()
        .get_template("stage.sh.j2" if script.kind == "bash" else "stage.py.j2")
        .render(
            name=recipe.name,
            version=recipe.version,
            source=source,
            future=future,
            local_modules=modules,
            text=script.text[len(future) :].rstrip("\n"),
            lines=[(line - future.count("\n"), *place.rsplit(":", 1)) for line, place in lines],
            entry=script.entry,
            inputs=recipe.inputs,
            outputs=[list(pair) for pair in recipe.outputs],
            hidden=sorted(recipe.dynamic_output_names),
            hidden_inputs=dynamic_inputs,
            params=recipe.params + (("index",) if recipe.takes_index and script.kind == "bash" else ()),
            path_params=recipe.path_params,
            made_params=dict(recipe.made_params),
            dynamic_inputs=recipe.dynamic_inputs,
            dynamic_outputs=recipe.dynamic_outputs,
            takes_index=recipe.takes_index,
            results=any(spec.kind == "results" for spec in recipe.inputs),
            directories=sorted({os.path.dirname(path) for _, path in recipe.outputs} - {""}),
        )
    )


def readme_text(graph: DerivationGraph, *, closure: bool = False, images: bool = False) -> str:
    """The README of a Lab, for someone who has never heard of repx; whether the Lab has a closure, and images."""
    template = _environment().get_template("readme.md.j2")
    return template.render(graph=graph, runs=graph.runs, closure=closure, images=images)


@lru_cache
def _environment() -> Environment:
    # Imported here: a Lab that is looked at or run needs no template.
    from jinja2 import Environment, FileSystemBytecodeCache, PackageLoader, StrictUndefined
    from jinja2.bccache import Bucket

    class Kept(FileSystemBytecodeCache):
        def dump_bytecode(self, bucket: Bucket) -> None:
            # Where nothing can be kept, it is compiled again.
            with contextlib.suppress(OSError):
                super().dump_bytecode(bucket)

    environment = Environment(
        loader=PackageLoader("repx", "templates"),
        undefined=StrictUndefined,
        trim_blocks=False,
        keep_trailing_newline=True,
        # Compiling them takes as long as loading Jinja; what is kept is compared with the template's text.
        bytecode_cache=Kept(directory) if (directory := _cache_directory()) else None,
        autoescape=False,  # noqa: S701 - scripts and Markdown are not HTML: nothing is to be escaped in them
    )
    environment.filters["shell"] = quote
    return environment


def _cache_directory() -> str:
    """Where compiled templates are kept, readable for this user alone; empty where nothing can be kept."""
    directory = f"{cache_directory()}/templates"
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
    except OSError:
        return ""
    status = os.stat(directory)
    # What is kept is code: nobody else may have put it there.
    is_ours = status.st_uid == os.geteuid() and not status.st_mode & 0o022
    return directory if is_ours and os.access(directory, os.W_OK) else ""
