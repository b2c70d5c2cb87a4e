"""What a job asks of a machine: memory, cpus, wall time, where; never hashed into an id, and knows no scheduler.

Memory and time are read once, from the texts people write, and printed as Slurm takes them (sbatch(1), --mem, --time).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, SupportsIndex

from repx.errors import DefinitionError, SourceLocation, nearest

MIB = 1 << 20


@dataclass(frozen=True, slots=True, init=False)
class Resources:
    """A request; None is "not said". `mem` is in bytes, whole MiB; `time` in seconds.

    Written as `Resources(mem="1.5G", cpus=4, time="02:00:00")`. A job asks for the most that it or any job of its
    pipeline upstream of it asks for, unless `inherit=False`. Raises DefinitionError with all that is wrong.
    """

    mem: int | None
    cpus: int | None
    time: int | None
    partition: str | None
    sbatch_opts: tuple[str, ...]
    inherit: bool

    def __init__(
        self,
        *,
        mem: str | None = None,
        cpus: int | None = None,
        time: str | None = None,
        partition: str | None = None,
        sbatch_opts: Sequence[str] = (),
        inherit: bool = True,
    ) -> None:
        given = {"mem": mem, "cpus": cpus, "time": time, "partition": partition}
        _fill(self, _checked({**given, "sbatch_opts": sbatch_opts, "inherit": inherit}, None))

    @classmethod
    def parse(cls, given: Mapping[str, Any], location: SourceLocation | None = None) -> Resources:
        """Resources from a configuration file or a Lab; an unknown key is an error that names the nearest."""
        return _fill(object.__new__(cls), _checked(given, location))

    @property
    def mem_text(self) -> str | None:
        """Memory as Slurm and people read it: `1536M`."""
        return None if self.mem is None else f"{self.mem // MIB}M"

    @property
    def time_text(self) -> str | None:
        """Wall time as Slurm takes it: `02:00:00`, `1-12:00:00`."""
        if self.time is None:
            return None
        minutes, seconds = divmod(self.time, 60)
        hours, minutes = divmod(minutes, 60)
        days, hours = divmod(hours, 24)
        return (f"{days}-" if days else "") + f"{hours:02}:{minutes:02}:{seconds:02}"

    def hints(self) -> dict[str, str | int | list[str]]:
        """What is asked for, as a Lab's `resource_hints`; what is not said is left out. `parse` reads it back."""
        said = {"mem": self.mem_text, "cpus": self.cpus, "time": self.time_text, "partition": self.partition}
        hints: dict[str, str | int | list[str]] = {key: value for key, value in said.items() if value is not None}
        if self.sbatch_opts:
            hints["sbatch_opts"] = list(self.sbatch_opts)
        return hints


def merge(own: Resources, upstreams: Sequence[Resources]) -> Resources:
    """What a job asks for, given what its upstream jobs ask for: the most of memory, cpus and time.

    Partition and sbatch options are the job's own, else those of the first upstream that has some: a maximum means
    nothing there. Returns `own` itself when nothing changes, so that a sweep's jobs share one object.
    """
    if not own.inherit:
        return own
    merged = own
    for other in upstreams:
        if other is merged:
            continue
        values = (
            _most(merged.mem, other.mem),
            _most(merged.cpus, other.cpus),
            _most(merged.time, other.time),
            merged.partition if merged.partition is not None else other.partition,
            merged.sbatch_opts or other.sbatch_opts,
        )
        if values != (merged.mem, merged.cpus, merged.time, merged.partition, merged.sbatch_opts):
            merged = _fill(object.__new__(Resources), (*values, own.inherit))
    return merged


def _most(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)


def _fill(resources: Resources, values: Sequence[object]) -> Resources:
    for field, value in zip(fields(resources), values, strict=True):
        object.__setattr__(resources, field.name, value)
    return resources


def _checked(given: Mapping[str, Any], location: SourceLocation | None) -> list[object]:
    """The values of all fields in order. Raises DefinitionError with every complaint."""
    unknown = [str(key) for key in given.keys() - _READERS]
    complaints = [(key, f"no such key; {nearest(key, _READERS)}") for key in unknown]
    values: list[object] = []
    for name, (read, unsaid) in _READERS.items():
        value = given.get(name)
        try:
            values.append(unsaid if value is None else read(value))
        except ValueError as error:
            complaints.append((name, str(error)))
    if len(complaints) == 1:
        name, reason = complaints[0]
        raise DefinitionError(f"resources: {name}: {reason}", location=location)
    if complaints:
        raise DefinitionError(f"{len(complaints)} mistakes in resources", facts=sorted(complaints), location=location)
    return values


_MEM = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT])(?:i?B)?\s*\Z", re.ASCII | re.IGNORECASE)
_CLOCK = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d{1,2}))?(?::(\d{1,2}))?\Z", re.ASCII)
_SPAN = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?\Z", re.ASCII)


def _read_mem(value: object) -> int:
    match = _MEM.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'{value!r} is not an amount of memory; say "512M", "1.5G", "2T"')
    whole, _, part = match[1].partition(".")
    unit: int = 1024 ** ("KMGT".index(match[2].upper()) + 1)
    # In integers: a float would turn a large exact amount into one byte more, and that into one MiB more.
    scale = 10 ** len(part)
    size: int = -(-int(whole + part) * unit // (scale * MIB)) * MIB
    if size == 0:
        raise ValueError(f"{value!r} is zero")
    return size


def _read_cpus(value: object) -> int:
    # NumPy's integers have __index__ too; a bool is a mistake, and a float would have to be rounded.
    cpus = operator.index(value) if isinstance(value, SupportsIndex) and not isinstance(value, bool) else 0
    if cpus < 1:
        raise ValueError(f"{value!r} is not a number of cpus; say 4")
    return cpus


def _read_time(value: object) -> int:
    text = value.strip() if isinstance(value, str) else ""
    seconds = _clock(text)
    if seconds is None:
        span = _SPAN.match(text)
        if span is None or not text:
            raise ValueError(f'{value!r} is not a time; say "02:00:00", "1-12:00:00", "90s", "10m", "1h30m", "2d"')
        days, hours, minutes, rest = (int(part or 0) for part in span.groups())
        seconds = ((days * 24 + hours) * 60 + minutes) * 60 + rest
    if seconds == 0:
        raise ValueError(f"{value!r} is zero")
    return seconds


def _clock(text: str) -> int | None:
    """Seconds of `MM:SS`, `HH:MM:SS`, `D-HH`, `D-HH:MM`, `D-HH:MM:SS`; a bare number, minutes to Slurm, is not read."""
    match = _CLOCK.match(text)
    if match is None or (match[1] is None and match[3] is None):
        return None
    given = [int(part) for part in match.groups()[1:] if part is not None]
    if match[1] is None:
        hours, minutes, seconds = given if len(given) == 3 else [0, *given]
    else:
        hours, minutes, seconds = [*given, 0, 0][:3]
        if hours > 23:
            return None
    if any(part > 59 for part in given[1:]):
        return None
    return ((int(match[1] or 0) * 24 + hours) * 60 + minutes) * 60 + seconds


def _read_partition(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[^\s\x00-\x1f-][^\s\x00-\x1f]*", value):
        raise ValueError(f'{value!r} is not a partition; say "gpu"')
    return value


def _read_options(value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ValueError(f'{value!r} is not a list of options; say ["--gres=gpu:1"]')
    for option in value:
        if not isinstance(option, str) or not option.strip() or not option.isprintable():
            raise ValueError(f'{option!r} is not an option of sbatch; say "--gres=gpu:1"')
    return tuple(value)


def _read_inherit(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither True nor False")
    return value


_READERS: dict[str, tuple[Callable[[object], object], object]] = {
    "mem": (_read_mem, None),
    "cpus": (_read_cpus, None),
    "time": (_read_time, None),
    "partition": (_read_partition, None),
    "sbatch_opts": (_read_options, ()),
    "inherit": (_read_inherit, True),
}

NOTHING_SAID = Resources()
"""What a stage asks for that says nothing."""
