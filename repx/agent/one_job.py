"""One job of a Lab without a runner: resolved, found or run, published, all by this process; as a scheduler starts it.

    run --store STORE --lab LAB JOB[#REALIZATION]

Exit status 0: its result stands. 1: it failed, or cannot run yet. 2: there is no such Lab, job or software. Limits of
time and memory are the scheduler's. A Lab's closure is shown by bubblewrap, or used where it is.
"""

from __future__ import annotations

import _thread
import argparse
import contextlib
import os
import signal
import sys
import time
from collections.abc import Sequence

from repx.agent.base.files import remove_tree
from repx.agent.base.layout import Store, slot
from repx.agent.base.state import State
from repx.agent.capabilities import bwrap_problem
from repx.agent.claim import HEARTBEAT_S, ScratchGoneError
from repx.agent.host_path import find_command
from repx.agent.in_use import using
from repx.agent.lab.fault import LabFault
from repx.agent.lab.lab import Lab
from repx.agent.makers import maker_name
from repx.agent.messages import JobAnswer, JobOrder
from repx.agent.orders import Orders
from repx.agent.programs import NATIVE, Isolation, ProgramsError, programs_of
from repx.agent.resolve import ResultsInput
from repx.agent.resolved_job import ResolvedJob, find_pending_too, resolve_order, resolved_job
from repx.agent.resolver import Resolver
from repx.agent.runner import make_runner_directory, touch_heartbeat
from repx.agent.slot import Slot
from repx.agent.supervisor import become_subreaper


def main(argv: list[str]) -> int:
    """Bring one job to its end; what has become of it is said in one line."""
    parser = argparse.ArgumentParser(prog="repx-agent run", description="Bring one job of a Lab to its end.")
    parser.add_argument("--store", required=True)
    parser.add_argument("--lab", required=True)
    parser.add_argument("--force", action="store_true", help="run it, done or not")
    parser.add_argument("--allow-drift", action="store_true", help="accept that this machine's programs differ")
    parser.add_argument("job", metavar="JOB[#REALIZATION]")
    arguments = parser.parse_args(argv)
    identity, _, realization = arguments.job.partition("#")
    if realization and not realization.isdigit():
        parser.error("%r is not a number" % realization)
    store = Store(os.path.abspath(arguments.store))
    try:
        lab = Lab(arguments.lab).seen_from(store)
        with using(store, lab.path):
            job = _resolved(store, lab, identity, int(realization or 0), arguments.allow_drift)
            if job is None:
                print("%s cannot run: what it takes has no result" % arguments.job)
                return 1
            answer = _do(store, job, arguments.force)
    except (LabFault, ProgramsError, OSError, ScratchGoneError) as error:
        return _say_problem(error)
    what = "found" if answer.is_found else str(answer.state)
    attempt = answer.attempt
    why = "" if attempt is None else attempt.detail or attempt.cause
    print("%s %s%s" % (arguments.job, what, ": " + why if why else ""))
    return 0 if answer.state is State.SUCCEEDED else 1


def _resolved(store: Store, lab: Lab, identity: str, realization: int, allow_drift: bool) -> ResolvedJob | None:
    job = lab.job(identity)
    if job is None or realization >= job.stage.realizations:
        raise lab.root.fault((lab.manifest.metadata, "it has no job %s#%d" % (identity, realization)))
    resolver = Resolver(lab, store, find_pending_too)
    order = JobOrder(job.run.name, job.id, realization, cpus=job.hints.cpus or 1)
    found = resolve_order(lab, resolver, order)
    if found is None:
        return None
    job_or_part, resolved = found
    for value in resolved.inputs.values():
        if isinstance(value, ResultsInput):
            results = resolver.results(value.run)
            assert results is not None, "it has been resolved"
            results.write(store)
    programs = programs_of(lab, store, _isolation(lab), allow_drift=allow_drift)
    start = programs.start(job_or_part.stage, "")
    for difference in programs.drift:
        print("differs: " + difference, file=sys.stderr)
    return resolved_job(lab, order, job_or_part, resolved, start, programs.package)


def _isolation(lab: Lab) -> Isolation:
    """Bubblewrap where the Lab has a closure and it works here, else none."""
    if not lab.metadata.closure:
        return NATIVE
    program = find_command("bwrap", os.environ.get("PATH", os.defpath)) or lab.host_tool("bwrap")
    return NATIVE if program is None or bwrap_problem(program) else Isolation("bwrap", program)


def _do(store: Store, job: ResolvedJob, force: bool) -> JobAnswer:
    """Find the job's result, or execute it and publish what comes of it."""
    # What a job makes has the same modes wherever it runs.
    os.umask(0o022)
    become_subreaper()
    runner = maker_name("run")
    directory = make_runner_directory(store, runner)
    # Nobody gives orders: a pipe of which this process holds the other end. SIGTERM ends the job.
    orders = Orders(os.pipe()[0])
    signal.signal(signal.SIGINT, signal.getsignal(signal.SIGTERM))

    def pause(seconds: float | None, also: Sequence[int]) -> bool:
        orders.wait(seconds, also)
        return orders.ended

    def keep_claim() -> None:
        while True:
            time.sleep(HEARTBEAT_S)
            with contextlib.suppress(OSError):
                worker.claim.touch()
                touch_heartbeat(directory)

    try:
        worker = Slot(store, slot(directory, 0), runner, 0, None, pause)
        _thread.start_new_thread(keep_claim, ())
        try:
            answer = worker.do(job, force=force)
        finally:
            trouble = worker.close()
    finally:
        remove_tree(directory)
    for text in trouble:
        print(text, file=sys.stderr)
    return answer._replace(state=State.FAILED) if trouble else answer


def _say_problem(error: Exception) -> int:
    print("error: %s" % error, file=sys.stderr)
    for name, value in error.facts if isinstance(error, ProgramsError) else ():
        print("  %s  %s" % (name, value), file=sys.stderr)
    return 2
