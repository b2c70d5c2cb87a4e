"""Orders of a worker as they come in, and the end of its child, in one wait; does none of them."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections import deque
from collections.abc import Sequence

from repx.agent.messages import Forget, JobOrder, Message, Stop, decode_message


class Orders:
    """Orders as they come in, and the end of a child, in one wait. `ended` after a stop or when the pipe closes.

    `dropped` are the orders that were to be forgotten before anybody took them by `next`.
    """

    def __init__(self, descriptor: int) -> None:
        self.ended = False
        self.dropped: list[JobOrder] = []
        self._descriptor = descriptor
        self._buffer = b""
        self._ready: deque[Message] = deque()
        self._wakeup, signalled = os.pipe()
        for end in (self._wakeup, signalled):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(signalled, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._stop)
        self._poll = select.poll()
        self._poll.register(self._wakeup, select.POLLIN)
        self._poll.register(descriptor, select.POLLIN)

    @property
    def has_next(self) -> bool:
        """Whether `next` has an answer at once."""
        return bool(self._ready)

    def next(self, timeout_s: float | None) -> Message | None:
        """The next order; None when `timeout_s` has passed, orders were dropped, or none will come."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not (self._ready or self.dropped or self.ended):
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return None
            self.wait(left)
        if self.ended or self.dropped or not self._ready:
            return None
        return self._ready.popleft()

    def wait(self, timeout_s: float | None, also: Sequence[int] = ()) -> None:
        """Sleep until an order comes, a child ends, one of `also` can be read, or the timeout; take in what came."""
        if self.ended:
            # The pipe stays readable for ever after its end: only children matter now.
            time.sleep(0.005)
            return
        milliseconds = None if timeout_s is None else max(0, int(timeout_s * 1000) + 1)
        for descriptor in also:
            self._poll.register(descriptor, select.POLLIN)
        try:
            found = self._poll.poll(milliseconds)
        finally:
            for descriptor in also:
                self._poll.unregister(descriptor)
        for descriptor, _ in found:
            if descriptor == self._descriptor:
                self._read()
            elif descriptor == self._wakeup:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wakeup, 4096)

    def _read(self) -> None:
        data = os.read(self._descriptor, 1 << 16)
        if not data:
            self.ended = True
            return
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            message = decode_message(line)
            if isinstance(message, Stop):
                self.ended = True
            elif isinstance(message, Forget):
                self.dropped += [one for one in self._ready if isinstance(one, JobOrder)]
                self._ready = deque(one for one in self._ready if not isinstance(one, JobOrder))
            else:
                self._ready.append(message)

    def _stop(self, *_: object) -> None:
        self.ended = True
