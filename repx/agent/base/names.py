"""What may be called what: the texts that become directories and shell variables; knows no error of ours."""

from __future__ import annotations

import re

from repx.agent.base.digest import ID_LENGTH, NIX_ALPHABET
from repx.agent.base.files import is_inside

_PREFIX_LENGTH = len("store/") + ID_LENGTH + 1

JOB_ID_PATTERN = rf"[{NIX_ALPHABET}]{{{ID_LENGTH}}}-[A-Za-z0-9][A-Za-z0-9._+-]*-[A-Za-z0-9][A-Za-z0-9._+]*"
"""What a job id looks like, as a regular expression."""

_LONGEST = 150
"""Letters of a stage's, a run's or a version's name."""

JOB_ID_LENGTH = 255
"""Letters of a job id: it is the name of a directory (NAME_MAX, limits.h)."""

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*\Z", re.ASCII)
_DIGEST = re.compile(rf"[{NIX_ALPHABET}]{{{ID_LENGTH}}}\Z", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}\Z", re.ASCII)
_JOB_ID = re.compile(JOB_ID_PATTERN + r"\Z", re.ASCII)
_STORE_PATH = re.compile(rf"/nix/store/[{NIX_ALPHABET}]{{32}}-[0-9a-zA-Z+._?=-]{{1,211}}(?:/|\Z)", re.ASCII)
_STORED = re.compile(rf"store/[{NIX_ALPHABET}]{{{ID_LENGTH}}}-[^/\0]+\Z", re.ASCII)

_OUTPUT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,149}\Z")


def is_output_name(text: object) -> bool:
    """The name of an output: a variable's, or one with dots and hyphens, which is found in a mapping alone."""
    return isinstance(text, str) and _OUTPUT_NAME.match(text) is not None


def is_variable(text: object) -> bool:
    """Whether an input, an output or a param may be called so, as far as its letters go."""
    return isinstance(text, str) and bool(_IDENTIFIER.match(text))


def is_file_name(text: object) -> bool:
    """Whether a stage, a run or a version may be called so."""
    return isinstance(text, str) and len(text) <= _LONGEST and bool(_NAME.match(text))


def is_job_id(text: object) -> bool:
    """Whether `text` is a whole job id; nothing else may stand for one in a path."""
    return isinstance(text, str) and len(text) <= JOB_ID_LENGTH and bool(_JOB_ID.match(text))


def is_digest(text: object) -> bool:
    """Whether `text` is the short digest that names a stage, a recipe or a key."""
    return isinstance(text, str) and bool(_DIGEST.match(text))


def is_sha256(text: object) -> bool:
    """Whether `text` is a SHA-256 in lowercase hex."""
    return isinstance(text, str) and bool(_SHA256.match(text))


def is_output_path(text: object) -> bool:
    """Whether `text` may be a path below `$out`, as far as its letters go."""
    return isinstance(text, str) and is_inside(text)


def shown_name(text: str) -> str:
    """The name that a stored path had before it was stored; any other text as it is."""
    return text[_PREFIX_LENGTH:] if text.startswith("store/") and _STORED.match(text) else text


def is_place(text: object) -> bool:
    """Whether `text` may be the path of a file below a Lab, in its one spelling, as far as its letters go."""
    return isinstance(text, str) and is_inside(text) and not {"", "."}.intersection(text.split("/"))


def is_store_path(text: object) -> bool:
    """Whether `text` is a store path of Nix, or a path in one; its colons and blanks would part it elsewhere."""
    if not isinstance(text, str) or not _STORE_PATH.match(text):
        return False
    return ".." not in text.split("/") and not any(mark in text for mark in "\0\n:")


def is_stored_place(text: object) -> bool:
    """Whether `text` is where a Lab has a stored path: `store/<digest>-<name>`."""
    return isinstance(text, str) and bool(_STORED.match(text))
