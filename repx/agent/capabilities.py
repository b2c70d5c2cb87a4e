"""What this machine lets a job be shut into, found by trying; does not know jobs, nor which isolation is chosen.

Each probe answers with its problem in one line: the empty text when the thing works.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Sequence

ANSWER_WITHIN_S = 5.0
"""What does not start in this time is of no use to a job."""

_FORBIDDING_SYSCTLS = (
    ("user.max_user_namespaces", "0"),
    ("kernel.unprivileged_userns_clone", "0"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1"),
)
"""Settings and the value with which they forbid user namespaces: the kernel's own, Debian's, Ubuntu's since 23.10."""

# The maps and the second call belong to the trial: Ubuntu lets anyone make the namespace, and nobody use it.
_ENTER_USER_NAMESPACE = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def enter(kind):
    if libc.unshare(kind):
        sys.exit(os.strerror(ctypes.get_errno()))
own = {"uid_map": os.getuid(), "gid_map": os.getgid()}
enter(0x10000000)
try:
    with open("/proc/self/setgroups", "w") as file:
        file.write("deny")
    for name, number in own.items():
        with open("/proc/self/" + name, "w") as file:
            file.write("0 %d 1" % number)
except OSError as error:
    sys.exit(error.strerror)
enter(0x00020000)
"""


def user_namespace_problem(settings: str = "/proc/sys") -> str:
    """Why a user namespace cannot be made and used here; names the sysctl below `settings` that forbids it, if any.

    Tried in a child of one thread: who has several cannot enter one, and forking is not safe for them.
    """
    problem = _start_problem([sys.executable, "-I", "-S", "-c", _ENTER_USER_NAMESPACE])
    return _with_sysctl(problem, settings) if problem else ""


def bwrap_problem(program: str, settings: str = "/proc/sys") -> str:
    """Why this bubblewrap cannot start a job here.

    It is asked for all that a job's sandbox has, `/proc` included, which many containers refuse to have mounted again.
    """
    # --unshare-user by itself: --unshare-all goes on without where root may not have one, and then --uid cannot be.
    user = ["--unshare-user", "--uid", "1000", "--gid", "1000"]
    sandbox = ["--unshare-all", *user, "--die-with-parent", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    # Itself is the one program that is there for certain.
    argv = [program, *sandbox, "--", program, "--version"]
    # A second try: while it binds the root, somebody may take away a mount that it has seen there.
    problem = _start_problem(argv) and _start_problem(argv)
    return _with_sysctl(problem, settings) if problem else ""


def forbidding_sysctl(settings: str = "/proc/sys") -> str:
    """The kernel setting that forbids user namespaces to common users, as `name = value`; empty when none does."""
    for name, forbidden in _FORBIDDING_SYSCTLS:
        try:
            with open("%s/%s" % (settings, name.replace(".", "/")), encoding="ascii") as file:
                if file.read().strip() == forbidden:
                    return "%s = %s" % (name, forbidden)
        except OSError:
            # Most kernels have one or two of them.
            continue
    return ""


def writing_problem(directory: str) -> str:
    """Why no file can be made in a directory; tried with a file that never gets a name, where the disk has such."""
    try:
        os.close(os.open(directory, os.O_TMPFILE | os.O_WRONLY, 0o600))
    except OSError as error:
        # What overlays, network file systems and old kernels say who do not know O_TMPFILE.
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT):
            return os.strerror(error.errno or 0)
        if not os.path.isdir(directory):
            return "there is no such directory"
        return "" if os.access(directory, os.W_OK | os.X_OK) else "no right to write there"
    return ""


def _start_problem(argv: Sequence[str]) -> str:
    """Why a program does not end well, in its own last words without its name."""
    try:
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=ANSWER_WITHIN_S,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        return "no answer within %g s" % ANSWER_WITHIN_S
    except OSError as error:
        return "does not start: %s" % error.strerror
    if done.returncode == 0:
        return ""
    said = done.stderr.decode("utf-8", "replace").strip().rsplit("\n", 1)[-1]
    said = said.removeprefix(os.path.basename(argv[0]) + ": ")
    return said or "ends with status %d and no word" % done.returncode


def _with_sysctl(problem: str, settings: str) -> str:
    sysctl = forbidding_sysctl(settings)
    return "%s (%s forbids user namespaces)" % (problem, sysctl) if sysctl else problem
