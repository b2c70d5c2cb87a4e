"""What is wrong with a Lab, for whoever tells people: the files, the complaints, and what kind of wrong it is."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Callable, Literal

Complaint = tuple[str, str]
"""A file of the Lab, and what is wrong with it."""

Kind = Literal["no Lab", "unreadable", "other format", "broken"]

# With these a disk says what is there; with all others, why it does not tell.
_TOLD = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EXDEV, errno.EISDIR)


class LabFault(Exception):
    """A Lab cannot be read as one. `root` is its directory as it was given."""

    def __init__(self, root: str, complaints: Sequence[Complaint], kind: Kind = "broken") -> None:
        super().__init__("%s: %s" % (root, "; ".join("%s: %s" % one for one in complaints)))
        self.root = root
        self.complaints = tuple(complaints)
        self.kind = kind


AsError = Callable[[LabFault], Exception]
"""What is raised for a fault: where people are told, an error of ours."""


def as_it_is(fault: LabFault) -> Exception:
    """The fault itself."""
    return fault


def kind_of(code: int) -> Kind:
    """Whether an error of the disk says that the Lab is broken, or that it cannot be read here."""
    return "broken" if code in _TOLD else "unreadable"
