"""Files that a script names by where they are on this machine: nothing tracks them; runs no script.

Files of the system do not count, nor what a script only writes to.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator, Sequence

from repx.errors import Finding, SourceLocation
from repx.model.software import SoftwareRequest
from repx.realizer.checks.bash_commands import CommandUse
from repx.realizer.checks.python_paths import python_paths

_SYSTEM = ("/dev/", "/proc/", "/sys/", "/usr/", "/bin/", "/sbin/", "/lib", "/etc/", "/run/", "/nix/store/")
_PATH = re.compile(r"""(?P<written>>\s*)?(?P<quote>["']?)(?<![\w$}./*?:~-])(?P<path>/[^\s"'`;|&<>()$*?{}\[\]\\]+)""")
_QUOTED = re.compile(r"""(?P<written>>\s*)?(?P<quote>["'])(?P<path>/[^"'`$*?{}\n\\]+)(?P=quote)""")
"""The same with blanks in it."""


def path_notes(request: SoftwareRequest, uses: Sequence[CommandUse] = ()) -> tuple[Finding, ...]:
    """A note for each file that a script names by an absolute path, but for commands of Bash: others check `uses`."""
    if request.impure:
        return ()
    commands = {use.name for use in uses}
    found: dict[str, Finding] = {}
    for place, path in _of_python(request) if request.kind == "python" else _of_bash(request):
        if path not in commands and path not in found:
            found[path] = Finding(
                request.stage,
                place,
                f"{path} is named by an absolute path, so a change of it runs nothing again",
                f'give it as an input: name: Input = repx.path("{os.path.basename(path)}")',
            )
    return tuple(found.values())


def _of_bash(request: SoftwareRequest) -> Iterator[tuple[SourceLocation, str]]:
    for number, path in _paths(request.script):
        yield SourceLocation(request.origin.file, request.origin.line + number), path


def _of_python(request: SoftwareRequest) -> Iterator[tuple[SourceLocation, str]]:
    if not re.search(r"""["']~?/""", request.script):
        return
    try:
        tree = ast.parse(request.script)
    except (SyntaxError, ValueError, RecursionError):
        return
    for line, path in sorted(python_paths(tree)):
        if not path.startswith(_SYSTEM) and os.path.isfile(path):
            before = [(first, place) for first, place in request.lines if first <= line]
            first, place = before[-1] if before else (line, request.origin)
            yield SourceLocation(place.file, place.line + line - first), path


def _paths(script: str) -> Iterator[tuple[int, str]]:
    """Files of this machine that lines of a script name, each with the number of its line, from 0."""
    for number, line in enumerate(script.split("\n")):
        if line.lstrip().startswith("#"):
            continue
        for pattern in (_QUOTED, _PATH):
            for match in pattern.finditer(line):
                path = match["path"].rstrip(",:.")
                if not match["written"] and not path.startswith(_SYSTEM) and os.path.isfile(path):
                    yield number, path
