"""A worker as a process: where its jobs can be found, its signals, its pipes, its end; knows no orders."""

from __future__ import annotations

import contextlib
import os
import signal

from repx.agent.base.layout import HEARTBEAT, Store
from repx.agent.claim import ScratchGoneError
from repx.agent.messages import Trouble, encode_answer
from repx.agent.supervisor import become_subreaper, go_on_supervised
from repx.agent.worker import Worker
from repx.agent.worker_cgroup import CgroupEntry, can_enter_cgroup, leave_cgroup


def main(argv: list[str]) -> int:
    """`worker STORE RUNNER NUMBER`: orders on standard input, answers on standard output."""
    root, runner, number = argv
    store, directory = Store(root), "%s/tmp/%s" % (root, runner)
    # What a job makes has the same modes wherever it runs, and a container's ordinary user can read what root prepares.
    os.umask(0o022)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    if can_enter_cgroup():
        cgroup = CgroupEntry(runner, int(number))
    else:
        go_on_supervised()
        cgroup = None
    become_subreaper()
    # Jobs get neither end of the pipes: descriptors 0 and 1 are replaced in each, these are closed on exec.
    orders, answers = os.dup(0), os.dup(1)
    try:
        Worker(store, runner, int(number), orders, answers, cgroup).serve()
    except (OSError, ScratchGoneError) as error:
        reason = "a worker has ended, for its files are gone: %s" % error
        if isinstance(error, OSError):
            reason = "%s: %s" % (error.filename, error.strerror)
        with contextlib.suppress(OSError):
            os.write(answers, encode_answer(Trouble(reason)))
        return 1
    finally:
        if cgroup is not None:
            leave_cgroup(cgroup.path())
    with contextlib.suppress(OSError):
        # The last worker of a runner that died takes its directory away.
        if os.listdir(directory) == [HEARTBEAT]:
            os.unlink(directory + "/" + HEARTBEAT)
        os.rmdir(directory)
    return 0
