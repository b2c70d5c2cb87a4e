"""What may be called what: the texts that become directories and shell variables; knows no error of ours."""

from __future__ import annotations

import re

from repx.agent.base.digest import ID_LENGTH, NIX_ALPHABET
from repx.agent.base.files import is_inside

_PREFIX_LENGTH = len("store/") + ID_LENGTH + 1

_LONGEST = 150
"""Letters of a stage's, a run's or a version's name."""

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*\Z", re.ASCII)
_DIGEST = re.compile(rf"[{NIX_ALPHABET}]{{{ID_LENGTH}}}\Z", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}\Z", re.ASCII)
_JOB_ID = re.compile(
    rf"[{NIX_ALPHABET}]{{{ID_LENGTH}}}-[A-Za-z0-9][A-Za-z0-9._+-]*-[A-Za-z0-9][A-Za-z0-9._+]*\Z", re.ASCII
)
_STORED = re.compile(rf"store/[{NIX_ALPHABET}]{{{ID_LENGTH}}}-[^/\0]+\Z", re.ASCII)


def is_variable(text: object) -> bool:
    """Whether an input, an output or a param may be called so, as far as its letters go."""
    return isinstance(text, str) and bool(_IDENTIFIER.match(text))


def is_file_name(text: object) -> bool:
    """Whether a stage, a run or a version may be called so."""
    return isinstance(text, str) and bool(_NAME.match(text)) and len(text) <= _LONGEST


def is_job_id(text: object) -> bool:
    """Whether `text` is a whole job id; nothing else may stand for one in a path."""
    return isinstance(text, str) and bool(_JOB_ID.match(text)) and len(text) <= ID_LENGTH + 2 * (_LONGEST + 1)


def is_digest(text: object) -> bool:
    """Whether `text` is the short digest that names a stage, a recipe or a key."""
    return isinstance(text, str) and bool(_DIGEST.match(text))


def is_sha256(text: object) -> bool:
    """Whether `text` is a SHA-256 in lowercase hex."""
    return isinstance(text, str) and bool(_SHA256.match(text))


def is_place(text: object) -> bool:
    """Whether `text` may be a path below a directory: the text alone, for links are followed elsewhere."""
    return isinstance(text, str) and is_inside(text)


def shown_name(text: str) -> str:
    """The name that a stored path had before it was stored; any other text as it is."""
    return text[_PREFIX_LENGTH:] if text.startswith("store/") and _STORED.match(text) else text


def is_stored_place(text: object) -> bool:
    """Whether `text` is where a Lab has a stored path: `store/<digest>-<name>`."""
    return isinstance(text, str) and bool(_STORED.match(text))
