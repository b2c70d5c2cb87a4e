"""What Nix can do here: flakes, its store, its sandbox; asks nothing that would make a store or a cache of it."""

from __future__ import annotations

import grp
import json
import os
import socket
import struct
import tempfile
from collections.abc import Iterable
from typing import Any

from repx.agent.capabilities import writing_problem
from repx.doctor.probe import Capability, Machine, State, numbers

_FEATURES = ["--extra-experimental-features", "nix-command flakes"]
_GIVES = "software closures: `packages` that travel with the Lab and are the same on every machine"
_INSTALL = "package nix-bin (Debian), nix (elsewhere), or the Nix project's own installer"

# Nix's src/libstore/worker-protocol.hh: each side says its number, the daemon then its version.
_HELLO, _HELLO_BACK = 0x6E697863, 0x6478696F


def probe_nix(machine: Machine) -> list[Capability]:
    """Nix, and when it is new enough, what it needs to build: one row for each."""
    program = machine.find("nix")
    if not program:
        return [Capability("Nix", State.NO, "not found", "", _GIVES, _INSTALL)]
    # `nix` keeps what it has evaluated; not this.
    with tempfile.TemporaryDirectory(prefix="repx-doctor-", ignore_cleanup_errors=True) as cache:
        return _probe(machine, program, {"XDG_CACHE_HOME": cache})


def _probe(machine: Machine, program: str, more: dict[str, str]) -> list[Capability]:
    told = machine.ask([program, "--version"], more=more)
    # Last, because some kinds of Nix say their own version before: "nix (Determinate Nix 3.5.2) 2.28.3".
    version = next(reversed(told.versions), "")
    if told.problem or not version:
        return [Capability("Nix", State.NO, told.problem or "says no version", program, _GIVES, _INSTALL)]
    if numbers(version) < (2, 4):
        found = f"{version}: has no flakes, which came with 2.4"
        return [Capability("Nix", State.LIMITED, found, program, _GIVES, "a newer one: " + _INSTALL)]
    evaluated = machine.ask([program, *_FEATURES, "eval", "--store", "dummy://", "--expr", "1"], more=more)
    problem = evaluated.problem or ("" if evaluated.stdout == "1" else f"evaluates 1 to {evaluated.stdout[:40]!r}")
    flakes = Capability("flakes", State.YES, "")
    if problem:
        flakes = Capability("flakes", State.NO, problem, "", _GIVES, "see nix.conf and NIX_CONFIG")
    settings = _settings(machine, program, version, more)
    return [
        Capability("Nix", State.YES, version, program),
        flakes,
        _store(machine, settings),
        *_sandbox(settings),
        *_substituters(settings),
    ]


def _settings(machine: Machine, program: str, version: str, more: dict[str, str]) -> dict[str, Any]:
    """Nix's settings by name; empty when they cannot be read."""
    ways = [["show-config"], ["config", "show"]]
    for way in reversed(ways) if numbers(version) >= (2, 20) else ways:
        told = machine.ask([program, *_FEATURES, *way, "--json"], more=more)
        try:
            return {name: one["value"] for name, one in json.loads(told.stdout).items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return {}


def _store(machine: Machine, settings: dict[str, Any]) -> Capability:
    """Whether something can be built into the store: by this user, else by a daemon, in Nix's own order."""
    gives = "building: without it only what the store has already can be used"
    given = machine.environment
    state = given.get("NIX_STATE_DIR") or "/nix/var/nix"
    store = given.get("NIX_STORE_DIR") or "/nix/store"
    remote = given.get("NIX_REMOTE") or "auto"
    if remote not in ("auto", "daemon", "local"):
        return Capability("Nix store", State.YES, f"NIX_REMOTE = {remote} (not asked)")
    refused = [f"{place}: {why}" for place in (store, state) if (why := writing_problem(existing_above(place)))]
    if remote == "local" or (remote == "auto" and not refused):
        if refused:
            return Capability("Nix store", State.NO, refused[0], store, gives, "unset NIX_REMOTE and start nix-daemon")
        return _own_store(store, str(settings.get("build-users-group", "")))
    path = given.get("NIX_DAEMON_SOCKET_PATH") or f"{state}/daemon-socket/socket"
    problem = daemon_problem(path)
    if not problem:
        return Capability("Nix store", State.YES, "by the daemon", store)
    found = f"the daemon: {problem}" + (f"; {refused[0]}" if refused else "")
    remedy = "start nix-daemon (Debian: package nix-setup-systemd); some systems let in the group nix-users only"
    return Capability("Nix store", State.NO, found, path, gives, remedy)


def _own_store(store: str, group: str) -> Capability:
    if os.geteuid() == 0 and group and not _has_members(group):
        found = f"written by this user, but {group!r}, whose members build for root, is no group or empty"
        gives = "building as root"
        return Capability("Nix store", State.LIMITED, found, store, gives, "`build-users-group =` in NIX_CONFIG")
    return Capability("Nix store", State.YES, "written by this user", store)


def _has_members(group: str) -> bool:
    try:
        return bool(grp.getgrnam(group).gr_mem)
    except KeyError:
        return False


def _sandbox(settings: dict[str, Any]) -> Iterable[Capability]:
    if "sandbox" not in settings:
        yield Capability("Nix sandbox", State.LIMITED, "nix does not tell its settings")
    elif settings["sandbox"] is True:
        fallback = settings.get("sandbox-fallback") is True
        found = "on" + (", but left out where it cannot be had (sandbox-fallback = true)" if fallback else "")
        yield Capability("Nix sandbox", State.YES, found)
    else:
        found = f"sandbox = {str(settings['sandbox']).lower()}: builds may see this machine's files and network"
        gives = "closures that come out the same elsewhere"
        yield Capability("Nix sandbox", State.LIMITED, found, "", gives, "`sandbox = true` in nix.conf or NIX_CONFIG")


def _substituters(settings: dict[str, Any]) -> Iterable[Capability]:
    if "substituters" in settings:
        caches = " ".join(map(str, settings["substituters"]))
        gives = "ready-made packages; without one everything is built here"
        without = Capability("Nix caches", State.NO, "none", "", gives, "`substituters` in nix.conf")
        yield Capability("Nix caches", State.YES, f"{caches} (not asked)") if caches else without


def daemon_problem(path: str, within_s: float = 2.0) -> str:
    """Why no Nix daemon answers at a socket; empty when one does. No more is said than the first word."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(within_s)
            connection.connect(path)
            connection.sendall(struct.pack("<Q", _HELLO))
            said = connection.recv(16, socket.MSG_WAITALL)
    except TimeoutError:
        return f"no answer within {within_s:g} s"
    except OSError as error:
        return str(error.strerror or error)
    return "" if said[:8] == struct.pack("<Q", _HELLO_BACK) else "what answers is no Nix daemon"


def existing_above(path: str) -> str:
    """The path, or the nearest directory above it that is there: where it would be made."""
    while not os.path.lexists(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path
