"""What this machine has to give: CPUs and memory, as its kernel and its cgroup allow."""

from __future__ import annotations

import os
from pathlib import Path

from repx.errors import UsageError
from repx.model.resources import Resources


def machine_cpus() -> int:
    """CPUs this process may run on."""
    return len(os.sched_getaffinity(0))


def machine_memory() -> int:
    """Bytes of memory: physical, or less where a cgroup (version 2 or 1) allows less."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(limit).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit():
            return min(physical, int(text))
    return physical


def parse_memory(text: str) -> int:
    """Bytes of a size such as `64G`. Raises UsageError."""
    from repx.errors import DefinitionError

    try:
        mem = Resources.parse({"mem": text}).mem
    except DefinitionError as error:
        raise UsageError(f"--mem is {text!r}", hint=error.hint or 'write it as "8G"') from None
    assert mem is not None
    return mem
