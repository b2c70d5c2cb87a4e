"""`repx debug-run`: a job done by hand, in its own environment and isolation, with its inputs and params in place."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import click

from repx.cli.options import isolation_options, lab_option, store_option
from repx.errors import JobsFailedError, UsageError

if TYPE_CHECKING:
    from repx.agent.bench import Bench
    from repx.agent.programs import IsolationKind


@click.command("debug-run")
@click.argument("job", metavar="JOB")
@click.option("-c", "--command", default=None, metavar="CMD", help="Run this instead of opening a shell.")
@click.option("--keep", is_flag=True, help="Publish what is in $out then as the job's result, which says so.")
@click.option("--replace", is_flag=True, help="With --keep: also where the job has a result.")
@click.option("--index", default=0, show_default=True, help="Which realization.")
@click.option("--allow-drift", is_flag=True, help="Accept that this machine's programs differ from the Lab's.")
@lab_option
@isolation_options
@store_option
def debug_run(
    job: str,
    command: str | None,
    keep: bool,
    replace: bool,
    index: int,
    allow_drift: bool,
    lab_path: str,
    isolation: IsolationKind | None,
    store_path: str | None,
) -> None:
    """Open a shell where JOB would run: in $out, with its inputs and params as variables; `run_job` runs its script.

    The exit status is that of the shell, or of CMD. Without --keep, all that is made there goes at the end.
    """
    from repx.agent.in_use import using
    from repx.cli.streams import say
    from repx.runtime.by_hand import find_job_or_part, open_bench
    from repx.runtime.local import isolation_on
    from repx.store.location import open_lab, store_error, verify_once

    if replace and not keep:
        raise UsageError("--replace goes with --keep")
    if command is None and not sys.stdin.isatty():
        raise UsageError("a shell needs a terminal", hint="give a command: -c CMD")
    # Whatever ends this command, nothing stays of what was not kept.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.umask(0o022)
    lab, store = open_lab(lab_path, store_path)
    verify_once(lab, store)
    try:
        with using(store, lab.path):
            named = find_job_or_part(lab, store, job)
            chosen = isolation_on(lab, wanted=isolation)
            with open_bench(lab, store, *named, realization=index, isolation=chosen, allow_drift=allow_drift) as bench:
                if command is None:
                    say(f"{bench.job.job.id}, {chosen.kind}: $out is {bench.scratch.out}; run_job runs its script")
                status = _run(bench, command)
                spoiled = bench.spoiled()
                if spoiled:
                    say(
                        f"it has written to its input {', '.join(spoiled)}; what was another job's result is made again"
                    )
                # A shell ends with the status of whatever was tried last in it.
                failed = status if command is not None else 0
                if keep and (failed or spoiled):
                    why = f"exit status {failed}" if failed else "an input was written to"
                    raise JobsFailedError(f"nothing is kept: {why}")
                if keep:
                    say(_kept(bench, command or "in a shell", replace=replace))
    except OSError as error:
        raise store_error(error, store) from None
    sys.exit(status if status >= 0 else 128 - status)


def _run(bench: Bench, command: str | None) -> int:
    """The exit status of the shell, or of the command in one."""
    from repx import process

    if command is None:
        # A Ctrl-C is meant for what runs in the shell.
        signal.signal(signal.SIGINT, lambda *_: None)
    start = bench.command(command)
    return process.attached(start.argv, cwd=bench.scratch.out, env=start.env, words=start.words)


def _kept(bench: Bench, how: str, *, replace: bool) -> str:
    from repx.agent.base.state import State

    answer = bench.keep(how, replace=replace)
    if answer.state is State.RUNNING:
        raise JobsFailedError("nothing is kept: somebody else works on this job")
    if answer.state is not State.SUCCEEDED:
        detail = answer.attempt.detail if answer.attempt is not None else ""
        raise JobsFailedError(f"nothing is kept: {detail}")
    if answer.is_found:
        raise JobsFailedError(
            "nothing is kept: the job has a result", hint="to have this one in its place: --keep --replace"
        )
    return f"kept: {answer.directory}/out"
