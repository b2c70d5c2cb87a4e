"""The inputs of a job in a sandbox, which sees nothing else of the store's results; does not know how one is started.

A file is hard-linked into the slot's `in/`, which is shown whole: every mount costs a quarter of a millisecond, and a
job may take a thousand files. Directories are mounted, and so is a file that cannot be linked. After very many mounts
the files of further directories are linked as well.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator

from repx.agent.base.files import link_tree, write_file
from repx.agent.resolve import Given, InputValue, ItemInput, ResultsInput
from repx.agent.sandbox import INSIDE, STORE_DIR, Sandbox

MOST_MOUNTS = 1000
"""Mounts of one job: bubblewrap takes 9,000 words in all, and three make a mount."""


class SandboxInputs:
    """Places inputs below `directory`; `binds` are the mounts that are needed too: (path outside, path inside).

    A job that takes the results of a run finds them where the run's file says, so `results` is made to look like the
    store's `outputs/`, with those in it and no others.
    """

    def __init__(self, directory: str, results: str, box: Sandbox) -> None:
        self._directory = directory
        self._results = results
        self._box = box
        self.binds: list[tuple[str, str]] = []

    def place(self, name: str, value: Given) -> str | list[str] | None:
        """Where an input is in the sandbox: a path, a list of paths, or None."""
        if value is None:
            return None
        if isinstance(value, list):
            return [self._one("%s/%d" % (name, number), one) for number, one in enumerate(value)]
        return self._one(name, value)

    def _one(self, folder: str, value: InputValue) -> str:
        outside = "%s/%s/%s" % (self._directory, folder, value.file)
        inside = "%s/in/%s/%s" % (INSIDE, folder, value.file)
        os.makedirs(os.path.dirname(outside), exist_ok=True)
        if isinstance(value, ItemInput):
            write_file(outside, value.text.encode())
            return inside
        path = value.path
        store = self._box.store + "/"
        if path.startswith(store) and self._box.kind == "bwrap":
            # The whole of it stands at /nix/store already.
            os.symlink(STORE_DIR + "/" + path[len(store) :], outside)
            return inside
        self._link(os.path.realpath(path), outside, inside)
        if isinstance(value, ResultsInput):
            self._show_results(path)
        return inside

    def _link(self, path: str, outside: str, inside: str) -> None:
        if os.path.isdir(path):
            if len(self.binds) >= MOST_MOUNTS:
                link_tree(path, outside)
                return
            os.mkdir(outside)
        elif self._is_hidden(path):
            shutil.copyfile(path, outside)
            return
        else:
            try:
                os.link(path, outside)
                return
            except OSError:
                # Another file system, or somebody else's file.
                write_file(outside, b"")
        self.binds.append((path, inside))

    def _is_hidden(self, path: str) -> bool:
        """Whether root has a file for itself that the ordinary user of a container is to read."""
        return self._box.kind != "bwrap" and os.geteuid() == 0 and not os.stat(path).st_mode & 0o004

    def _show_results(self, path: str) -> None:
        outputs = self._box.outputs
        os.makedirs(self._results, exist_ok=True)
        for place in _outputs_in(path):
            if not place.startswith(outputs + "/"):
                continue
            target = self._results + place[len(outputs) :]
            if not os.path.lexists(target):
                os.makedirs(os.path.dirname(target), exist_ok=True)
                link_tree(place, target)
        if (self._results, outputs) not in self.binds:
            self.binds.append((self._results, outputs))


def _outputs_in(path: str) -> Iterator[str]:
    """The paths that a run's results name, one job a line."""
    with open(path, encoding="utf-8", errors="surrogatepass") as lines:
        for line in lines:
            if line.startswith('{"stage"'):
                yield from json.loads(line.rstrip().rstrip(",")).get("outputs", {}).values()
