"""Texts of a Lab made from the templates in `repx/templates`: scripts and the README; writes nothing."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING

from repx.agent.scratch import quote
from repx.model.derivation import StageRecipe
from repx.model.graph import DerivationGraph

if TYPE_CHECKING:
    from jinja2 import Environment


def script_text(recipe: StageRecipe, source: str) -> str:
    """The self-contained script of a stage; `source` is the place of the user's text, as people are told it."""
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
            source=source,
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


def readme_text(graph: DerivationGraph, *, closure: bool = False, images: bool = False) -> str:
    """The README of a Lab, for someone who has never heard of repx; whether the Lab has a closure, and images."""
    template = _environment().get_template("readme.md.j2")
    return template.render(graph=graph, runs=graph.runs, closure=closure, images=images)


@lru_cache
def _environment() -> Environment:
    # Imported here: a Lab that is looked at or run needs no template.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("repx", "templates"),
        undefined=StrictUndefined,
        trim_blocks=False,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - scripts and Markdown are not HTML: nothing is to be escaped in them
    )
    environment.filters["shell"] = quote
    return environment
