"""Whose word a Lab's results are: keeps those of a Lab from elsewhere apart from one's own; opens no file.

A recipe covers what a stage's author has written, and not the script that a release of repx makes of it. So a Lab could
say an honest recipe beside another script. The Labs of a store were realized for it, by a repx that its owner runs:
there a script follows from its recipe, and a new template reruns nothing. Of any other Lab a result stands for all that
makes it: script, software, closure, image. Then two such Labs share what they have in common, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping

from repx.agent.base.digest import canonical_json, digest_of_text
from repx.agent.lab.job_line import JobLine
from repx.agent.lab.stage import Stage


class Origin:
    """What all jobs of a Lab from elsewhere depend on beside their stages: its closure and its packages."""

    def __init__(self, closure: str, packages: Mapping[str, str]) -> None:
        self._common = canonical_json([closure, dict(packages)])

    def of_run(self, image: str) -> RunOrigin:
        """The same for the jobs of a run with this image."""
        return RunOrigin(canonical_json([self._common, image]))


class RunOrigin:
    """Changes the recipes of a run's jobs, of which their keys are made; once for each stage."""

    def __init__(self, common: str) -> None:
        self.digest = digest_of_text(common)
        self._common = common
        self._made: dict[int, str] = {}

    def recipes_of(self, line: JobLine) -> JobLine:
        """The same line with recipes that stand for all that makes the result."""
        made = self._made_by(line.stage)
        parts = line.parts
        if parts is not None:
            steps = {name: _recipe(recipe, made) for name, recipe in parts.steps.items()}
            parts = parts._replace(scatter=_recipe(parts.scatter, made), steps=steps)
        return line._replace(recipe=_recipe(line.recipe, made), parts=parts)

    def _made_by(self, stage: Stage) -> str:
        known = self._made.get(id(stage))
        if known is None:
            inner = stage.parts
            stages = [stage]
            if inner is not None:
                stages += [inner.scatter, *(step.stage for step in inner.steps), inner.gather]
            said = [[one.executable, one.software, one.kind, dict(one.env)] for one in stages]
            known = self._made[id(stage)] = digest_of_text(canonical_json(["repx-origin 1", self._common, said]))
        return known


def _recipe(recipe: str, made: str) -> str:
    return digest_of_text("repx-foreign-recipe 1 %s %s" % (recipe, made))
