"""What a job has left in $out: its outputs with their digests, nothing that cannot be kept; runs and moves nothing."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from repx.agent.base.digest import TreeError, check_entry, digest_and_size, file_sha256
from repx.agent.base.large_files import large_digests
from repx.agent.base.modes import make_file_read_only, take_special_bits
from repx.agent.base.record import OutputRecord


def collect_outputs(declared_paths: Mapping[str, str], out: str) -> tuple[dict[str, OutputRecord], str]:
    """Each declared output with its digest and size, and a complaint when one is missing or cannot be kept.

    Everything in `out` is looked at once, and loses setuid, setgid and sticky on the way; a file its write bits, too.
    """
    outputs: dict[str, OutputRecord] = {}
    missing = []
    try:
        status = os.lstat(out)
    except FileNotFoundError:
        return {}, _NO_OUT
    if not stat.S_ISDIR(status.st_mode):
        return {}, _NO_OUT
    take_special_bits(out, status)
    known = large_digests(out + "/" + path for path in declared_paths.values())

    def sha256_of(path: str) -> str:
        return known.get(path) or file_sha256(path)

    try:
        for name, path in declared_paths.items():
            try:
                digest, size = digest_and_size(out + "/" + path, out, make_file_read_only, sha256_of=sha256_of)
            except (FileNotFoundError, NotADirectoryError):
                missing.append("%s ($out/%s)" % (name, path))
                continue
            except TreeError as error:
                return {}, "output %s: %s" % (name, str(error).replace(out, "$out"))
            outputs[name] = OutputRecord(path, digest, size)
        if missing:
            return {}, "the script ended well but did not make: " + ", ".join(missing)
        # Files nobody declared are kept as well, so they too must be of a kind that can be.
        declared = {output.path for output in outputs.values()}
        if not declared.issuperset(os.listdir(out)):
            _check_undeclared(out, "", declared)
    except TreeError as error:
        return {}, str(error).replace(out, "$out")
    except PermissionError as error:
        return {}, cannot_be_kept(error, out)
    return outputs, ""


def cannot_be_kept(error: PermissionError, *places: str) -> str:
    """What to say where something in $out cannot be read or made read-only; `places` are where $out may stand."""
    path = str(error.filename)
    for place in places:
        path = path.replace(place, "$out")
    return "what the script left cannot be kept: %s: %s" % (path, error.strerror)


def _check_undeclared(out: str, inner: str, declared: set[str]) -> None:
    """Look at everything in a directory of `out` but the declared outputs. Raises TreeError."""
    with os.scandir(out + "/" + inner) as listing:
        entries = list(listing)
    for entry in entries:
        place = inner + entry.name
        if place in declared:
            continue
        status = entry.stat(follow_symlinks=False)
        check_entry(out + "/" + place, status, out)
        make_file_read_only(out + "/" + place, status)
        if stat.S_ISDIR(status.st_mode):
            _check_undeclared(out, place + "/", declared)


_NO_OUT = "the script has removed $out, or put something else in its place"
