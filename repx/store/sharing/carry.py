"""Results carried to where they are missing, each verified on arrival; knows no kind of store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from repx.agent.base.files import remove_tree
from repx.agent.resolve import content_lines
from repx.errors import StoreError, plural
from repx.lab.selection import select
from repx.lab.titles import Titles
from repx.store.sharing.receiver import Receiver
from repx.store.sharing.sender import DamagedError, Sender
from repx.store.sharing.units import Unit, units
from repx.store.sharing.view import Look

_SHOWN = 10


@dataclass(slots=True)
class Carried:
    """What has come of carrying: how many results were taken, were there, or are missing where they were looked for.

    `size` is the bytes of what was taken. Of `collected` ones only the record was there, and was taken. `others` take
    inputs here that are others than there. `damaged` are titles of results with what is wrong with them, `busy` titles
    of those that somebody else is making.
    """

    taken: int = 0
    collected: int = 0
    size: int = 0
    there: int = 0
    missing: int = 0
    others: int = 0
    busy: list[str] = field(default_factory=list)
    damaged: list[tuple[str, str]] = field(default_factory=list)

    def damage(self) -> StoreError | None:
        """The error for what could not be taken because it was damaged; all else has been taken."""
        if not self.damaged:
            return None
        count = len(self.damaged)
        facts: list[tuple[str, object]] = list(self.damaged[:_SHOWN])
        if count > _SHOWN:
            facts.append(("…", f"and {count - _SHOWN} more"))
        return StoreError(
            f"{count} {plural('result', count)} {'is' if count == 1 else 'are'} damaged where "
            f"{'it comes' if count == 1 else 'they come'} from, and {'was' if count == 1 else 'were'} not taken",
            facts=facts,
            hint="the others were taken; where it was made, run the job again: repx run --force JOB",
        )


def carry(names: Sequence[str], sender: Sender, receiver: Receiver, watch: Callable[[str], None]) -> Carried:
    """Bring the results of what is named, and of all that it takes, to where they are missing.

    Raises UsageError for an unknown name, StoreError and OSError where a store cannot be read or written; what had
    arrived whole by then stays.
    """
    carried = Carried()
    lab = receiver.lab
    titles = Titles(lab.job)
    jobs = select(lab, names).jobs
    with receiver:
        for unit in units(lab, jobs, receiver.items, sender.added):
            _carry_one(unit, sender, receiver, carried, titles, watch)
    carried.taken, carried.size = receiver.taken, receiver.size
    carried.there += receiver.met
    carried.collected = receiver.collected
    carried.busy = [titles.of(one.job, one.realization) for one in receiver.busy]
    return carried


def _carry_one(
    unit: Unit, sender: Sender, receiver: Receiver, carried: Carried, titles: Titles, watch: Callable[[str], None]
) -> None:
    expected = receiver.expect(unit)
    here = None if expected is None else expected.made
    if here is not None and not here.is_collected:
        carried.there += 1
        return
    offer = sender.offer(unit)
    if here is not None and (offer is None or offer.made.is_collected):
        carried.there += 1
        return
    if offer is None:
        carried.missing += 1
        return
    if expected is None or content_lines(expected.resolved.inputs) != content_lines(offer.inputs):
        carried.others += 1
        return
    watch(f"{receiver.taken} results, now {_title(titles, expected)}")
    place = receiver.new_place()
    try:
        parcel = sender.fetch(unit, offer, place)
    except DamagedError as error:
        remove_tree(place)
        carried.damaged.append((_title(titles, expected), str(error)))
        return
    except BaseException:
        remove_tree(place)
        raise
    receiver.take(expected, parcel)


def _title(titles: Titles, expected: Look) -> str:
    return titles.of(expected.job, expected.realization)
