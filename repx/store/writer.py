"""A store as it is to whoever adds to it: its paths, the one way to a name in it, what is known of its objects."""

from __future__ import annotations

from dataclasses import dataclass

from repx.agent.base.layout import Store
from repx.agent.base.publisher import Publisher
from repx.agent.makers import maker_name
from repx.store.memory import Memory, open_memory


@dataclass(frozen=True, slots=True)
class StoreWriter:
    """For one realization of one experiment."""

    store: Store
    publisher: Publisher
    memory: Memory

    def new_place(self, kind: str) -> str:
        """A path for something to be made at; whoever clears up after the dead can tell when its maker is."""
        return f"{self.store.tmp}/{maker_name(kind)}"


def open_writer(store: Store, experiment: str) -> StoreWriter:
    """A writer for the experiment that is named by an absolute path: that of its file, or of a notebook's folder."""
    return StoreWriter(store, Publisher(store.tmp), open_memory(store, experiment))
