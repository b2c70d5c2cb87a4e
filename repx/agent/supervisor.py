"""A process that stays behind a worker and ends what that leaves running when it is killed; knows no jobs.

Only where a worker can have no control group of its own. It is the subreaper of all that its worker starts: what a
killed worker leaves becomes its child, whatever session or environment it has by then.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal

from repx.agent.processes import children_of, kill_process

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> None:
    """Let orphans among this process's descendants become its children (prctl(2)), where the kernel can do that."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def go_on_supervised() -> None:
    """Return in a child of this process; this one waits for it, ends what it has left, and ends as it has.

    Told to end, it tells its worker; killed, its worker is told to end.
    """
    become_subreaper()
    supervisor = os.getpid()
    worker = os.fork()
    if worker == 0:
        # Of a session of its own: who kills the one by its group does not kill the other.
        os.setsid()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != supervisor:
            os._exit(1)
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(worker, signal.SIGTERM))
    # The ends of the pipes are the worker's alone: whoever talks to it is to see when it has ended.
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(nothing, descriptor)
    status = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
    kill_descendants()
    os._exit(status if status >= 0 else 128 - status)


def kill_descendants() -> tuple[int, float]:
    """Kill and reap all children of this process, and what becomes its child by that: it is their subreaper.

    Returns the peak of the memory of one of them in bytes, and the seconds of CPU that all have used.
    """
    me, peak, cpu = os.getpid(), 0, 0.0
    while True:
        try:
            pid, _, usage = os.wait4(-1, os.WNOHANG)
            if not pid:
                children = children_of(me)
                if not children:
                    return peak, cpu
                kill_process(children[0])
                _, _, usage = os.wait4(children[0], 0)
        except ChildProcessError:
            return peak, cpu
        peak = max(peak, usage.ru_maxrss * 1024)
        cpu += usage.ru_utime + usage.ru_stime


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
