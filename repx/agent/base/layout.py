"""Every path of a store, spelled once; reads and writes nothing.

<store>/labs/<lab id>/                       Labs that were realized here: their word is the owner's
<store>/foreign/<lab id>/                    Labs that were brought here: whole, but they speak for themselves alone
<store>/objects/<digest>-<name>              files and trees stored once, shared by Labs
<store>/outputs/<job id>/out                 the current result of realization 0
                        /record.jsonl        its record; there exactly when the result is complete
                        /failure.jsonl       the record of the last failure, until a success
                        /failed/             what the last failed attempt left in $out
                        /pending             a record whose result is in place but not yet flushed
                        /collected.jsonl     the record of a result whose outputs were collected
                        /items               the work items of a collected scatter
                        /claim               a hard link to the claim file of the slot that works on it
                        /claim.dead-<random> a claim that somebody is taking over, or was killed over that
                        /<index>-<key8>/     the same files for other realizations and displaced results
<store>/keys/<resolved key>                  hard link to a record
<store>/stages/<digest>                      the lines that identify a stage; records name it
<store>/gcroots/auto/{links,labs,calls}/     links to what must be kept: made on the way,
                /pinned/<name>               and by the user
<store>/verified/<digest of a path>          what a Lab's files looked like when they were last hashed
<store>/quarantine/<name>                    what was found damaged, put aside; nobody's any more
<store>/tmp/<maker>/                         a runner's: heartbeat, slot-<n>/{in,out,tmp,home}, logs, claim of each
           /use,<maker>                      says which Lab somebody is using now
           /trash,<maker>                    what is being deleted
"""

from __future__ import annotations

import os

from repx.agent.base.digest import digest_of_text
from repx.agent.base.names import is_digest, is_job_id

RECORD = "record.jsonl"
FAILURE = "failure.jsonl"
PENDING = "pending"
COLLECTED = "collected.jsonl"
ITEMS = "items"
CLAIM = "claim"
OUT = "out"
FAILED = "failed"
HEARTBEAT = "heartbeat"


class Store:
    """The names below one base path. A relative base is refused by whoever parses it, not here."""

    __slots__ = ("foreign", "gcroots", "keys", "labs", "objects", "outputs", "root", "stages", "tmp", "verified")

    def __init__(self, root: str) -> None:
        self.root = root
        self.labs = root + "/labs"
        self.foreign = root + "/foreign"
        self.objects = root + "/objects"
        self.outputs = root + "/outputs"
        self.keys = root + "/keys"
        self.stages = root + "/stages"
        self.gcroots = root + "/gcroots"
        self.tmp = root + "/tmp"
        self.verified = root + "/verified"

    def directories(self) -> list[str]:
        """The directories a store consists of, parents first."""
        auto, pinned = self.gcroots + "/auto", self.gcroots + "/pinned"
        shared = [self.labs, self.foreign, self.objects, self.outputs, self.keys, self.stages]
        return [self.root, *shared, auto, pinned, self.tmp, self.verified]

    def create(self) -> None:
        """Make what is missing of `directories`; OSError when that cannot be done."""
        for directory in self.directories():
            os.makedirs(directory, exist_ok=True)

    def job(self, job_id: str) -> str:
        """Everything that is kept of a job. ValueError for what is not a job id: it could be any directory."""
        if not is_job_id(job_id):
            raise ValueError("%r is not a job id" % job_id)
        return "%s/%s" % (self.outputs, job_id)

    def stage(self, digest: str) -> str:
        """The lines of a stage."""
        return "%s/%s" % (self.stages, digest)

    def key(self, key: str) -> str:
        """The record of a resolved key. ValueError for what is not one."""
        if not is_digest(key):
            raise ValueError("%r is not a key" % key)
        return "%s/%s" % (self.keys, key)


def realization(job_directory: str, index: int, key: str) -> str:
    """Where a realization stands when it is not the current one of index 0."""
    return "%s/%d-%s" % (job_directory, index, key[:8])


def slot(runner_directory: str, number: int) -> str:
    """The scratch directory of one slot of a runner."""
    return "%s/slot-%d" % (runner_directory, number)


def short_name(slot_directory: str) -> str:
    """A second, short name for a slot's directory; the runner's name is in it, which nobody can guess."""
    return "/tmp/repx-%s" % digest_of_text("/".join(slot_directory.split("/")[-2:]))[:12]
