"""Whether outputs differ in the times that their runs took place at, and in nothing else; reads files, runs nothing."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

_LIMIT = 1 << 20
"""Bytes of a file that is looked through: what is larger is not said to differ by its times."""

_SLACK_S = 2.0


class Span(NamedTuple):
    """When something ran, in seconds since 1970."""

    start: float
    end: float

    def has(self, first: float, last: float) -> bool:
        """Whether a time that is known to lie between two may be within."""
        return first <= self.end + _SLACK_S and last >= self.start - _SLACK_S


def differs_by_times(old: str, new: str, then: Span, now: Span) -> bool:
    """Whether two files are the same but for times, which are those at which each of them was made."""
    try:
        if max(os.path.getsize(old), os.path.getsize(new)) > _LIMIT:
            return False
        with open(old, "rb") as one, open(new, "rb") as other:
            before, after = one.read(), other.read()
    except OSError:
        return False
    return _without_times(before, then) == _without_times(after, now) or _is_binary_time(before, after, then, now)


def _without_times(data: bytes, span: Span) -> bytes:
    for pattern, read in _FORMS:

        def masked(found: re.Match[bytes], read: _Read = read) -> bytes:
            try:
                first, last = read(found[0].decode("ascii", "replace"))
            except (ValueError, OverflowError):
                return found[0]
            return b"<time>" if span.has(first, last) else found[0]

        data = pattern.sub(masked, data)
    return data


def _is_binary_time(before: bytes, after: bytes, then: Span, now: Span) -> bool:
    """Whether two files of one size differ in one place only, which is a number of four bytes: a time (as in gzip)."""
    places = [place for place, (one, other) in enumerate(zip(before, after, strict=False)) if one != other]
    if len(before) != len(after) or not places or places[-1] - places[0] > 3:
        return False
    for start in range(max(0, places[-1] - 3), places[0] + 1):
        if start + 4 > len(before):
            break
        for form in ("<I", ">I"):
            (was,), (reads,) = struct.unpack_from(form, before, start), struct.unpack_from(form, after, start)
            if then.has(was, was) and now.has(reads, reads):
                return True
    return False


_Read = Callable[[str], tuple[float, float]]
"""From a text to the first and the last moment that it may mean."""


def _dated(form: str, width_s: float) -> _Read:
    def read(text: str) -> tuple[float, float]:
        first = (
            datetime.strptime(" ".join((text.replace("T", " ") if text[:1].isdigit() else text).split()), form)
            .replace(tzinfo=UTC)
            .timestamp()
        )
        return first, first + width_s

    return read


def _counted(divisor: float) -> _Read:
    def read(text: str) -> tuple[float, float]:
        return float(text) / divisor, float(text) / divisor

    return read


def _posix(text: str) -> tuple[float, float]:
    first = datetime.strptime(" ".join(text.split()), "%a %b %d %H:%M:%S %Z %Y").replace(tzinfo=UTC).timestamp()
    return first, first + 1


_FORMS: tuple[tuple[re.Pattern[bytes], _Read], ...] = (
    (re.compile(rb"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.]\d{1,6}"), _dated("%Y-%m-%d %H:%M:%S.%f", 1)),
    (re.compile(rb"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d"), _dated("%Y-%m-%d %H:%M:%S", 1)),
    (re.compile(rb"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d\b"), _dated("%Y-%m-%d %H:%M", 60)),
    (re.compile(rb"\b\d{8}[-_T]\d{6}"), lambda text: _dated("%Y%m%d %H%M%S", 1)(f"{text[:8]} {text[9:]}")),
    (re.compile(rb"\b[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d UTC \d{4}"), _posix),
    (re.compile(rb"\b[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}"), _dated("%a %b %d %H:%M:%S %Y", 1)),
    (re.compile(rb"\b\d{4}-\d\d-\d\d\b"), _dated("%Y-%m-%d", 86400)),
    (re.compile(rb"\b\d{19}\b"), _counted(1e9)),
    (re.compile(rb"\b\d{13}\b"), _counted(1e3)),
    (re.compile(rb"\b\d{10}(?:[.]\d+)?\b"), _counted(1)),
)
