"""What identifies a command of this machine: its file; for a script also what reads it and who owns it. Starts nothing.

Libraries of a program, and what a script starts by name, are not looked at.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from repx.agent.base.digest import file_sha256
from repx.agent.installed import InstalledError, distribution_name, installed

if TYPE_CHECKING:
    from importlib.metadata import Distribution

_digests: dict[tuple[str, int, int, int], str] = {}


class Shebang(NamedTuple):
    """The first line of a script: `program` reads it; by `env` it is found on PATH when the script starts."""

    program: str
    by_env: bool


def content_sha256(path: str) -> str:
    """The SHA-256 of the file that `path` finally means, hex; read once per process while the file stays as it is."""
    real = os.path.realpath(path)
    status = os.stat(real)
    key = (real, status.st_size, status.st_mtime_ns, status.st_ino)
    if key not in _digests:
        _digests[key] = file_sha256(real)
    return _digests[key]


def shebang(path: str) -> Shebang | None:
    """How a script says what reads it (execve(2)); None for a program."""
    with open(path, "rb") as file:
        first = file.readline(512) if file.read(2) == b"#!" else b""
    words = first.decode("utf-8", "surrogateescape").split()
    if not words:
        return None
    if os.path.basename(words[0]) != "env":
        return Shebang(words[0], False)
    named = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    return Shebang(named[0], True) if named else None


def command_identity(path: str) -> str:
    """The digest (hex) of a command: of its file alone, but for a script and a driver of compilers. Raises OSError."""
    more = list(_behind(path))
    own = content_sha256(path)
    return hashlib.sha256("\n".join([own, *more]).encode("utf-8", "surrogateescape")).hexdigest() if more else own


def _behind(path: str) -> Iterator[str]:
    """A line for each thing beside its own file that decides what a command does."""
    read_by = shebang(path)
    if read_by is None:
        for part in compiler_parts(path):
            yield "%s %s" % (os.path.basename(part), content_sha256(part))
        return
    if not read_by.by_env:
        exists = os.path.exists(read_by.program)
        yield "interpreter %s" % (content_sha256(read_by.program) if exists else "missing")
    if is_python(read_by.program):
        for owner in owners_of_script(path, read_by):
            try:
                yield "distribution %s %s" % (distribution_name(owner), installed(owner).identity)
            except InstalledError as error:
                yield str(error)


def is_python(program: str) -> bool:
    """Whether a program is an interpreter of Python, by its name."""
    return bool(re.match(r"(python|pypy)[\d.]*\Z", os.path.basename(program)))


def reaches_elsewhere(path: str) -> bool:
    """Whether a script names a file outside of the system's directories, or looks around its own place, to go on there.

    A script of Python that a distribution has brought does not count: its distribution is looked at.
    """
    read_by = shebang(path)
    if read_by is None or (is_python(read_by.program) and owners_of_script(path, read_by)):
        return False
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        text = file.read(1 << 20).partition("\n")[2]
    if re.search(r"dirname.*\$(0|\{?BASH_SOURCE)|\$\{0%|\$\{BASH_SOURCE.*%|__file__|FindBin", text):
        return True
    return any(
        os.path.isfile(one) and not one.startswith(("/bin/", "/usr/bin/", "/dev/", "/etc/", "/proc/", "/sys/"))
        for one in re.findall(r"(?<![\w.$}/])/[\w./+@-]+", text)
    )


_COMPILER = re.compile(r"(.+)-(?:gcc|g\+\+|cpp|gfortran|c\+\+)-(\d+)\Z")


def compiler_parts(path: str) -> list[str]:
    """What a driver of GCC starts by its own paths, such as `cc1`; nothing for any other program."""
    real = os.path.realpath(path)
    match = _COMPILER.match(os.path.basename(real))
    if match is None:
        return []
    prefix = os.path.dirname(os.path.dirname(real))
    parts: dict[str, str] = {}
    for name in ("cc1", "cc1plus", "collect2", "f951", "lto1"):
        for below in ("libexec", "lib"):
            found = "%s/%s/gcc/%s/%s/%s" % (prefix, below, match[1], match[2], name)
            if os.access(found, os.X_OK):
                parts.setdefault(name, found)
    return list(parts.values())


def owners_of_script(path: str, read_by: Shebang) -> list[Distribution]:
    """The distribution that has brought a script of Python, and all it requires, as far as they are installed."""
    import importlib.metadata

    search = sys.path if read_by.by_env or _is_ours(read_by.program) else _site_directories(read_by.program)
    there: dict[str, Distribution] = {}
    for one in importlib.metadata.distributions(path=search):
        there.setdefault(_canonical(distribution_name(one)), one)
    name = os.path.basename(path)
    owner = next((one for one in there.values() if _brings(one, name)), None)
    found: dict[str, Distribution] = {}
    waiting = [] if owner is None else [owner]
    while waiting:
        one = waiting.pop()
        if found.setdefault(_canonical(distribution_name(one)), one) is not one:
            continue
        for line in one.requires or []:
            # Markers are not evaluated: one distribution too many is harmless, one too few is not.
            match = re.match(r"[A-Za-z0-9._-]+", line)
            required = there.get(_canonical(match[0])) if match and "extra ==" not in line else None
            if required is not None and _canonical(match[0] if match else "") not in found:
                waiting.append(required)
    return [one for _, one in sorted(found.items())]


def _is_ours(program: str) -> bool:
    return os.path.dirname(os.path.abspath(program)) == os.path.dirname(os.path.abspath(sys.executable))


def _brings(distribution: Distribution, script: str) -> bool:
    for point in distribution.entry_points:
        if point.name == script and point.group in ("console_scripts", "gui_scripts"):
            return True
    return "/bin/%s," % script in (distribution.read_text("RECORD") or "")


def _site_directories(program: str) -> list[str]:
    """Where an interpreter may find its distributions: those of its environment, else of its installation."""
    prefix = os.path.dirname(os.path.dirname(os.path.abspath(program)))
    found: list[str] = []
    for below in ("lib", "lib64", "local/lib"):
        for kind in ("site-packages", "dist-packages"):
            found += sorted(glob.glob("%s/%s/python3*/%s" % (glob.escape(prefix), below, kind)))
    return found


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
