"""Names for what is being made in tmp/: they say who makes it, so that anybody can tell when nobody does any more."""

from __future__ import annotations

from repx.agent.base.files import random_name
from repx.agent.processes import start_time, this_process


def maker_name(kind: str) -> str:
    """A name that nothing else has: `<kind>,<host>,<boot>,<pid and time namespace>,<pid>,<start time>,<random>`."""
    return ",".join([kind, *_maker(), random_name()])


def is_abandoned(name: str) -> bool:
    """Whether a name's maker was a process that this one could ask the kernel about, and is gone."""
    fields = name.split(",")
    if not is_made_here(name) or not (fields[4].isdigit() and fields[5].isdigit()):
        return False
    return start_time(int(fields[4])) != int(fields[5])


def is_made_here(name: str) -> bool:
    """Whether a name's maker is one of the processes that this one can ask the kernel about."""
    fields = name.split(",")
    return len(fields) == 7 and fields[1:4] == _maker()[:3]


def same_maker(name: str, other: str) -> bool:
    """Whether two names were made by one process."""
    fields = name.split(",")
    return len(fields) == 7 and fields[1:6] == other.split(",")[1:6]


def _maker() -> list[str]:
    me = this_process()
    namespaces = "%d-%d" % (me.pidns, me.timens)
    return [me.host.replace(",", ""), me.boot[:8], namespaces, str(me.pid), str(me.start)]
