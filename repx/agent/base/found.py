"""Results found on disk by job, index and key, complete or collected; has no format of its own and writes nothing."""

from __future__ import annotations

import os
import re
import sys

from repx.agent.base.files import read_if_there
from repx.agent.base.layout import COLLECTED, FAILURE, OUT, RECORD, realization
from repx.agent.base.record import Outcome, OutputRecord, read_outcome


def read_outputs(directory: str, key: str) -> dict[str, OutputRecord] | None:
    """The outputs of a success with this key whose record and outputs stand in `directory`, in the quickest way.

    None may also mean that its record is written in another way than this one, or says something unusual: ask
    `find_realization` then.
    """
    data = read_if_there(directory + "/" + RECORD)
    if data is None:
        return None
    match = _SUCCESS.search(data.partition(b"\n")[0].decode("ascii", "replace"))
    if match is None or match[1] != key:
        return None
    outputs = {}
    for name, path, digest, size in _OUTPUT.findall(match[2]):
        # It follows links, as no other look does, but it is the quickest: an output that leads nowhere is unusual.
        if not os.access("%s/%s/%s" % (directory, OUT, path), os.F_OK):
            return None
        # Jobs of a stage share names and paths, which are kept once.
        outputs[sys.intern(name)] = OutputRecord(sys.intern(path), digest, int(size))
    return None if ".." in match[2] else outputs


def find_realization(job_directory: str, index: int, key: str) -> tuple[str, Outcome] | None:
    """The directory and outcome of a complete realization with this key, wherever it stands; else None."""
    aside = realization(job_directory, index, key)
    for directory in (job_directory, aside) if index == 0 else (aside,):
        outcome = read_outcome(directory + "/" + RECORD)
        if outcome is not None and outcome.key == key and outcome.realization == index:
            # One that was on its way to its other place when its mover was killed has a record at both.
            if is_intact(directory, outcome):
                return directory, outcome
    return None


def find_collected(job_directory: str, index: int, key: str) -> tuple[str, Outcome] | None:
    """The directory and outcome of a realization with this key whose outputs were collected; else None."""
    aside = realization(job_directory, index, key)
    for directory in (job_directory, aside) if index == 0 else (aside,):
        outcome = read_outcome(directory + "/" + COLLECTED)
        if outcome is not None and (outcome.key, outcome.realization) == (key, index):
            return directory, outcome
    return None


def is_intact(directory: str, outcome: Outcome) -> bool:
    """Whether every output a record names is still there: outputs removed by hand are a job to do again."""
    out = directory + "/" + OUT + "/"
    return all(os.path.lexists(out + output.path) for output in outcome.outputs.values())


def failure_of(job_directory: str) -> Outcome | None:
    """The outcome of the last failure, if it has not been followed by a success."""
    return read_outcome(job_directory + "/" + FAILURE)


_OUTPUT_FIELDS = ("[A-Za-z0-9_]+", "[A-Za-z0-9_][A-Za-z0-9_./-]*", "[0-9a-f]{64}", "[0-9]+")
_OUTPUT_SHAPE = '"%s":{"path":"%s","digest":"%s","size":%s}'
_OUTPUT = re.compile(_OUTPUT_SHAPE % tuple("(%s)" % field for field in _OUTPUT_FIELDS))
# Quotes within texts are escaped, so these are the record's own keys and nothing that a text imitates.
_SUCCESS = re.compile(
    r'"key":"([0-9a-z]{32})","state":"succeeded","lab":"[0-9a-z]*","inputs":{[^{}]*},'
    r'"outputs":{((?:%s,?)*)},"index":0}\Z' % (_OUTPUT_SHAPE % _OUTPUT_FIELDS)
)
