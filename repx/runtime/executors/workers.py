"""The workers of one run on this machine: started when first needed, spoken to in JSON lines; decides nothing."""

from __future__ import annotations

import contextlib
import math
import os
import selectors
import sys
import threading
from collections import deque
from pathlib import Path

import repx.agent
from repx.agent.base.files import remove_tree
from repx.agent.base.layout import Store, slot
from repx.agent.claim import HEARTBEAT_S
from repx.agent.makers import maker_name
from repx.agent.messages import Answer, Message, Trouble, UseLab, UsePackage, UseStage, decode_answer, encode_message
from repx.agent.recovery import recover_workers
from repx.agent.runner import make_runner_directory, touch_heartbeat
from repx.process import Conversation
from repx.store.location import store_error


class Worker:
    """One slot: a process of the agent, and what it is doing."""

    def __init__(self, process: Conversation, number: int) -> None:
        self.process = process
        self.number = number
        self.unit: int | None = None
        self.ahead: deque[int] = deque()
        """Units it has been given already, each to begin with when it has done the one before."""
        self.last_s = math.inf
        """Seconds that its last unit took."""
        self.began = 0.0
        """When it began with its unit, by the clock of `time.monotonic`."""
        self.since = 0.0
        """When that was, in seconds since 1970."""
        self.told: set[object] = set()
        self._unsent = bytearray()
        self._unread = b""

    def tell(self, message: Message) -> bool:
        """Send one message; whether all is sent. A worker that has died is noticed when its answers end."""
        self._unsent += encode_message(message)
        return self.send()

    def send(self) -> bool:
        """Send what its pipe takes of what it has not been sent yet; whether that is all."""
        del self._unsent[: self.process.write(self._unsent)]
        return not self._unsent

    def answers(self, data: bytes) -> list[Answer]:
        """The answers that have come whole with these bytes."""
        *lines, self._unread = (self._unread + data).split(b"\n")
        return [decode_answer(line) for line in lines]


class WorkerPool:
    """Up to `size` workers on one store, and the heartbeat that keeps their claims alive for other machines."""

    def __init__(self, store: Store, size: int) -> None:
        self._store = store
        self._size = size
        self.runner = maker_name("run")
        self._directory = f"{store.tmp}/{self.runner}"
        self._selector = selectors.DefaultSelector()
        self.workers: list[Worker] = []
        self._idle: list[Worker] = []
        self._begun = 0
        self._trouble: list[str] = []
        self._stopping = threading.Event()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)

    def wake(self) -> None:
        """Let a wait end at once; a signal handler may call it."""
        with contextlib.suppress(OSError):
            os.write(self._wake_write, b"!")

    def idle(self) -> Worker | None:
        """A worker with nothing to do, started if there may be one more."""
        if self._idle:
            return self._idle.pop()
        if len(self.workers) >= self._size:
            return None
        return self._start()

    def rest(self, worker: Worker) -> None:
        """A worker has done its unit."""
        worker.unit = None
        self._idle.append(worker)

    def tell(self, worker: Worker, message: Message) -> None:
        """Send one message to a worker. What its pipe does not take now is sent while answers are waited for."""
        if not worker.tell(message) and worker.process.stdin not in self._selector.get_map():
            self._selector.register(worker.process.stdin, selectors.EVENT_WRITE, worker)

    def tell_once(self, worker: Worker, message: UseLab | UseStage | UsePackage) -> None:
        """Send a message that holds until the worker ends, unless it has had it."""
        what = (type(message), message[:2])
        if what not in worker.told:
            worker.told.add(what)
            self.tell(worker, message)

    def wait(self, timeout_s: float | None) -> list[tuple[Worker, Answer | None]]:
        """Answers that have come, each with its worker; None instead of an answer means that the worker has died."""
        answers: list[tuple[Worker, Answer | None]] = []
        for key, _ in self._selector.select(timeout_s):
            worker: Worker | None = key.data
            if worker is None:
                os.read(self._wake_read, 4096)
            elif worker not in self.workers:
                # It has ended, which its answers told in this same round.
                continue
            elif key.fd == worker.process.stdin:
                if worker.send():
                    self._selector.unregister(key.fd)
            elif data := worker.process.read():
                answers.extend((worker, answer) for answer in worker.answers(data))
            else:
                self._remove(worker)
                answers.append((worker, None))
        return answers

    def tell_all(self, message: Message) -> None:
        """Send one message to every worker."""
        for worker in self.workers:
            self.tell(worker, message)

    def close(self) -> list[str]:
        """Let every worker commit and leave; what they had to complain about."""
        trouble = self._trouble
        for worker in self.workers:
            worker.process.close_stdin()
        for worker in self.workers:
            for answer in worker.answers(worker.process.drain()):
                if isinstance(answer, Trouble):
                    trouble.append(answer.text)
        self.workers = []
        self._stopping.set()
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        with contextlib.suppress(OSError):
            remove_tree(self._directory)
        return trouble

    def _start(self) -> Worker:
        self._begin()
        # -I and -S: nothing of this environment, of where this process stands, or of what is installed is imported.
        argv = [sys.executable, "-I", "-S", "-c", _AGENT, "worker", self._store.root, self.runner]
        home = str(Path(repx.agent.__file__).parent.parent.parent)
        # No number twice: the slot of one that died is not used again.
        number = self._begun
        self._begun += 1
        worker = Worker(Conversation([*argv, str(number)], {"REPX_HOME": home, "LANG": "C.UTF-8"}), number)
        self.workers.append(worker)
        self._selector.register(worker.process.stdout, selectors.EVENT_READ, worker)
        return worker

    def _remove(self, worker: Worker) -> None:
        """A worker has ended: keep what it had finished, end what it had begun."""
        for descriptor in (worker.process.stdout, worker.process.stdin):
            if descriptor in self._selector.get_map():
                self._selector.unregister(descriptor)
        self.workers.remove(worker)
        if worker in self._idle:
            self._idle.remove(worker)
        worker.process.close_stdin()
        worker.process.drain()
        self._recover(worker)

    def slot_of(self, worker: Worker) -> str:
        """The directory of a worker's slot, where its claim stands."""
        return slot(self._directory, worker.number)

    def _recover(self, worker: Worker) -> None:
        """Keep what a worker had finished, end what it had begun. One that left by itself has left nothing."""
        directory = self.slot_of(worker)
        try:
            recover_workers(self._store, [directory])
            remove_tree(directory)
        except OSError as error:
            self._trouble.append(f"the results of a killed worker could not be kept: {error}")

    def _begin(self) -> None:
        try:
            self._store.create()
            make_runner_directory(self._store, self.runner)
        except OSError as error:
            raise store_error(error, self._store) from None
        if self._begun == 0:
            threading.Thread(target=self._beat, daemon=True).start()

    def _beat(self) -> None:
        while not self._stopping.wait(HEARTBEAT_S):
            with contextlib.suppress(OSError):
                touch_heartbeat(self._directory)


# Only the agent is imported: a package object stands in for repx, whose own __init__ a worker has no use for, and whose
# size would be the floor of every job's measured memory.
_AGENT = """
import os, sys, types
home = os.environ.pop("REPX_HOME")
package = types.ModuleType("repx")
package.__path__ = [home + "/repx"]
sys.modules["repx"] = package
from repx.agent.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
