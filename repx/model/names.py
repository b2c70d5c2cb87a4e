"""Names of things: what may be called what, job ids and their parts; parsed once, printed back exactly."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NewType

from repx.agent.base.digest import ID_LENGTH
from repx.agent.base.names import is_file_name, is_job_id, is_output_name, is_variable
from repx.errors import DefinitionError, LabError, SourceLocation, UsageError, nearest

JobId = NewType("JobId", str)
"""`<32 digits of Nix's base-32>-<stage name>-<version>`; made by `job_id`, read by `parse_job_id`."""

BASH_RESERVED = frozenset(
    # Set or read by Bash itself (bash(1), Shell Variables), or by what starts the script.
    """BASH BASHOPTS BASHPID CDPATH COLUMNS COMP_WORDS COMPREPLY COPROC DIRSTACK ENV EPOCHREALTIME EPOCHSECONDS EUID
    FCEDIT FIGNORE FUNCNAME FUNCNEST GLOBIGNORE GROUPS HISTCMD HISTFILE HOME HOSTFILE HOSTNAME HOSTTYPE IFS IGNOREEOF
    INPUTRC LANG LINENO LINES MACHTYPE MAILCHECK MAPFILE OLDPWD OMP_NUM_THREADS OPTARG OPTERR OPTIND OSTYPE PATH
    PIPESTATUS POSIXLY_CORRECT PPID PROMPT_COMMAND PS0 PS1 PS2 PS3 PS4 PWD PYTHONHASHSEED RANDOM READLINE_LINE REPLY
    SECONDS SHELL SHELLOPTS SHLVL SRANDOM TIMEFORMAT TMOUT TMPDIR TZ UID
    out inputs outputs params inputs_json params_json""".split()
)


def check_variable(kind: str, name: str, location: SourceLocation | None) -> str:
    """A name that becomes a shell variable and a Python argument: ASCII, and free in the shell and in repx."""
    if not is_variable(name):
        raise DefinitionError(
            f"{kind} {name!r} is not a name: ASCII letters, digits and _ only, not starting with a digit",
            location=location,
        )
    if name in BASH_RESERVED or name.startswith(("BASH_", "LC_", "_repx")):
        raise DefinitionError(
            f"{kind} {name!r} has a name that the shell or repx uses itself",
            location=location,
            hint=f"call it my_{name}",
        )
    return name


def check_output_name(name: object, location: SourceLocation | None) -> str:
    """A name in the mapping of outputs: it becomes no variable, and so may hold dots and hyphens."""
    if not is_output_name(name):
        raise DefinitionError(
            f"output {name!r} is not a name: ASCII letters, digits and _ . - only, starting with a letter or _",
            location=location,
        )
    return str(name)


def check_name(kind: str, name: object, location: SourceLocation | None = None) -> str:
    """A name that becomes part of a file name: stages and runs."""
    if not is_file_name(name):
        raise DefinitionError(
            f"{kind} {name!r} cannot be part of a file name",
            location=location,
            hint="ASCII letters, digits and . _ + - only, starting with a letter or digit, at most 150",
        )
    return str(name)


def check_version(version: object, location: SourceLocation | None = None) -> str:
    """A version: like a name, but without `-`, because it is what follows the last one in a job id."""
    if not isinstance(version, str):
        raise DefinitionError(
            f"version {version!r} is not a text", location=location, hint=f'write version="{version}"'
        )
    text = check_name("version", version, location)
    if "-" in text:
        raise DefinitionError(
            f"version {text!r} may not contain '-'", location=location, hint=f"write {text.replace('-', '.')!r}"
        )
    return text


def job_id(digest: str, name: str, version: str) -> JobId:
    """The id of a job from its parts, which are valid already."""
    return JobId(f"{digest}-{name}-{version}")


def parse_job_id(text: str) -> tuple[str, str, str]:
    """Digest, stage name and version. Raises LabError: ids are read from Labs."""
    if not is_job_id(text):
        raise LabError(f"{text!r} is not a job id")
    digest, rest = text[:ID_LENGTH], text[ID_LENGTH + 1 :]
    name, _, version = rest.rpartition("-")
    return digest, name, version


def unknown(kind: str, name: str, valid: Iterable[str]) -> UsageError:
    """The error for a name that names nothing."""
    return UsageError(f"there is no {kind} {name!r}", hint=nearest(name, valid))
