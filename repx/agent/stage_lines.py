"""The lines of stages, kept once in a store for all records that name their digest; reads no record."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from repx.agent.base.files import read_if_there, remove_tree, write_file
from repx.agent.base.fingerprint import JobFingerprint, Line, parse_lines, stage_digest
from repx.agent.base.layout import Store
from repx.agent.lab.identity import Identity
from repx.agent.makers import maker_name


class StageLines:
    """The lines of stages that this process knows to be in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: set[str] = set()

    def fingerprint(self, identity: Identity) -> JobFingerprint:
        """Why a job has its id; the lines of its stage are in the store from then on."""
        own = identity.fingerprint()
        if own.stage not in self._kept:
            keep_stage_lines(self._store, identity.stage.fingerprint)
            self._kept.add(own.stage)
        return own


def keep_stage_lines(store: Store, lines: Sequence[Line]) -> None:
    """Have the lines of a stage in the store. Flushed with the result that needs them."""
    digest = stage_digest(lines)
    # What a loss of power has left empty is written again.
    if read_stage_lines(store, digest) is not None:
        return
    os.makedirs(store.stages, exist_ok=True)
    beside = "%s/%s" % (store.tmp, maker_name("stage"))
    text = json.dumps(list(lines), ensure_ascii=False, indent=0) + "\n"
    try:
        write_file(beside, text.encode("utf-8", "surrogatepass"))
        os.rename(beside, store.stage(digest))
    except BaseException:
        remove_tree(beside)
        raise


def read_stage_lines(store: Store, digest: str) -> tuple[Line, ...] | None:
    """The lines with this digest; None where they are not, or are others."""
    data = read_if_there(store.stage(digest))
    if data is None:
        return None
    try:
        lines = parse_lines(json.loads(data.decode("utf-8", "surrogatepass")))
    except (ValueError, RecursionError):
        return None
    return lines if stage_digest(lines) == digest else None
