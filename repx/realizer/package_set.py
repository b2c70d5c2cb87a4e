"""What realizing asks of a package set; does not know how any package set works."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from repx.model.closure import Closure
from repx.model.software import Software, SoftwareResolver
from repx.store.writer import StoreWriter


class PackageSet(SoftwareResolver, Protocol):
    """A resolver whose software can be made ready for a Lab."""

    def realize(
        self, software: Iterable[Software], writer: StoreWriter, watch: Callable[[str], None]
    ) -> Closure | None:
        """Have what was resolved in the store, built where it has to be; None when nothing travels with a Lab.

        `watch` hears how far it is. Raises SoftwareError, or CheckError for scripts that use what is not there.
        """
        ...
