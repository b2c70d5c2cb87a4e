"""Turns the description of a job into labelled lines; reads no Lab and no store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from repx.agent.base.selector import ranges
from repx.cli.render import size_text
from repx.lab.params import shown


def job_facts(job: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Labels and texts for a description by `describe_job`; the printer leaves out empty texts."""
    yield "job", job["id"]
    yield "about", job.get("about") or ""
    yield "stage", job["stage"] + (f", version {job['version']}" if "version" in job else "")
    yield "type", ", ".join(dict.fromkeys(filter(None, (job["stage_type"], job.get("kind")))))
    yield "runs", " ".join(job.get("runs", []))
    yield "status", job["status"] + (f", because of {job['because_of']}" if job.get("because_of") else "")
    yield "steps", ", ".join(f"{count} {status}" for status, count in job.get("steps", {}).items())
    if job.get("realizations", 1) > 1 or job.get("added"):
        added = f", and {ranges(job['added'])} added" if job["added"] else ""
        yield "realizations", f"{job['realizations']}{added}"
    yield "params", _columns([[name, shown(value)] for name, value in job.get("params", {}).items()])
    inherited = [[name, shown(one["value"]), f"from {one['from']}"] for name, one in job.get("inherited", {}).items()]
    yield "inherited", _columns(inherited)
    yield "pipeline", _columns([[name, shown(value)] for name, value in job.get("arguments", {}).items()])
    yield "resources", _columns([_resource(name, one) for name, one in job.get("resources", {}).items()])
    chosen = job.get("chosen", {})
    yield "inputs", _columns([[one["name"], _input(one, chosen)] for one in job.get("inputs", [])])
    yield "outputs", _columns([[name, _size(one), one["path"]] for name, one in job["outputs"].items()])
    yield "adopted", f"from {job['adopted_from']}, which had the same inputs" if job.get("adopted_from") else ""
    yield from _attempt(job)
    yield "came from", "\n".join(_journey(one) for one in job.get("came_from", []))
    yield "source", job.get("source") or ""
    yield "script", job.get("script") or ""


def _attempt(job: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    last = job["attempt"]
    if last is None:
        return
    took = last["end"] - last["start"]
    began = datetime.fromtimestamp(last["start"], UTC).astimezone()
    ended = f"killed by signal {last['signal']}" if last["signal"] else f"exit status {last['exit']}"
    inside = f" in {last['isolation']}" if last["isolation"] else ""
    number = f"attempt {job['attempts']}" if job["attempts"] > 1 else "attempt"
    yield number, f"{began:%Y-%m-%d %H:%M:%S %z}, {took:.3g} s on {last['host']}{inside}, {ended}"
    yield "used", f"{size_text(last['max_rss'])} of memory at most, {last['cpu']:.3g} s of CPU"
    yield "earlier attempts", _columns(_earlier(job))
    passed = last["passed_env"].items()
    yield "let through", _columns([[name, "(not recorded)" if text is None else text] for name, text in passed])
    # Of a success it is a remark, such as that it was made by hand.
    yield "failure" if last["cause"] else "note", last["failure"] or ""


def _earlier(job: Mapping[str, Any]) -> list[list[str]]:
    first = job["attempts"] - len(job["earlier"])
    return [
        [str(number), f"{one['end'] - one['start']:.3g} s", size_text(one["max_rss"]), one["failure"] or "succeeded"]
        for number, one in enumerate(job["earlier"], first)
    ]


def _journey(one: Mapping[str, Any]) -> str:
    came = datetime.fromtimestamp(one["time"], UTC).astimezone()
    return f"{one['place']} on {one['host']}, by {one['how']} at {came:%Y-%m-%d %H:%M:%S %z}"


def _resource(name: str, one: Mapping[str, Any]) -> list[str]:
    value = one["value"]
    text = " ".join(value) if isinstance(value, list) else str(value)
    return [name, text, f"as {one['from']} asks for" if one["from"] else ""]


def _input(one: Mapping[str, Any], chosen: Mapping[str, list[int]]) -> str:
    if "selector" in one:
        told = f"{one['selector']} of {one['job']} {one['output']}"
        return told + (f": realization {ranges(chosen[one['name']])}" if one["name"] in chosen else " (not chosen yet)")
    if "job" in one:
        return one["path"] or f"{one['job']} {one['output']} (not there yet)"
    return f"the results of run {one['run']}" if "run" in one else one["path"]


def _size(one: Mapping[str, Any]) -> str:
    if one["there"]:
        return size_text(one["size"])
    return "(collected)" if "size" in one else "(none yet)"


def _columns(rows: list[list[str]]) -> str:
    if not rows:
        return ""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
