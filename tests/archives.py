"""A directory as one archive, as an engine is given an image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from repx.agent.base.tar import archive_stream


def directory_stream(directory: str | Path) -> Iterator[bytes]:
    """All files below a directory, links followed."""
    top = Path(directory)
    return archive_stream({str(path.relative_to(top)): str(path) for path in top.rglob("*") if path.is_file()})
