"""Realizations as notebooks have them: one set of outputs of a job with its params and its log; runs nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repx.agent.base.digest import canonical_json
from repx.agent.lab.run_file import Job
from repx.agent.resolve import Realized

if TYPE_CHECKING:
    import pandas as pd

    from repx.analysis.jobs import Source


class Realization:
    """One valid set of outputs of a job: `.outputs["model"]` (a path), `.params`, `.job` (an id), `.digest` (a key).

    `params` are those that its stage declares, `effective_params` the inherited ones too.
    """

    def __init__(self, job: Job, index: int, outcome: Realized, source: Source) -> None:
        self._source = source
        self.job = job.id
        self.stage: str = job.stage.name
        self.index = index
        self.params: dict[str, Any] = dict(job.params)
        self.digest = outcome.key
        self.outputs = {name: Path(outcome.path(name)) for name in outcome.outputs}

    @property
    def effective_params(self) -> dict[str, Any]:
        """Its params, which win, and those that all it takes from agree on."""
        return self._source.job(self.job).effective_params

    def load_json(self, name: str) -> Any:
        """An output as the JSON value it holds."""
        return json.loads(self.load_text(name))

    def load_text(self, name: str) -> str:
        """An output as text in UTF-8."""
        return self.outputs[name].read_text(encoding="utf-8")

    def log(self, *, stderr: bool = False) -> str:
        """What its job printed in its last attempt."""
        return self._source.job(self.job).log(stderr=stderr)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.params.items())
        return f"<Realization of {self.stage}({shown})>"

    def _repr_html_(self) -> str:
        """A small table, for notebooks."""
        return realizations_html([self])


class Realizations(list[Realization]):
    """Realizations in the order of their targets, with a table of themselves for notebooks."""

    def to_dataframe(self) -> pd.DataFrame:
        """A row for each realization: job_id, stage, index, effective params, and the paths `output.<name>`."""
        import pandas as pd

        rows = [
            {
                "job_id": one.job,
                "stage": one.stage,
                "index": one.index,
                # As columns that pandas does not make floats of where a value is missing.
                **{
                    name: canonical_json(value) if isinstance(value, list | dict) else value
                    for name, value in one.effective_params.items()
                },
                **{f"output.{name}": str(path) for name, path in one.outputs.items()},
            }
            for one in self
        ]
        names = dict.fromkeys(name for row in rows for name in row)
        columns = {name: pd.Series([row.get(name) for row in rows], dtype=object).infer_objects() for name in names}
        return pd.DataFrame(columns)

    def _repr_html_(self) -> str:
        return realizations_html(self)


def realizations_html(realizations: Sequence[Realization]) -> str:
    """A table of realizations: job, params, outputs; everything escaped."""
    import html  # all names of characters are in it

    rows = []
    for one in realizations:
        params = ", ".join(f"{name}={value!r}" for name, value in one.params.items())
        outputs = "<br>".join(f"{html.escape(name)}: {html.escape(str(path))}" for name, path in one.outputs.items())
        cells = (html.escape(one.stage), html.escape(params), outputs)
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return "<table><tr><th>stage</th><th>params</th><th>outputs</th></tr>" + "".join(rows) + "</table>"
