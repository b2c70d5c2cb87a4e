"""A job's place to be done by hand: its inputs, params and $out, and a shell as the job itself would start there.

It is what a worker prepares, in a slot of its own; what is made there goes with it, unless it is kept.
"""

from __future__ import annotations

import _thread
import contextlib
import json
import os
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from repx.agent.base.files import remove_tree, write_file
from repx.agent.base.layout import Store, slot
from repx.agent.base.record import Attempt
from repx.agent.claim import HEARTBEAT_S
from repx.agent.execution import discard_spoiled
from repx.agent.host_path import find_command
from repx.agent.input_marks import changed_inputs, input_marks
from repx.agent.job import BOOT, HOST
from repx.agent.makers import maker_name
from repx.agent.messages import JobAnswer
from repx.agent.resolved_job import ResolvedJob
from repx.agent.runner import make_runner_directory, touch_heartbeat
from repx.agent.sandbox import INSIDE, Command, bwrap_words
from repx.agent.scratch import Scratch, assignments, environment, quote
from repx.agent.slot import Slot

SHELL_FILE = "debug.sh"
"""What the shell reads first, in the scratch."""


class Bench:
    """One job, ready to be done by hand; a context, at whose end all that was not kept goes."""

    def __init__(self, store: Store, job: ResolvedJob) -> None:
        self._store = store
        self.job = job
        self._runner = maker_name("run")
        self._directory = make_runner_directory(store, self._runner)
        self._slot = Slot(store, slot(self._directory, 0), self._runner, 0, None, lambda *_: False)
        self._ended = threading.Event()
        _thread.start_new_thread(self._beat, ())
        before = os.getcwd()
        try:
            self.scratch: Scratch = self._slot.prepare(job)
        finally:
            os.chdir(before)
        # In a sandbox they are read-only.
        self._marks = input_marks(job.inputs) if job.start.sandbox is None else {}
        self._began = time.time()
        write_file(self.scratch.directory + "/" + SHELL_FILE, self._shell_text().encode("utf-8", "surrogateescape"))

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self.spoiled()
        self._ended.set()
        before = os.getcwd()
        trouble = self._slot.close()
        with contextlib.suppress(OSError):
            os.chdir(before)
        remove_tree(self._directory)
        if trouble:
            raise OSError(trouble[0])

    @property
    def inputs(self) -> Mapping[str, Any]:
        """Where each input is, as the job sees it: a path, a list of paths, or None."""
        with open(self.scratch.inputs_json.path, encoding="utf-8") as file:
            found: Mapping[str, Any] = json.load(file)
        return found

    @property
    def environment(self) -> Mapping[str, str]:
        """The whole environment of the job."""
        return environment(self.job, self.scratch)

    def outside(self, path: str) -> str:
        """Where something that the job sees at a path in its sandbox is outside of it."""
        for there, inside in self.scratch.shown:
            if path == inside or path.startswith(inside + "/"):
                return there + path[len(inside) :]
        return self.scratch.directory + path[len(INSIDE) :] if path.startswith(INSIDE + "/") else path

    def command(self, text: str | None) -> Command:
        """What starts a shell, or `text` in one, as the job would be; to be started in `scratch.out`."""
        box = self.job.start.sandbox
        shell = self._bash() if box is None else box.shell
        read = self._seen(self.scratch.directory + "/" + SHELL_FILE)
        argv = [shell, "--rcfile", read, "-i"] if text is None else [shell, "-c", ". %s\n%s" % (quote(read), text)]
        env = dict(self.environment)
        if text is None and "TERM" in os.environ:
            env["TERM"] = os.environ["TERM"]
        if box is None:
            return Command(argv, env)
        words = bwrap_words(box, self.scratch.directory, self.scratch.shown, env)
        return Command([box.program, "--args", "{descriptor}", "--", *argv], {}, words)

    def spoiled(self) -> Sequence[str]:
        """The inputs that were written to. What of them is another job's result is nobody's any more."""
        changed = changed_inputs(self._marks)
        discard_spoiled(self._store.outputs, changed)
        self._marks = {path: mark for path, mark in self._marks.items() if mark not in changed}
        return sorted({mark.input for mark in changed})

    def keep(self, how: str, *, replace: bool) -> JobAnswer:
        """Publish what is in `out` as the job's result, made by hand, and nobody else's."""
        attempt = Attempt(
            start=self._began, end=time.time(), host=HOST, boot=BOOT, exit=0, detail="made by hand: " + how
        )
        box = self.job.start.sandbox
        answer = self._slot.keep(self.job, attempt._replace(isolation="" if box is None else box.kind), replace=replace)
        self._slot.commit()
        return answer

    def _bash(self) -> str:
        found = find_command("bash", self.job.start.path) or find_command("bash", os.environ.get("PATH", os.defpath))
        if found is None:
            raise OSError("there is no bash among the job's programs")
        return os.path.realpath(found)

    def _seen(self, path: str) -> str:
        return path if self.job.start.sandbox is None else INSIDE + path[len(self.scratch.directory) :]

    def _shell_text(self) -> str:
        """Inputs, params and outputs as the script of a Bash stage has them, and how the job itself is run."""
        out = self._seen(self.scratch.out)
        outputs = {name: "%s/%s" % (out, path) for name, path in self.job.job.stage.outputs.items()}
        lines = [assignments(self.inputs, self.job.params), "out=%s" % quote(out)]
        lines += ["%s=%s" % (name, quote(path)) for name, path in outputs.items() if name.isidentifier()]
        lines.append("declare -A outputs=(%s)" % " ".join("[%s]=%s" % (quote(n), quote(p)) for n, p in outputs.items()))
        arguments = [out, *(self._seen(one.path) for one in (self.scratch.inputs_json, self.scratch.params_json))]
        words = " ".join(map(quote, [*self.job.start.argv, *arguments]))
        lines.append("run_job() { %s; }" % words)
        lines.append("PS1='%s$ '" % self.job.job.stage.name)
        return "\n".join(lines) + "\n"

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_S):
            with contextlib.suppress(OSError):
                self._slot.claim.touch()
                touch_heartbeat(self._directory)
