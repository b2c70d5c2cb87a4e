"""Asks a server, or this machine, for a file or the rest of it; knows no hash and writes nothing."""

from __future__ import annotations

import contextlib
import http.client
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

from repx.agent.base.version import VERSION

SILENCE_S = 60.0
"""Seconds without a byte after which a server is given up."""


class UnavailableError(Exception):
    """Why a server gave no file, or not all of it."""


class Answer:
    """What a server gives: the file from the byte `start` on. To be closed."""

    def __init__(self, response: Any, start: int, silence_s: float) -> None:
        self._response = response
        self._silence_s = silence_s
        self.start = start
        self.content_type: str = response.headers.get("Content-Type") or "of no content type"

    def chunks(self) -> Iterator[bytes]:
        """The bytes as they come. Raises UnavailableError when they end too early."""
        headers = self._response.headers
        said = None if headers.get("Transfer-Encoding") else headers.get("Content-Length")
        length = int(said) if said and said.isdigit() else None
        received = 0
        while length is None or received < length:
            with _telling(self._silence_s):
                # read() would wait for all it was asked for, and lose what it has when the connection breaks.
                chunk = self._response.read1(_CHUNK if length is None else min(_CHUNK, length - received))
            if not chunk:
                # A cut connection is no error to http.client.
                if length is not None:
                    raise UnavailableError(f"the connection ended after {received} of {length} bytes")
                return
            received += len(chunk)
            yield chunk

    def close(self) -> None:
        """Hang up."""
        self._response.close()


def ask(url: str, start: int, silence_s: float = SILENCE_S) -> Answer:
    """Ask for a file from the byte `start` on; a server that cannot do that is asked for all of it.

    Redirects are followed, and proxies are those of the environment. Raises UnavailableError.
    """
    headers = {"User-Agent": f"repx/{VERSION}", **({"Range": f"bytes={start}-"} if start else {})}
    with _telling(silence_s):
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - `_opener` knows three schemes, no more
        try:
            response = _opener().open(request, timeout=silence_s)
        except urllib.error.HTTPError as error:
            with error:
                if not start or error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                    raise UnavailableError(f"{error.code} {error.reason}") from None
            return ask(url, 0, silence_s)
    if response.status != http.client.PARTIAL_CONTENT:
        return Answer(response, 0, silence_s)
    begin = re.match(r"bytes (\d+)-", response.headers.get("Content-Range") or "")
    if begin and int(begin[1]) == start:
        return Answer(response, start, silence_s)
    response.close()
    if not start:
        raise UnavailableError("the server gives a piece of the file, though asked for all of it")
    return ask(url, 0, silence_s)


def _opener() -> urllib.request.OpenerDirector:
    """The three schemes there are. Certificates are verified, whatever the program has set for its own connections."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        urllib.request.FileHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


@contextlib.contextmanager
def _telling(silence_s: float) -> Iterator[None]:
    """What goes wrong on the way, as one of our own errors: those of the disk must remain apart from it."""
    try:
        yield
    # ValueError: a host that cannot be one, a redirect to something that is no URL.
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None)
        cause = reason if isinstance(reason, Exception) else error
        if isinstance(cause, TimeoutError):
            told = f"not a byte came for {silence_s:g} s"
        elif isinstance(cause, ssl.SSLCertVerificationError):
            told = f"its certificate cannot be trusted: {cause.verify_message}"
        elif isinstance(cause, http.client.IncompleteRead):
            told = "the connection ended before the file did"
        else:
            told = getattr(cause, "strerror", None) or str(reason or cause) or type(cause).__name__
        raise UnavailableError(" ".join(told.split())) from None


_CHUNK = 1 << 18
