"""`repx verify`: done jobs run again and compared; `--store`: what is stored hashed again; `--lab` alone: the Lab."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from repx.cli.options import isolation_options, json_option
from repx.errors import UsageError, plural

if TYPE_CHECKING:
    from repx.agent.programs import IsolationKind
    from repx.runtime.verify.again import Verification
    from repx.runtime.verify.verdicts import Judged


_SHOWN = 5
"""How many jobs without a result are named."""


_LAB_HELP = "The Lab, ./result unless said; without a path: check its files, and run nothing."
_STORE_HELP = "The store; without a path: hash what is stored, put damage aside, and run nothing."


@click.command()
@click.argument("names", nargs=-1, metavar="[RUN|@GROUP|STAGE|JOB]...")
@click.option(
    "--sample", type=click.IntRange(1), default=None, metavar="N", help="Only N results, drawn anew each time."
)
@click.option("--no-cause", is_flag=True, help="Do not run what differs again to see why.")
@click.option("-j", "--jobs", type=click.IntRange(1), default=None, help="How many jobs at once; default: the CPUs.")
@click.option("--allow-drift", is_flag=True, help="Accept that this machine's programs differ from the Lab's.")
@click.option("--lab", "-l", "labs", multiple=True, is_flag=False, flag_value="", help=_LAB_HELP, metavar="[PATH]")
@click.option("--store", "stores", multiple=True, is_flag=False, flag_value="", help=_STORE_HELP, metavar="[PATH]")
@click.option("--isolation", type=click.Choice(("native", "bwrap", "podman", "docker")), help="The same by its name.")
@isolation_options
@json_option
def verify(
    names: Sequence[str],
    sample: int | None,
    no_cause: bool,
    jobs: int | None,
    allow_drift: bool,
    labs: Sequence[str],
    stores: Sequence[str],
    isolation: IsolationKind | None,
    as_json: bool,
) -> None:
    """Run done jobs again, aside, and compare what they make with what is recorded, byte for byte.

    Exit status 0: all are reproduced. 1: something differs, cannot run, or was named and has no result. 2: there is
    nothing to verify.
    """
    from repx.cli.live_line import LiveLine
    from repx.cli.render import print_json
    from repx.runtime.local import isolation_on
    from repx.runtime.verify.again import verify_results
    from repx.store.location import open_lab, open_store, store_error, verify_once

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    lab_path, store_path = next(filter(None, labs), "result"), next(filter(None, stores), None)
    if store_path is not None and not Path(store_path).is_dir():
        raise UsageError(
            f"there is no store at {store_path}", hint="to check the files of a store: repx verify --store"
        )
    if "" in (*labs, *stores):
        if names or sample:
            raise UsageError(
                "--lab or --store without a path checks files, and runs no job", hint="name no job with it"
            )
        try:
            _check_files(lab_path if "" in labs else "", store_path, with_store="" in stores, as_json=as_json)
        except OSError as error:
            raise store_error(error, open_store(store_path)) from None
        return
    lab, store = open_lab(lab_path, store_path)
    verify_once(lab, store)
    try:
        with LiveLine(quiet=as_json) as live:
            found = verify_results(
                lab,
                store,
                names,
                isolation=isolation_on(lab, wanted=isolation),
                sample=sample,
                jobs=jobs,
                allow_drift=allow_drift,
                causes=not no_cause,
                show=live.show,
            )
    except OSError as error:
        raise store_error(error, store) from None
    if as_json:
        print_json(_as_json(found))
    else:
        _print(found)
    if not found.succeeded:
        sys.exit(1)


def _check_files(lab_path: str, store_path: str | None, *, with_store: bool, as_json: bool) -> None:
    """Check the files of a Lab, of a store, or of both."""
    from repx.cli.live_line import LiveLine
    from repx.cli.render import print_json, print_lines
    from repx.lab.verification import verify as verify_lab
    from repx.store.damage import check_store
    from repx.store.location import open_lab, open_store

    if lab_path:
        lab, _ = open_lab(lab_path, store_path)
        verify_lab(lab)
        if not with_store:
            answer = {"lab": lab.path, "whole": True}
            print_json(answer) if as_json else print_lines([f"{lab_path}: it is what its manifest says"])
            return
    store = open_store(store_path)
    if not Path(store.outputs).is_dir():
        raise UsageError(f"{store.root} is not a store")
    with LiveLine(quiet=as_json) as live:
        found = check_store(store, live.show)
    if as_json:
        damages = [one._asdict() for one in found.damages]
        print_json({"results": found.results, "labs": found.labs, "busy": found.busy, "damages": damages})
    else:
        lines = []
        for one in found.damages:
            lines += [f"damaged {one.kind}: {one.name}", f"  {one.why}"]
            lines += [f"  put aside: {one.moved}"] if one.moved else []
        counts = f"{found.results} {plural('result', found.results)}, {found.labs} {plural('Lab', found.labs)}"
        lines.append(f"{store.root}: {counts}: {len(found.damages) or 'nothing'} damaged")
        lines += [f"{found.busy} that somebody works on were left; look again later"] if found.busy else []
        if found.damages:
            lines.append("to make it again: repx run; a damaged Lab: repx run EXPERIMENT.py")
        print_lines(lines)
    if found.damages or found.busy:
        sys.exit(1)


def _print(found: Verification) -> None:
    from repx.cli.render import print_lines
    from repx.lab.plain_text import plain_line

    lines: list[str] = []
    for one in found.judged:
        if one.verdict != "reproduced":
            lines += [*_told(found, one)]
    print_lines(map(plain_line, [*lines, *_summary(found)]))


def _told(found: Verification, one: Judged) -> list[str]:
    """What there is to say of a result that was not reproduced."""
    outcome = one.subject.outcome()
    lines = [f"{one.verdict}: {one.subject.title}"]
    lines += [f"  {one.why}"] if one.why else []
    for output, difference in one.differences.items():
        if difference is None:
            lines.append(f"  {output}: its digest differs; its bytes are not there to be compared, they were collected")
            continue
        name = f"{output}/{difference.file}" if difference.file else output
        more = f", and {difference.more} more {plural('file', difference.more)}" if difference.more else ""
        where = f" (byte {difference.offset})" if difference.line is not None else ""
        lines.append(f"  {name}: {difference.what}{where}{more}")
        lines += [*(f"    - {line}" for line in difference.before), *(f"    + {line}" for line in difference.after)]
    first = found.firsts.get(one.subject.name, "")
    lines += [f"  first: {first}, from which this is made, differs itself"] if first else []
    lines += [f"  likely cause: {one.cause.name}: {one.cause.seen}"] if one.cause else []
    attempt = one.subject.attempt()
    if attempt is not None and attempt.detail and not attempt.cause:
        lines.append(f"  the result was {attempt.detail}")
    if outcome is not None and outcome.adopted:
        lines.append(f"  adopted: the result is that of {outcome.adopted}")
    return lines


def _summary(found: Verification) -> list[str]:
    counts = found.counts()
    said = ", ".join(
        f"{count} {'differ' if verdict == 'differs' and count > 1 else verdict}"
        for verdict, count in counts.items()
        if count
    )
    total = sum(counts.values())
    lines = [f"{total} {plural('result', total)} made again: {said}"]
    if found.sampled_of:
        lines[0] += f" (drawn from {found.sampled_of})"
    if found.missing:
        shown = [*found.missing[:_SHOWN], *(["…"] if len(found.missing) > _SHOWN else [])]
        few = ": " + ", ".join(shown) if found.is_named else ""
        lines.append(f"{len(found.missing)} without a result{few}")
    if found.impure:
        lines.append(f"{found.impure} impure, which were left out: name them to run them again")
    lines += [f"differs: {one}" for one in found.drift]
    return lines


def _as_json(found: Verification) -> dict[str, Any]:
    return {
        **{verdict.replace(" ", "_"): count for verdict, count in found.counts().items()},
        "without_result": len(found.missing),
        "impure_left_out": found.impure,
        "drift": found.drift,
        "first": [one.subject.job.id for one in found.judged if found.firsts.get(one.subject.name) == ""],
        "jobs": [_job_json(found, one) for one in found.judged],
    }


def _job_json(found: Verification, one: Judged) -> dict[str, Any]:
    subject, outcome = one.subject, one.subject.outcome()
    return {
        "job": subject.job.id,
        "index": subject.realization,
        "stage": subject.job.stage.name,
        "title": subject.title,
        "verdict": one.verdict.value,
        "why": one.why,
        "adopted_from": outcome.adopted if outcome is not None else "",
        "collected": subject.record.is_collected,
        "outputs": {
            name: None if difference is None else difference._asdict() for name, difference in one.differences.items()
        },
        "cause": None if one.cause is None else one.cause._asdict(),
        "behind": found.firsts.get(subject.name, ""),
    }
