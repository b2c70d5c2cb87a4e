"""What this machine has to give: CPUs and memory, as its kernel and its control groups allow."""

from __future__ import annotations

import os

from repx.agent.allowance import allowed_cpus, allowed_memory
from repx.errors import UsageError
from repx.model.resources import Resources


def machine_cpus() -> int:
    """CPUs this process may run on, or fewer where its control groups give it less time."""
    cpus = len(os.sched_getaffinity(0))
    allowed = allowed_cpus()
    return cpus if allowed is None else max(1, min(cpus, int(allowed)))


def machine_memory() -> int:
    """Bytes of memory: physical, or less where one of its control groups allows less."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    allowed = allowed_memory()
    return physical if allowed is None else min(physical, allowed)


def parse_memory(text: str) -> int:
    """Bytes of a size such as `64G`. Raises UsageError."""
    from repx.errors import DefinitionError

    try:
        mem = Resources.parse({"mem": text}).mem
    except DefinitionError as error:
        raise UsageError(f"--mem is {text!r}", hint=error.hint or 'write it as "8G"') from None
    assert mem is not None
    return mem
