"""The small base that every Bash stage may use, package by package; does not know what any machine has."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

BASE_PROGRAMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "bash": ("bash", "sh"),
        # What GNU coreutils 9 installs by default; arch, coreutils and hostname are off unless asked for.
        "coreutils": tuple(
            "[ b2sum base32 base64 basename basenc cat chcon chgrp chmod chown chroot cksum comm cp csplit cut date dd "
            "df dir dircolors dirname du echo env expand expr factor false fmt fold groups head hostid id install join "
            "kill link ln logname ls md5sum mkdir mkfifo mknod mktemp mv nice nl nohup nproc numfmt od paste pathchk "
            "pinky pr printenv printf ptx pwd readlink realpath rm rmdir runcon seq sha1sum sha224sum sha256sum "
            "sha384sum sha512sum shred shuf sleep sort split stat stdbuf stty sum sync tac tail tee test timeout touch "
            "tr true truncate tsort tty uname unexpand uniq unlink uptime users vdir wc who whoami yes".split()
        ),
        "findutils": ("find", "locate", "updatedb", "xargs"),
        "gawk": ("awk", "gawk"),
        "gnugrep": ("egrep", "fgrep", "grep"),
        "gnused": ("sed",),
        "jq": ("jq",),
    }
)
"""Package name (as Nix spells it) to the names of its programs."""

BASE_NAMES = frozenset(name for programs in BASE_PROGRAMS.values() for name in programs)
"""Every program of the base."""
