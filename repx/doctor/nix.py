"""What Nix can do here: flakes, its store, its sandbox; asks nothing that would make Nix write a store or a cache."""

from __future__ import annotations

import grp
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from repx.agent.capabilities import writing_problem
from repx.doctor.probe import Capability, Presence, Printed, Programs, numbers

_FEATURES = ["--extra-experimental-features", "nix-command flakes"]
_GIVES = "software closures: `packages` that travel with the Lab and are the same on every machine"
_INSTALL = "package nix-bin (Debian), nix (elsewhere), or the Nix project's own installer"


def probe_nix(programs: Programs) -> list[Capability]:
    """Nix, and when it is new enough, what it needs to build: one row for each."""
    program = programs.find("nix")
    if not program:
        return [Capability("Nix", Presence.NO, "not found", "", _GIVES, _INSTALL)]
    # `nix` keeps what it has evaluated; not this.
    with tempfile.TemporaryDirectory(prefix="repx-doctor-", ignore_cleanup_errors=True) as cache:
        return _probe(programs, program, {"XDG_CACHE_HOME": cache})


@dataclass(frozen=True, slots=True)
class _Settings:
    """What Nix is told by nix.conf and NIX_CONFIG; None where Nix does not tell."""

    sandbox: str | None = None
    sandbox_fallback: bool = False
    substituters: tuple[str, ...] | None = None
    build_users_group: str = ""


@dataclass(frozen=True, slots=True)
class _Nix:
    """The program, new enough to be asked by subcommands."""

    programs: Programs
    program: str
    version: str
    more: Mapping[str, str]

    def ask(self, *arguments: str) -> Printed:
        return self.programs.ask([self.program, *_FEATURES, *arguments], more=self.more)

    def settings(self) -> _Settings:
        ways = [["show-config"], ["config", "show"]]
        for way in reversed(ways) if numbers(self.version) >= (2, 20) else ways:
            try:
                return _parse_settings(self.ask(*way, "--json").stdout)
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
        return _Settings()

    def daemon_problem(self) -> str:
        """Why the daemon does not answer; empty when it does."""
        return self.ask("store", "info" if numbers(self.version) >= (2, 19) else "ping", "--store", "daemon").problem


def _parse_settings(text: str) -> _Settings:
    values: dict[str, Any] = {name: one["value"] for name, one in json.loads(text).items()}
    sandbox, substituters = values.get("sandbox"), values.get("substituters")
    return _Settings(
        None if sandbox is None else str(sandbox).lower(),
        values.get("sandbox-fallback") is True,
        None if substituters is None else tuple(map(str, substituters)),
        str(values.get("build-users-group", "")),
    )


def _probe(programs: Programs, program: str, more: Mapping[str, str]) -> list[Capability]:
    told = programs.ask([program, "--version"], more=more)
    # Last, because some kinds of Nix say their own version before: "nix (Determinate Nix 3.5.2) 2.28.3".
    version = next(reversed(told.versions), "")
    if told.problem or not version:
        return [Capability("Nix", Presence.NO, told.problem or "says no version", program, _GIVES, _INSTALL)]
    if numbers(version) < (2, 4):
        found = f"{version}: has no flakes, which came with 2.4"
        return [Capability("Nix", Presence.LIMITED, found, program, _GIVES, "a newer one: " + _INSTALL)]
    nix = _Nix(programs, program, version, more)
    evaluated = nix.ask("eval", "--store", "dummy://", "--expr", "1")
    problem = evaluated.problem or ("" if evaluated.stdout == "1" else f"evaluates 1 to {evaluated.stdout[:40]!r}")
    flakes = Capability("flakes", Presence.YES, "")
    if problem:
        flakes = Capability("flakes", Presence.NO, problem, "", _GIVES, "see nix.conf and NIX_CONFIG")
    settings = nix.settings()
    return [
        Capability("Nix", Presence.YES, version, program),
        flakes,
        _store(nix, settings),
        *_sandbox(settings),
        *_substituters(settings),
    ]


def _store(nix: _Nix, settings: _Settings) -> Capability:
    """Whether something can be built into the store: by this user, else by a daemon, in Nix's own order."""
    gives = "building: without it only what the store has already can be used"
    given = nix.programs.environment
    state = given.get("NIX_STATE_DIR") or "/nix/var/nix"
    store = given.get("NIX_STORE_DIR") or "/nix/store"
    remote = given.get("NIX_REMOTE") or "auto"
    if remote not in ("auto", "daemon", "local"):
        return Capability("Nix store", Presence.YES, f"NIX_REMOTE = {remote} (not asked)")
    refused = [f"{place}: {why}" for place in (store, state) if (why := writing_problem(existing_above(place)))]
    if remote == "local" or (remote == "auto" and not refused):
        if refused:
            return Capability(
                "Nix store", Presence.NO, refused[0], store, gives, "unset NIX_REMOTE and start nix-daemon"
            )
        return _own_store(store, settings.build_users_group)
    problem = nix.daemon_problem()
    if not problem:
        return Capability("Nix store", Presence.YES, "by the daemon", store)
    found = f"the daemon: {problem}" + (f"; {refused[0]}" if refused else "")
    remedy = "start nix-daemon (Debian: package nix-setup-systemd); some systems let in the group nix-users only"
    path = given.get("NIX_DAEMON_SOCKET_PATH") or f"{state}/daemon-socket/socket"
    return Capability("Nix store", Presence.NO, found, path, gives, remedy)


def _own_store(store: str, group: str) -> Capability:
    if os.geteuid() == 0 and group and not _has_members(group):
        found = f"written by this user, but {group!r}, whose members build for root, is not a group or has no members"
        gives = "building as root"
        return Capability("Nix store", Presence.LIMITED, found, store, gives, "`build-users-group =` in NIX_CONFIG")
    return Capability("Nix store", Presence.YES, "written by this user", store)


def _has_members(group: str) -> bool:
    try:
        return bool(grp.getgrnam(group).gr_mem)
    except KeyError:
        return False


def _sandbox(settings: _Settings) -> Iterable[Capability]:
    if settings.sandbox is None:
        yield Capability("Nix sandbox", Presence.LIMITED, "nix does not tell its settings")
    elif settings.sandbox == "true":
        fallback = ", but left out where it cannot be had (sandbox-fallback = true)" * settings.sandbox_fallback
        yield Capability("Nix sandbox", Presence.YES, "on" + fallback)
    else:
        found = f"sandbox = {settings.sandbox}: builds may see this machine's files and network"
        gives = "closures that come out the same elsewhere"
        yield Capability(
            "Nix sandbox", Presence.LIMITED, found, "", gives, "`sandbox = true` in nix.conf or NIX_CONFIG"
        )


def _substituters(settings: _Settings) -> Iterable[Capability]:
    if settings.substituters is not None:
        caches = " ".join(settings.substituters)
        gives = "ready-made packages; without one everything is built here"
        without = Capability("Nix caches", Presence.NO, "none", "", gives, "`substituters` in nix.conf")
        yield Capability("Nix caches", Presence.YES, f"{caches} (not asked)") if caches else without


def existing_above(path: str) -> str:
    """The path, or the nearest directory above it that is there: where it would be made."""
    while not os.path.lexists(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path
