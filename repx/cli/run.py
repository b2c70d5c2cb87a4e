"""`repx run`: run what is missing; realizes first when given an experiment file."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from repx.agent.base.layout import Store
from repx.cli.notes import show_notes
from repx.cli.options import isolation_options, json_option, packages_option, store_option
from repx.cli.streams import say
from repx.errors import InterruptedRunError, JobsFailedError, UsageError
from repx.lab.directory import LabDirectory
from repx.store.location import open_lab, open_store, verify_once

if TYPE_CHECKING:
    from repx.agent.programs import IsolationKind
    from repx.dsl.experiment import Lab
    from repx.runtime.engine import Engine


@click.command()
@click.argument("names", nargs=-1, metavar="[EXPERIMENT.py] [RUN|@GROUP|STAGE|JOB]...")
@click.option("--lab", "-l", "lab_path", default=None, help="The Lab.  [default: result]")
@click.option("-j", "--jobs", type=click.IntRange(1), default=None, help="How many jobs at once; default: the CPUs.")
@click.option("--mem", default=None, help="Memory to share out, such as 64G; default: what there is.")
@click.option("--force", is_flag=True, help="Run what is named again, done or not.")
@click.option("--outputs", is_flag=True, help="Also make again what is named where its outputs were collected.")
@click.option("--again", multiple=True, metavar="STAGE|JOB", help="Add a realization, keep the others; repeatable.")
@click.option("-k", "--continue-on-failure", is_flag=True, help="Run everything that does not need what failed.")
@click.option("--dry-run", is_flag=True, help="Say what would run, at most; start nothing.")
@click.option("--allow-drift", is_flag=True, help="Accept that this machine's programs differ from the Lab's.")
@click.option("--target", "target_name", default="local", help="A target of the configuration.")
@isolation_options
@packages_option
@store_option
@json_option
def run(
    names: Sequence[str],
    lab_path: str | None,
    jobs: int | None,
    mem: str | None,
    force: bool,
    outputs: bool,
    again: Sequence[str],
    continue_on_failure: bool,
    dry_run: bool,
    allow_drift: bool,
    target_name: str,
    isolation: IsolationKind | None,
    packages: str | None,
    store_path: str | None,
    as_json: bool,
) -> None:
    """Run what is missing of the named runs, groups, stages and jobs; of everything when none is named."""
    from repx.agent.base.state import State
    from repx.agent.programs import NATIVE
    from repx.cli.edited import warn_if_edited
    from repx.cli.progress import Progress, print_nothing_to_run, print_report
    from repx.lab.selection import select
    from repx.runtime.limits import parse_memory
    from repx.runtime.local import isolation_on, local_engine
    from repx.runtime.targets import find_target
    from repx.store.complete_runs import known_complete

    # Until the engine handles signals: SIGTERM clears a half-made Lab as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    find_target(target_name)
    if force and again:
        raise UsageError(
            "one of --force and --again can be given", hint="--force replaces results, --again adds to them"
        )
    if names and names[0].endswith(".py"):
        if lab_path is not None:
            raise UsageError("both an experiment and --lab were given", hint="give one of them")
        from repx import api

        experiment, *names = names
        store = open_store(store_path)
        _refuse_second(experiment, names)
        if dry_run:
            _plan_unwritten(
                api.load(experiment, packages, store=store), names, store, force=force, again=again, as_json=as_json
            )
            return
        lab = _realized(api.load(experiment, packages, store=store), store, as_json=as_json)
    elif packages is not None:
        raise UsageError("--packages is for realizing, and a Lab has its software", hint="give the experiment as well")
    else:
        lab, store = open_lab(lab_path or "result", store_path)
        warn_if_edited(lab, lab_path or "result")
    if not dry_run:
        verify_once(lab, store)
    if not (dry_run or force or outputs or again):
        settled = known_complete(lab, store, names)
        if settled is not None:
            _keep(lab, lab_path or "result", store)
            print_nothing_to_run(settled, as_json=as_json)
            return
    progress = Progress(lab, quiet=as_json or not sys.stderr.isatty())
    if force and not dry_run:
        progress.notice("--force makes results anew in place of those that are there; --again keeps them and adds one")
    chosen = NATIVE
    if not dry_run:
        chosen = isolation_on(lab, target_name, isolation)
        if isolation is None and chosen.kind == "native" and chosen.passed_over:
            progress.notice(f"no sandbox: {'; '.join(f'{kind}: {why}' for kind, why in chosen.passed_over)}")
    engine = local_engine(
        lab,
        names,
        store=store,
        watcher=progress,
        jobs=jobs,
        mem=None if mem is None else parse_memory(mem),
        force=force,
        wanted=select(lab, names).asked if outputs else (),
        again=again,
        continue_on_failure=continue_on_failure,
        allow_drift=allow_drift,
        isolation=chosen,
    )
    if dry_run:
        _print_plan(engine, lab, names, store, as_json=as_json)
        return
    _keep(lab, lab_path or "result", store)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: engine.interrupt())
    report = engine.execute()
    progress.close()
    if report.watching_failed is not None:
        say(f"what was shown is not all: {report.watching_failed!r}")
    print_report(report, lab, as_json=as_json)
    if report.interrupted:
        raise InterruptedRunError(
            "interrupted", hint="everything that had finished is kept; the same command goes on from there"
        )
    if not report.succeeded:
        hint = "what succeeded is kept; correct the cause and give the same command again"
        if not continue_on_failure and report.count(State.CANCELLED):
            hint += "; --continue-on-failure (-k) runs all that does not need what failed"
        raise JobsFailedError("not everything succeeded", hint=hint)


def _keep(lab: LabDirectory, path: str, store: Store) -> None:
    """Let a Lab that is run be kept with its results, also one that was not realized into this store."""
    from repx.errors import StoreError
    from repx.store.roots import keep_link

    # Where nothing can be written, nothing is made that would have to be kept.
    with contextlib.suppress(StoreError):
        keep_link(store, path, lab.lab_id)


def _refuse_second(experiment: str, names: Sequence[str]) -> None:
    if names and names[0].endswith(".py"):
        raise UsageError(
            f"two experiments were given: {experiment} and {names[0]}", hint="run them one after the other"
        )


def _realized(definition: Lab, store: Store, *, as_json: bool) -> LabDirectory:
    """Realize an experiment, and link its Lab as ./result."""
    from repx import api
    from repx.cli.live_line import LiveLine
    from repx.store.links import check_link, link_result

    check_link("result")
    with LiveLine(quiet=as_json) as live:
        written = api.realize_lab(definition, store=store, watch=live.show)
    link_result(written.path, "result", store)
    show_notes(written.notes)
    if not as_json:
        say(written.summary("result"), is_answer=True)
    return LabDirectory(written.path).owned(is_own=True)


def _plan_unwritten(
    definition: Lab, names: Sequence[str], store: Store, *, force: bool, again: Sequence[str], as_json: bool
) -> None:
    """Print the plan for an experiment; its Lab is made in a temporary store, so that a dry run changes nothing."""
    from tempfile import TemporaryDirectory

    from repx import api
    from repx.agent.programs import NATIVE
    from repx.cli.progress import Progress
    from repx.runtime.local import local_engine

    with TemporaryDirectory(prefix="repx-") as aside:
        lab = LabDirectory(api.realize_lab(definition, store=aside).path).owned(is_own=True)
        engine = local_engine(
            lab, names, store=store, watcher=Progress(lab, quiet=True), force=force, again=again, isolation=NATIVE
        )
        _print_plan(engine, lab, names, store, as_json=as_json)


def _print_plan(engine: Engine, lab: LabDirectory, names: Sequence[str], store: Store, *, as_json: bool) -> None:
    from repx.analysis.why import explain
    from repx.cli.progress import print_plan
    from repx.cli.why import told_changes
    from repx.runtime.bill import make_bill

    report = engine.survey()
    told = told_changes(explain(lab, store, names)) if any(unit.reason is not None for unit in report.units) else []
    print_plan(report, lab, make_bill(report, store), told, as_json=as_json)
