"""The schedule of one machine: which ready unit starts next, within slots, CPUs and memory; pure, starts nothing.

Units of equal needs wait in one queue, so that a decision looks at the few distinct needs and not at every unit.
"""

from __future__ import annotations

import heapq

from repx.runtime.needs import Needs

OVERTAKES = 4
"""How often per slot the first unit in order may be overtaken by units that fit where it does not."""


class Schedule:
    """Ready units in order: one run's before the next one's, and as they became ready within a run.

    One that does not fit is overtaken by others, but not for ever. A unit that needs more than there is may run when
    nothing else does.
    """

    def __init__(self, slots: int, cpus: int, mem: int) -> None:
        self.slots = slots
        self.cpus = cpus
        self.mem = mem
        self.running = 0
        self._used_cpus = 0
        self._used_mem = 0
        self._queues: dict[Needs, list[tuple[int, int, int]]] = {}
        self._sequence = 0
        self._overtaken: tuple[int, int] = (-1, 0)

    def add(self, unit: int, run: int, needs: Needs) -> None:
        """A unit has become ready."""
        self._sequence += 1
        heapq.heappush(self._queues.setdefault(needs, []), (run, self._sequence, unit))

    def next(self) -> int | None:
        """The unit to start now, which is then taken to be running; None when none fits."""
        if self.running >= self.slots:
            return None
        first = best = None
        for needs, queue in self._queues.items():
            if first is None or queue[0] < self._queues[first][0]:
                first = needs
            if self._fits(needs) and (best is None or queue[0] < self._queues[best][0]):
                best = needs
        if best is None or first is None:
            return None
        if best != first:
            # The first does not fit now. Others may go before it for a while; then they wait until it does.
            unit = self._queues[first][0][2]
            self._overtaken = (unit, self._overtaken[1] + 1 if self._overtaken[0] == unit else 1)
            if self._overtaken[1] > OVERTAKES * self.slots:
                return None
        _, _, unit = heapq.heappop(self._queues[best])
        if not self._queues[best]:
            del self._queues[best]
        self.take(best)
        return unit

    def ahead(self, needs: Needs) -> int | None:
        """A unit that may take the place of a running one with the same needs the moment that ends; counted by `take`.

        None while units of other needs wait: whose turn it is then is known only when there is room.
        """
        if len(self._queues) != 1 or needs not in self._queues:
            return None
        queue = self._queues[needs]
        _, _, unit = heapq.heappop(queue)
        if not queue:
            del self._queues[needs]
        return unit

    def take(self, needs: Needs) -> None:
        """A unit that was handed out ahead runs now."""
        self.running += 1
        self._used_cpus += needs.cpus
        self._used_mem += needs.mem

    def release(self, needs: Needs) -> None:
        """A unit with these needs has ended."""
        self.running -= 1
        self._used_cpus -= needs.cpus
        self._used_mem -= needs.mem

    def drain(self) -> list[int]:
        """Take all waiting units out: none of them will start."""
        units = [unit for queue in self._queues.values() for _, _, unit in queue]
        self._queues.clear()
        return units

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def _fits(self, needs: Needs) -> bool:
        if self.running == 0:
            return True
        return self._used_cpus + needs.cpus <= self.cpus and self._used_mem + needs.mem <= self.mem
