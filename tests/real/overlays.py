"""Small flakes on top of the package set: a few more packages, made by its Bash; and a `nix` that tells on itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from repx.realizer.nix.reference import this_system
from tests.real.worlds import NIX_CONFIG, PACKAGE_SET

FLAKE = """{
  inputs.set.url = "path:SET";
  outputs = { self, set }:
    let
      system = "SYSTEM";
      base = set.packages.${system};
      # A program of coreutils closes its output before it ends; were it the last process, Nix would kill it then.
      made = name: script: derivation {
        inherit name system;
        builder = "${base.bash}/bin/bash";
        args = [ "-euc" "${script}\n:" ];
        PATH = "${base.coreutils}/bin";
      };
      program = name: text: made name ''
        mkdir -p $out/bin
        printf '#!%s\\n%s\\n' ${base.bash}/bin/bash ${builtins.toJSON text} > $out/bin/${name}
        chmod 555 $out/bin/${name}
      '';
    in {
      packages.${system} = let all = base // {
PACKAGES
      }; in all;
    };
}
"""

NIX = {"NIX_CONFIG": NIX_CONFIG + "experimental-features = nix-command flakes\n"}


def overlay(folder: Path, packages: str = "", *, is_locked: bool = True, base: Path = PACKAGE_SET) -> Path:
    """A flake with the packages of `base` and some more: lines `name = …;`, which may call `made` and `program`."""
    folder.mkdir(parents=True, exist_ok=True)
    text = FLAKE.replace("SET", str(base)).replace("SYSTEM", this_system())
    (folder / "flake.nix").write_text(text.replace("PACKAGES", packages.strip("\n")))
    (folder / "flake.lock").unlink(missing_ok=True)
    if is_locked:
        nix("flake", "lock", f"path:{folder}")
    return folder


def nix(*words: str) -> str:
    """What a command of Nix prints; it must end well."""
    done = subprocess.run(["nix", *words], env={**os.environ, **NIX}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


class TellingNix:
    """A directory for PATH with a `nix` that writes down how it is called, and then is the real one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._log = folder / "calls"
        program = folder / "nix"
        program.write_text(f'#!/bin/sh\necho "$*" | head -n 1 >> {self._log}\nexec {shutil.which("nix")} "$@"\n')
        program.chmod(0o755)

    def calls(self) -> list[str]:
        """What it was asked since the last time, without options: `eval`, `build`, `flake metadata`…"""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        self._log.unlink(missing_ok=True)
        return [line.split("nix-command flakes ")[-1].partition(" --")[0] for line in lines if line != "--version"]
