"""The commands of this machine as a stage sees them: found, identified by content, and put into one folder for PATH.

Knows nothing of stages: a manifest says which commands, and what they and the interpreter were where it was made.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from repx.agent.base.files import read_file, remove_tree, write_file
from repx.agent.base.publisher import Publisher
from repx.agent.command_identity import command_identity, content_sha256
from repx.agent.installed import InstalledError, find_installed

HOST = "host"
"""The kind of a software manifest whose programs are the machine's."""

_INTERPRETERS = (
    *("python", "pypy", "perl", "ruby", "node", "R", "Rscript", "java", "julia", "lua", "guile", "tclsh", "php"),
    *("deno", "bun", "octave", "ghc", "erl", "racket", "sbcl", "scala"),
)


def find_command(name: str, search_path: str) -> str | None:
    """The absolute path of the first executable `name` on `search_path`, its links not followed; None when absent.

    Relative entries of the search path do not count: they mean another place in each directory.
    """
    if not is_command_name(name):
        return None
    for directory in search_path.split(os.pathsep):
        path = directory + "/" + name
        if directory.startswith("/") and os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return None


def is_command_name(name: object) -> bool:
    """Whether `name` is one entry of a folder, so that a manifest from elsewhere cannot write outside of it."""
    return isinstance(name, str) and name not in ("", ".", "..") and "/" not in name and "\0" not in name


def python_names(version: str) -> tuple[str, ...]:
    """The names under which a stage finds the interpreter of this version."""
    return ("python", "python3", "python" + ".".join(version.split(".")[:2]))


class PythonRecord(NamedTuple):
    """The interpreter of a stage where its Lab was made."""

    implementation: str
    version: str
    sha256: str


class HostManifest(NamedTuple):
    """What a stage's software was on the machine where its Lab was made.

    `commands` are names with what identifies each (`repx.agent.command_identity`), `distributions` names with version
    and digest (`repx.agent.installed`). `base` are names of further commands: a stable interface, which any machine's
    own programs have, so that nothing identifies them.
    """

    commands: Mapping[str, str]
    distributions: Mapping[str, str]
    python: Optional[PythonRecord]  # noqa: UP045 - Python 3.9 evaluates it
    base: tuple[str, ...] = ()

    def json(self) -> dict[str, Any]:
        """What a Lab says of it."""
        content: dict[str, Any] = {"kind": HOST, "commands": self.commands, "distributions": self.distributions}
        if self.base:
            content["base"] = list(self.base)
        if self.python is not None:
            content["python"] = self.python._asdict()
        return content


def parse_host_manifest(content: Mapping[str, Any]) -> HostManifest:
    """The software that a Lab's file says. ValueError with what is wrong with it."""
    if content.get("kind") != HOST:
        raise ValueError("it is of the kind %r, not %r" % (content.get("kind"), HOST))
    commands, distributions = (_texts(content, key) for key in ("commands", "distributions"))
    base = content.get("base", [])
    if not isinstance(base, list):
        raise ValueError("base is %r" % (base,))
    for name in (*commands, *base):
        if not is_command_name(name):
            raise ValueError("not a command's name: %r" % (name,))
    python = content.get("python")
    if python is None:
        return HostManifest(commands, distributions, None, tuple(base))
    said = _texts(content, "python")
    if set(said) != set(PythonRecord._fields):
        raise ValueError("python has %s" % (", ".join(sorted(said)) or "nothing"))
    return HostManifest(commands, distributions, PythonRecord(**said), tuple(base))


def _texts(content: Mapping[str, Any], key: str) -> dict[str, str]:
    texts = content.get(key)
    if not isinstance(texts, dict) or not all(isinstance(one, str) for one in texts.values()):
        raise ValueError("%s is %r" % (key, texts))
    return texts


def make_path_folder(
    manifest: HostManifest,
    directory: str,
    search_path: str,
    python: str,
    publisher: Publisher,
    made: str,
    job_python: str = "",
) -> list[str]:
    """Fill `directory` with the manifest's commands as this machine has them; how they differ from what was recorded.

    `python` is the absolute path of the interpreter that is compared, and beside which is looked for what is not on
    `search_path`; jobs start `job_python`, by which it finds their modules alone, when there is one. A folder that is
    there stays if it is what would be made. The folder is made at `made`, of the same file system. A command that is
    not here has no entry, and is one of the differences; the caller decides what that means.
    """
    places = search_path + os.pathsep + os.path.dirname(python)
    found = {name: find_command(name, places) for name in sorted(manifest.commands)}
    base = {name: find_command(name, places) for name in manifest.base}
    entries = {name: _entry(name, path) for name, path in {**base, **found}.items() if path is not None}
    if manifest.python is not None:
        entries.update(dict.fromkeys(python_names(manifest.python.version), _wrapper(job_python or python)))
    if not _holds(directory, entries):
        _publish(directory, entries, publisher, made)
    return [*_command_differences(manifest, found), *_python_differences(manifest, python)]


def make_environment(entries: Mapping[str, str | bytes], directory: str, publisher: Publisher, made: str) -> None:
    """Have a directory with these entries (paths below it), as `make_path_folder` has its own."""
    try:
        is_there = all(_is_entry(directory + "/" + path, entry) for path, entry in entries.items())
    except OSError:
        is_there = False
    if not is_there:
        _publish(directory, entries, publisher, made)


def _holds(directory: str, entries: Mapping[str, str | bytes]) -> bool:
    """Whether a folder has these entries and no others: a wrapper may be empty since a loss of power."""
    try:
        names = os.listdir(directory)
        return set(names) == set(entries) and all(_is_entry(directory + "/" + name, entries[name]) for name in names)
    except OSError:
        return False


def _is_entry(path: str, entry: str | bytes) -> bool:
    if isinstance(entry, str):
        return os.readlink(path) == entry
    is_for_running = not entry.startswith(b"#!") or os.access(path, os.X_OK)
    return not os.path.islink(path) and is_for_running and read_file(path) == entry


def _entry(name: str, path: str) -> str | bytes:
    """The target of a link, or the text of a wrapper.

    A link keeps the name a program is called by, which multi-call programs need. But a program that looks for its own
    files around the place it was started from finds nothing around a link, so it is started by its own path.
    """
    real = os.path.realpath(path)
    return _wrapper(path) if _depends_on_place(name, path, real) else real


def _depends_on_place(name: str, path: str, real: str) -> bool:
    for base in (name, os.path.basename(real)):
        if base.rstrip("0123456789.-") in _INTERPRETERS:
            return True
    prefix = os.path.dirname(os.path.dirname(path))
    if os.path.exists(prefix + "/pyvenv.cfg") or os.path.isdir(prefix + "/conda-meta"):
        return True
    with open(real, "rb") as file:
        return file.read(2) == b"#!"


def _wrapper(path: str) -> bytes:
    quoted = "'" + path.replace("'", "'\\''") + "'"
    return ("#!/bin/sh\nexec " + quoted + ' "$@"\n').encode("utf-8", "surrogateescape")


def _publish(directory: str, entries: Mapping[str, str | bytes], publisher: Publisher, made: str) -> None:
    """Make the folder whole elsewhere, then give it its name; whoever comes second discards their own."""
    try:
        os.mkdir(made)
        for name, entry in entries.items():
            if "/" in name:
                os.makedirs(os.path.dirname(made + "/" + name), exist_ok=True)
            if isinstance(entry, bytes):
                write_file(made + "/" + name, entry, 0o755)
            else:
                os.symlink(entry, made + "/" + name)
        if os.path.lexists(directory):
            publisher.replace(directory, made)
        else:
            os.makedirs(os.path.dirname(directory), exist_ok=True)
            publisher.publish({directory: made})
    finally:
        remove_tree(made)


def _command_differences(manifest: HostManifest, found: Mapping[str, str | None]) -> list[str]:
    differences = []
    for name, path in found.items():
        recorded = manifest.commands[name]
        if path is None:
            differences.append("%s: not on this machine" % name)
            continue
        here = command_identity(path)
        if here != recorded:
            differences.append(
                "%s: recorded sha256 %s, this machine has %s (%s)"
                % (name, _short(recorded), _short(here), os.path.realpath(path))
            )
    return differences


def _python_differences(manifest: HostManifest, python: str) -> list[str]:
    """The interpreter by content; versions only where this process is that interpreter, since nothing is started."""
    recorded = manifest.python
    if recorded is None:
        return []
    differences = []
    is_this = python == sys.executable
    was = "%s %s" % (recorded.implementation, recorded.version)
    now = "%s %s" % (platform.python_implementation(), platform.python_version())
    try:
        here = content_sha256(python)
    except OSError:
        return ["python: not on this machine (%s)" % python]
    if is_this and was != now:
        differences.append("python: recorded %s, this machine has %s (%s)" % (was, now, python))
    elif here != recorded.sha256:
        differences.append(
            "python: recorded sha256 %s, this machine has %s (%s)"
            % (_short(recorded.sha256), _short(here), os.path.realpath(python))
        )
    if is_this:
        for name, recorded_identity in sorted(manifest.distributions.items()):
            differences += _distribution_difference(name, recorded_identity, python)
    return differences


def _distribution_difference(name: str, recorded: str, python: str) -> list[str]:
    version = recorded.partition(" ")[0]
    try:
        found = find_installed(name)
    except InstalledError as error:
        return ["%s: %s" % (name, error)]
    if found is None:
        return ["%s: recorded version %s, not installed in %s" % (name, version, python)]
    if found.identity == recorded:
        return []
    here = found.identity.partition(" ")[0]
    if here == version:
        return ["%s: version %s has other content in %s than was recorded" % (name, version, python)]
    return ["%s: recorded version %s, %s has %s" % (name, version, python, here)]


def _short(digest: str) -> str:
    return digest[:12] + "…"
