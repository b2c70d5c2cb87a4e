"""Files from elsewhere as values, known by their SHA-256 before anyone has them; downloads nothing.

Such a file is identified as if it lay here: by its name and its bytes, which the hash stands for. So a URL may change
or gain mirrors, and every job keeps its id.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from urllib.parse import quote, unquote, urlsplit

from repx.agent.base.digest import NIX_ALPHABET, nix_base32_bytes, plain_file_digest
from repx.dsl.caller import caller
from repx.errors import DefinitionError
from repx.model.values import Download, StoredPath

SCHEMES = ("http", "https", "file")

LONGEST_NAME = 255 - 33
"""Bytes of a name, since a store puts 32 digits and a hyphen before it, and a file name has 255 at most."""


def fetch(url: str, *, sha256: str, name: str | None = None, mirrors: Sequence[str] = ()) -> StoredPath:
    """A file that is downloaded when a Lab is made: may stand wherever `repx.path(…)` may.

    `sha256` is 64 hex digits, 52 digits of Nix's base-32, or `sha256-` and base64. `name` is what jobs see, by default
    the last part of the URL; `mirrors` are asked in their order when `url` does not give that very file. A file that
    the store has is not asked for again. Raises DefinitionError for arguments that cannot be.
    """
    place = caller()
    facts: list[tuple[str, object]] = []
    try:
        _check_url(url)
        facts.append(("url", url))
        _check_mirrors(mirrors)
        digest = _parse_sha256(sha256)
        named = _check_name(_last_part(url) if name is None else name, given=name is not None)
    except _UnfitError as error:
        raise DefinitionError(error.headline, location=place, facts=facts, hint=error.hint) from None
    return StoredPath(
        name=named,
        digest=plain_file_digest(digest),
        source=url,
        kind="file",
        download=Download(tuple(dict.fromkeys([url, *mirrors])), digest, place),
    )


class _UnfitError(Exception):
    """What is wrong with an argument, and what to write."""

    def __init__(self, headline: str, hint: str) -> None:
        super().__init__(headline)
        self.headline = headline
        self.hint = hint


def _check_url(url: object) -> None:
    if not isinstance(url, str):
        raise _UnfitError(f"{url!r} is not a URL", _ALLOWED)
    # This check comes first: the messages of the others repeat the URL.
    if re.match("[^/?#]*//[^/?#]*@", url):
        raise _UnfitError(
            "fetch cannot use a URL that holds a user's name or password",
            "others read an experiment: download that file by other means, and give its file:///absolute/path",
        )
    refusal = f"fetch cannot use {url!r}"
    # This check comes before urlsplit, which silently drops line ends and tabs.
    if not url.isascii() or not url.isprintable() or " " in url:
        raise _UnfitError(
            f"{refusal}: a URL has no blanks, control characters or letters beyond ASCII",
            f"write {quote(url.strip(), safe=_KEPT, errors='replace')}",
        )
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise _UnfitError(f"{refusal}: {error}", _ALLOWED) from None
    if not parts.scheme:
        raise _UnfitError(f"{refusal}: it is not a URL", f'{_ALLOWED}; a file that lies here is repx.path("…")')
    if parts.scheme not in SCHEMES:
        raise _UnfitError(f"{refusal}: {parts.scheme}: is not supported", _ALLOWED)
    if parts.scheme == "file":
        if host not in (None, "localhost") or not parts.path.startswith("/"):
            raise _UnfitError(f"{refusal}: it is not an absolute path of this machine", "write file:///absolute/path")
    elif not host:
        raise _UnfitError(f"{refusal}: it names no host", f"write {parts.scheme}://host/path")


def _check_mirrors(mirrors: object) -> None:
    if not isinstance(mirrors, list | tuple):
        raise _UnfitError(f"mirrors is a {type(mirrors).__name__}", "give a list of URLs: mirrors=[…]")
    for one in mirrors:
        _check_url(one)


def _last_part(url: str) -> str:
    return unquote(urlsplit(url).path.rpartition("/")[2], errors="surrogateescape")


def _check_name(name: object, *, given: bool) -> str:
    refusal = f"{name!r} cannot be the name of a file" if given else f"the URL ends in no name for its file: {name!r}"
    hint = 'give the name that jobs shall see: name="data.csv"'
    if not isinstance(name, str) or name in ("", ".", "..") or "/" in name or "\0" in name:
        raise _UnfitError(refusal, hint)
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        raise _UnfitError(f"{refusal}, which is not UTF-8", hint) from None
    if length > LONGEST_NAME:
        raise _UnfitError(f"{refusal}: {length} bytes are too long, at most {LONGEST_NAME} can be stored", hint)
    return name


def _parse_sha256(text: object) -> str:
    """A SHA-256 in any of its three forms, as lowercase hex."""
    if not isinstance(text, str):
        raise _UnfitError(f"sha256={text!r} is not a text", _FORMS)
    algorithm, dash, rest = text.partition("-")
    if dash:
        if algorithm != "sha256":
            raise _UnfitError(f"sha256={text!r} is not a SHA-256, by its own words: {algorithm}", _FORMS)
        return _from_base64(text, rest)
    form = _BY_LENGTH.get(len(text))
    if form is None:
        known = {32: ", as many as an MD5", 40: ", as many as a SHA-1", 128: ", as many as a SHA-512"}
        raise _UnfitError(f"sha256={text!r} has {len(text)} characters{known.get(len(text), '')}", _FORMS)
    return form(text)


def _from_base64(text: str, digits: str) -> str:
    try:
        digest = base64.b64decode(digits, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _UnfitError(f"sha256={text!r} has no base64 behind the hyphen: {error}", _FORMS) from None
    if len(digest) != 32:
        raise _UnfitError(f"sha256={text!r} holds {len(digest)} bytes, and a SHA-256 has 32", _FORMS)
    return digest.hex()


def _from_hex(text: str) -> str:
    if wrong := re.search("[^0-9a-fA-F]", text):
        raise _UnfitError(f"sha256={text!r} has {wrong[0]!r} in it, which is not a hex digit", _FORMS)
    return text.lower()


def _from_base32(text: str) -> str:
    if wrong := next((digit for digit in text if digit not in NIX_ALPHABET), ""):
        raise _UnfitError(f"sha256={text!r} has {wrong!r} in it, which is not a digit of Nix's base-32", _FORMS)
    try:
        return nix_base32_bytes(text).hex()
    except ValueError:
        raise _UnfitError(f"sha256={text!r} starts with {text[0]!r}, and is more than 256 bits", _FORMS) from None


_BY_LENGTH: dict[int, Callable[[str], str]] = {64: _from_hex, 52: _from_base32}
_FORMS = "give the 64 hex digits that sha256sum prints, or sha256-<base64>, or Nix's 52 digits"
_ALLOWED = "a URL begins with http://, https:// or file:///"
# What quote() leaves as it is: everything with a meaning in a URL, and what is quoted already.
_KEPT = "%:/?#[]@!$&'()*+,;=~"
