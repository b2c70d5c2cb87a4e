"""Commands that others start by name from PATH, so that who asks for one gets both; does not know what is there."""

from __future__ import annotations

import re

_COMPILERS = ("gcc", "g++", "gfortran", "cc", "c++", "c89", "c99")
_STARTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_COMPILERS, ("as", "ld")),
    **dict.fromkeys(("clang", "clang++"), ("ld",)),
    **dict.fromkeys(("rustc", "cargo", "ghc", "go"), ("cc", "gcc", "as", "ld", "ar")),
    "cargo": ("rustc", "cc", "gcc", "as", "ld", "ar"),
    "tar": ("gzip", "bzip2", "xz", "zstd"),
    **dict.fromkeys(("gunzip", "zcat", "zgrep", "zless", "zcmp", "zdiff"), ("gzip",)),
    "Rscript": ("R",),
}


def companions(name: str) -> tuple[str, ...]:
    """What a command starts by name, as far as it is known; `gcc-12` and `x86_64-linux-gnu-gcc` are compilers too."""
    plain = re.sub(r"-[\d.]+\Z", "", name)
    if plain not in _STARTS:
        plain = next((one for one in _COMPILERS if plain.endswith(f"-linux-gnu-{one}")), plain)
    return _STARTS.get(plain, ())
