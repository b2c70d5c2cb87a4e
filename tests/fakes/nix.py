"""A `nix` to put where the real one is not: a small program that knows flakes, evaluates, builds and tells closures."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROGRAM = '''#!PYTHON -S
"""Answers from `world.json` beside it, and writes down in `calls` what it was asked."""
import json, os, re, sys

here = os.path.dirname(os.path.abspath(__file__))
world = json.load(open(here + "/world.json"))
words = sys.argv[1:]
with open(here + "/calls", "a") as calls:
    calls.write(json.dumps(words) + "\\n")


def fail(text):
    print(text, file=sys.stderr)
    raise SystemExit(1)


if words == ["--version"]:
    print(world["version"])
    raise SystemExit
if words[:2] != ["--extra-experimental-features", "nix-command flakes"]:
    fail("error: experimental Nix feature 'nix-command' is disabled")
if world["fails"].get(words[2]):
    fail(world["fails"][words[2]])
words = words[2:]

if words[:2] == ["flake", "metadata"]:
    url = world["url"] or words[-1] + "?narHash=sha256-x"
    print(json.dumps({"locked": {"narHash": world["revision"]}, "url": url, "locks": {"version": 7}}))
elif words[0] == "eval":
    literal = words[-1].rpartition("(builtins.fromJSON ")[2][1:-2]
    question = json.loads(re.sub(r"\\\\(.)", r"\\1", literal))
    for name in question["asked"]:
        if name in world["mistaken"]:
            fail("error: attribute 'nothing' missing")
        if name in world["throwing"] and not question["safe"]:
            fail("error: it throws")
    if question["programs"] and world["mistaken"]:
        fail("error: attribute 'nothing' missing")

    def answer(name):
        if name in world["throwing"]:
            return {"failed": True}
        return world["packages"].get(name) or {"absent": sorted(world["packages"])}

    programs = [{"name": n, "program": p["program"], "paths": p["paths"]} for n, p in sorted(world["packages"].items())]
    print(json.dumps({
        "packages": {name: answer(name) for name in question["asked"]},
        "present": [name for name in question["hints"] if name in world["packages"]],
        "programs": programs if question["programs"] else [],
    }))
elif words[0] == "build":
    for line in world["build"]["said"]:
        print(line, file=sys.stderr)
    raise SystemExit(world["build"]["status"])
elif words[0] == "path-info" and "--json" in words:
    if world["strict"] and "--json-format" not in words:
        fail("error: '--json' requires '--json-format'")
    if not world["strict"] and "--json-format" in words:
        fail("error: unrecognised flag '--json-format'")
    found = [path for name, path in world["closure"].items()]
    shown = {one["path"].rpartition("/")[2]: one for one in found}
    print(json.dumps({"version": 2, "storeDir": "/nix/store", "info": shown} if world["strict"] else found))
elif words[0] == "path-info":
    print("\\n".join(world["inputs"].get(words[-1], [])))
else:
    fail("error: '%s' is not a recognised command" % words[0])
'''


def store_name(name: str) -> str:
    """A store path's name, the same each time, that is not on this machine."""
    digits = "".join(
        "0123456789abcdfghijklmnpqrsvwxyz"[(ord(letter) * 7 + place) % 32] for place, letter in enumerate(name)
    )
    return f"{digits:0<32.32}-{name}"


@dataclass
class FakeNix:
    """The program in a folder, and what it knows; `packages` maps an attribute to its main program."""

    folder: Path
    version: str = "nix (Nix) 2.8.0"
    packages: dict[str, str] = field(default_factory=dict)
    throwing: tuple[str, ...] = ()
    """Attributes whose evaluation throws."""
    mistaken: tuple[str, ...] = ()
    """Attributes with a mistake that ends every evaluation that looks at them."""
    fails: dict[str, str] = field(default_factory=dict)
    """Subcommands that fail, with what they say."""
    url: str = ""
    """What pins the flake; else made of the reference."""
    revision: Any = "sha256-x"
    build: tuple[int, list[str]] = (0, [])
    """Exit status of `nix build`, and the lines of its log."""
    inputs: dict[str, list[str]] = field(default_factory=dict)
    strict: bool = False
    """Whether `path-info` has formats, one of which must be said."""

    @property
    def program(self) -> Path:
        """Where it is."""
        return self.folder / "nix"

    def write(self) -> FakeNix:
        """Put it there, or bring it up to date."""
        self.folder.mkdir(exist_ok=True)
        described = {
            name: {
                "drv": self.drv(name),
                "outputs": ["out"],
                "paths": [f"/nix/store/{store_name(name)}"],
                "program": program,
                "version": "1",
            }
            for name, program in self.packages.items()
        }
        closure = {
            name: {
                "path": f"/nix/store/{store_name(name)}",
                "narHash": "sha256-" + "A" * 43 + "=",
                "narSize": 1,
                "references": [],
            }
            for name in self.packages
        }
        status, said = self.build
        world = {
            **{name: getattr(self, name) for name in ("version", "throwing", "mistaken", "fails", "url", "revision")},
            "packages": described,
            "closure": closure,
            "build": {"status": status, "said": said},
            "inputs": self.inputs,
            "strict": self.strict,
        }
        (self.folder / "world.json").write_text(json.dumps(world))
        self.program.write_text(PROGRAM.replace("PYTHON", sys.executable))
        self.program.chmod(0o755)
        return self

    def drv(self, name: str) -> str:
        """The derivation of a package."""
        return f"/nix/store/{store_name(name)}.drv"

    def calls(self) -> list[list[str]]:
        """The arguments of all calls since the last time, without those that switch flakes on."""
        place = self.folder / "calls"
        lines = place.read_text().splitlines() if place.exists() else []
        place.unlink(missing_ok=True)
        found = [json.loads(line) for line in lines]
        return [words[2:] if words[0].startswith("--extra") else words for words in found]

    def commands(self) -> list[str]:
        """The subcommands of all calls since the last time."""
        return [words[0] for words in self.calls()]
