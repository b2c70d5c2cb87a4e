"""Which files of the user's an experiment was made of; reads them, and knows no Lab."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from repx.agent.base.digest import file_sha256
from repx.dsl.experiment import Lab
from repx.dsl.node import Callee
from repx.dsl.scatter import ScatterGather
from repx.dsl.stage import Stage
from repx.model.sources import Source, Sources


def sources_of_lab(lab: Lab, callees: Iterable[Callee]) -> Sources:
    """The experiment, what it imported, and what its stages are written in, as far as it lies in the same folder."""
    file = Path(lab.location.file)
    is_file = file.is_file()
    folder = os.path.realpath(file.parent if is_file else Path.cwd())
    found = {os.path.realpath(one) for one in lab.modules}
    for callee in callees:
        for stage in callee.stages() if isinstance(callee, ScatterGather) else (callee,):
            if isinstance(stage, Stage):
                found.update(os.path.realpath(one) for one in stage.source_files)
    files = {os.path.relpath(one, folder): one for one in sorted(found) if one.startswith(folder + os.sep)}
    read = {path: file_sha256(one) for path, one in files.items() if Path(one).is_file()}
    experiment = Source(file.name, file_sha256(str(file))) if is_file else None
    return Sources(experiment, tuple(Source(path, digest) for path, digest in read.items() if path != file.name))
