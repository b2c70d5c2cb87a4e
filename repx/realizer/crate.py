"""What a Lab says of itself to RO-Crate readers: stages, not jobs; writes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from repx.model.derivation import StageRecipe
from repx.model.graph import DerivationGraph
from repx.realizer.render import StageFiles, relative_location

NO_DATE = "1970-01-01"
"""The date of a crate whose experiment is under no version control."""


def crate_json(graph: DerivationGraph, stages: Mapping[StageRecipe, StageFiles], base: str) -> str:
    """The Lab as an RO-Crate 1.1 (https://w3id.org/ro/crate/1.1): the experiment and a SoftwareSourceCode a stage."""
    parts = []
    for recipe, rendered in stages.items():
        scripts = [path for path, _, executable in rendered.files if executable]
        for path in scripts:
            entity: dict[str, Any] = {
                "@id": f"store/{rendered.digest}/{path}",
                "@type": ["File", "SoftwareSourceCode"],
                "name": path.removeprefix("bin/"),
                "version": recipe.version,
                "description": recipe.doc or f"stage {recipe.name}, from {relative_location(recipe.location, base)}",
            }
            parts.append(entity)
    parts.sort(key=lambda entity: str(entity["@id"]))
    crate = {
        "@context": "https://w3id.org/ro/crate/1.1/context",
        "@graph": [
            {
                "@id": "ro-crate-metadata.json",
                "@type": "CreativeWork",
                "about": {"@id": "./"},
                "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
            },
            {
                "@id": "./",
                "@type": "Dataset",
                "name": "Lab of " + ", ".join(run.name for run in graph.runs),
                "description": f"A repx Lab with {len(graph.runs)} runs",
                "datePublished": graph.date or NO_DATE,
                "version": graph.version,
                "hasPart": [{"@id": entity["@id"]} for entity in parts],
            },
            *parts,
        ],
    }
    return json.dumps(crate, indent=1, sort_keys=True) + "\n"
