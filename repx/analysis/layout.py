"""A layout such as `{stage}/{model}-{seed}/{output}`: parsed, checked against jobs, filled; opens no file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import Formatter
from typing import Any, NamedTuple

from repx.agent.lab.inherited import Inherited
from repx.agent.lab.run_file import Job
from repx.errors import UsageError, nearest, plural
from repx.lab.params import named, shown

DEFAULT_LAYOUT = "{stage}/{params}/{index}/{output}"

OWN_FIELDS = ("stage", "version", "run", "job", "index", "output", "file", "params")
"""Fields beside params: `output` is its name with the ending of its file, `file` the name of that, `params` what tells
the jobs of a stage apart, `index` the number of a realization where there are several."""


class Field(NamedTuple):
    """A text, and the field after it: its name (None at the end of a layout), its format, its conversion."""

    before: str
    name: str | None
    spec: str
    conversion: str | None


def parse_layout(layout: str) -> list[Field]:
    """The fields of a layout. Raises UsageError for what is not one."""
    try:
        fields = [
            Field(text, name, spec or "", conversion) for text, name, spec, conversion in Formatter().parse(layout)
        ]
    except ValueError as error:
        raise UsageError(f"the layout {layout!r} cannot be read: {error}") from None
    if layout.startswith("/") or ".." in layout.split("/"):
        raise UsageError(f"the layout {layout!r} leads out of the directory that is exported to")
    if not any(name for _, name, _, _ in fields):
        raise UsageError(f"the layout {layout!r} has no field", hint="such as {stage}/{seed}/{output}")
    return fields


def check_fields(fields: Sequence[Field], jobs: Sequence[Job], inherited: Inherited) -> None:
    """Whether each job has each param that the layout names. Raises UsageError."""
    wanted = [name for _, name, _, _ in fields if name is not None and name not in OWN_FIELDS]
    for param in wanted:
        lacking = [job for job in jobs if param not in inherited.of(job).one]
        if not lacking:
            continue
        names = {name for job in jobs for name in inherited.of(job).one}
        if param not in names and not any(inherited.values(job, param) for job in jobs):
            raise UsageError(
                f"the layout has a field {{{param}}}, and no job has such a param",
                hint=nearest(param, names | {*OWN_FIELDS}),
            )
        stages = sorted({job.stage.name for job in lacking})
        raise UsageError(
            f"not every job has one value of {param}, which the layout names",
            facts=[(plural("stage", len(stages)), ", ".join(stages))],
            hint="name the stages to export: repx export STAGE DIR",
        )


def fill(fields: Sequence[Field], own: Mapping[str, Any], job: Job, inherited: Inherited) -> str:
    """The name for one output: what a value holds never parts it, and parts that are empty are left out."""
    text = ""
    for before, field, spec, conversion in fields:
        text += before
        if field is not None:
            text += _value(field, own[field] if field in own else inherited.of(job).one[field], spec, conversion)
    parts = [part for part in text.split("/") if part]
    if not parts or any(part in (".", "..") for part in parts):
        raise UsageError(f"the layout makes {text!r} of job {job.id}, which cannot be a name")
    return "/".join(parts)


def _value(field: str, value: Any, spec: str, conversion: str | None) -> str:
    value = named(value)
    try:
        plain = shown(value) if not isinstance(value, str) else value
        text = format(Formatter().convert_field(value, conversion), spec) if spec or conversion else plain
    except (ValueError, TypeError) as error:
        raise UsageError(f"the layout cannot write {field} = {shown(value)} so: {error}") from None
    return "".join("_" if letter == "/" or not letter.isprintable() else letter for letter in text)
