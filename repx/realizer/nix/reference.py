"""Reads the argument of `nix("…")`: a folder with a flake, or a reference that pins one; starts nothing."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from urllib.parse import quote

from repx.agent.base.digest import TreeError, digest_of_text, tree_digest
from repx.errors import SoftwareError, SourceLocation

_PINNED = re.compile(r"(?<![0-9a-f])[0-9a-f]{40}(?![0-9a-f])|narHash=")


@dataclass(frozen=True, slots=True)
class Reference:
    """A flake in the form that Nix takes; `key` changes whenever the meaning of the reference may have changed.

    `text` is what the user wrote, `recorded` the same without a path of this machine. `is_pinned` says that it means
    the same flake for ever.
    """

    text: str
    recorded: str
    url: str
    key: str
    is_pinned: bool


def read_reference(text: str, base: str, location: SourceLocation | None) -> Reference:
    """The reference that `text` stands for; `base` is the experiment's folder.

    A folder is taken as it is, whatever version control says of it: its content pins it, and its lock pins its inputs.
    Raises SoftwareError when the folder has no flake.
    """
    if "#" in text:
        raise SoftwareError(
            f"nix({text!r}) names a package, not a package set",
            location=location,
            hint=f"write nix({text.partition('#')[0]!r}), and the package's name in packages=[…] of the stage",
        )
    system = this_system()
    path = text.removeprefix("path:")
    if not path.startswith((".", "/", "~")):
        if os.path.isfile(os.path.join(base, path, "flake.nix")):
            raise SoftwareError(
                f"nix({text!r}) is not the folder of that name, but an entry of Nix's registry",
                location=location,
                hint=f"write nix('./{path}')",
            )
        return Reference(
            text, text, text, digest_of_text(f"repx-flake 1\n{system}\n{text}"), bool(_PINNED.search(text))
        )
    folder = os.path.realpath(os.path.join(base, os.path.expanduser(path)))
    if not os.path.isfile(f"{folder}/flake.nix"):
        raise SoftwareError(
            f"there is no flake in {folder}",
            location=location,
            facts=[("missing", f"{folder}/flake.nix")],
            hint="nix(…) takes the folder of a flake.nix, relative to the experiment, or a flake reference",
        )
    if os.path.lexists(f"{folder}/.git"):
        raise SoftwareError(
            f"the flake's folder {folder} is a whole Git checkout, and all of it would be part of the package set",
            location=location,
            hint="put flake.nix and flake.lock into a folder of their own, such as ./nix, or write "
            f"nix('git+file://{folder}?rev=…') with a commit",
        )
    try:
        content = tree_digest(folder)
    except TreeError as error:
        raise SoftwareError(
            f"the flake's folder cannot be read: {error.reason}", location=location, facts=[("path", error.path)]
        ) from None
    except OSError as error:
        raise SoftwareError(
            f"the flake's folder cannot be read: {error.strerror}", location=location, facts=[("path", error.filename)]
        ) from None
    recorded = text if path.startswith(".") else os.path.basename(folder)
    return Reference(
        text, recorded, f"path:{quote(folder)}", digest_of_text(f"repx-flake 1\n{system}\n{content}"), is_pinned=True
    )


def this_system() -> str:
    """The system packages are built for, as Nix spells it."""
    machine = platform.machine()
    return f"{'aarch64' if machine == 'arm64' else machine}-linux"
