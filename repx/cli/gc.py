"""`repx gc`: throw away what nothing needs; `repx gc list` and `gc status` say what is kept and why."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from repx.cli.options import json_option, store_option
from repx.cli.render import note, print_facts, print_json, print_lines, print_table, size_text

if TYPE_CHECKING:
    from repx.store.gc.plan import Plan
    from repx.store.gc.reading import Look
    from repx.store.roots import Root

_KINDS = {"labs": "Labs", "outputs": "outputs", "objects": "objects", "notes": "notes"}
_SHOWN = 5


@click.group("gc", invoke_without_command=True)
@click.option("--dry-run", is_flag=True, help="Say what would go; delete nothing.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--pinned-only", is_flag=True, help="Keep what is pinned and nothing else.")
@click.option(
    "--older-than",
    default=None,
    metavar="AGE",
    help="Only what is older, such as 30d; of the Labs realized before, keep those that are younger.",
)
@click.option(
    "--keep-last",
    type=click.IntRange(0),
    default=None,
    metavar="N",
    help="How many Labs of each project to keep; default: 5, and all that notebooks have made.",
)
@click.option("--forget", is_flag=True, help="Remove the records too: what was collected is no longer done.")
@store_option
@json_option
@click.pass_context
def gc(
    context: click.Context,
    dry_run: bool,
    yes: bool,
    pinned_only: bool,
    older_than: str | None,
    keep_last: int | None,
    forget: bool,
    store_path: str | None,
    as_json: bool,
) -> None:
    """Throw away what no result link, pin or recent Lab needs: Labs, outputs, objects, notes, leftovers.

    Records stay: what was collected counts as done, and is made again when a job that runs needs it.
    """
    if context.invoked_subcommand is not None:
        return
    from repx.errors import UsageError
    from repx.store.gc.collect import clear_up, collect
    from repx.store.gc.plan import make_plan
    from repx.store.gc.reading import Policy
    from repx.store.location import open_store
    from repx.store.roots import refuse_missing_store

    store = open_store(store_path)
    refuse_missing_store(store)
    policy = Policy(keep_last, None if older_than is None else _age(older_than), pinned_only, forget)
    if not dry_run:
        if not yes and (as_json or not sys.stdin.isatty()):
            raise UsageError("repx gc deletes, and there is nobody to ask", hint="look first: --dry-run; then: --yes")
        clear_up(store)
    plan = make_plan(store, policy, _old_caches())
    if dry_run or plan.is_empty:
        print_json(_plan_json(plan, freed=False)) if as_json else _print_plan(plan, "would go")
        return
    if not yes:
        _print_plan(plan, "would go")
        click.confirm("delete it?", abort=True, err=True)
    done = collect(store, policy, plan)
    if as_json:
        left = [{"path": path, "reason": reason} for path, reason in done.left]
        print_json({**_plan_json(plan, freed=True), "left": left, "busy": done.busy})
    else:
        _print_plan(plan, "gone")
        for path, reason in done.left[:_SHOWN]:
            note(f"left: {path}: {reason}")
        if len(done.left) > _SHOWN:
            note(f"left: {len(done.left) - _SHOWN} more")
        if done.busy:
            note(f"left: {done.busy} outputs whose jobs somebody works on")


@gc.command("list")
@click.option("--sizes", is_flag=True, help="How much each root keeps.")
@click.option("--kind", type=click.Choice(["auto", "pinned"]), default=None, help="Only roots of this kind.")
@click.option("--project", default="", metavar="TEXT", help="Only roots with this in the path of the project or link.")
@store_option
@json_option
def list_roots(sizes: bool, kind: str | None, project: str, store_path: str | None, as_json: bool) -> None:
    """What is kept, and by what: pins, result links, Labs realized last, Labs of notebooks."""
    from repx.store.gc.held import kept_by
    from repx.store.gc.reading import Policy, look_at
    from repx.store.location import open_store
    from repx.store.roots import refuse_missing_store

    store = open_store(store_path)
    refuse_missing_store(store)
    look = look_at(store, Policy())
    chosen = [
        (root, path)
        for root, path in look.roots
        if (kind is None or (root.kind == "pin") == (kind == "pinned")) and project in (root.project or root.target)
    ]
    amounts = kept_by(store, look, [root for root, _ in chosen]) if sizes else {}
    counting = {root.path for root in look.counting}
    rows = []
    for root, path in chosen:
        state = "kept" if root.path in counting and path else "missing" if path == "" else "not kept"
        if path is None:
            state = "cannot be seen from here"
        if root.job:
            state = "kept"
        rows.append((root, state, amounts.get(root.path)))
    if as_json:
        print_json(
            [
                {
                    "kind": root.kind,
                    "name": root.name,
                    "leads_to": root.target,
                    "lab": root.lab or None,
                    "job": root.job or None,
                    "project": root.project or None,
                    "host": root.host or None,
                    "made": root.made_at,
                    "state": state,
                }
                | ({} if size is None else {"bytes": size.bytes, "files": size.files})
                for root, state, size in rows
            ]
        )
        return
    titles = ["kind", "keeps", "made", "state", *(["size"] if sizes else []), "for"]
    table = [
        [
            root.kind,
            (root.job or root.lab)[:12] or "-",
            time.strftime("%Y-%m-%d %H:%M", time.localtime(root.made_at)),
            state,
            *([size_text(size.bytes) if size is not None else "-"] if sizes else []),
            _title(root),
        ]
        for root, state, size in rows
    ]
    print_table(titles, table, numbers=["size"], empty="nothing is kept")


@gc.command("status")
@store_option
@json_option
def status(store_path: str | None, as_json: bool) -> None:
    """How much is needed, how much could go, and who works on the store."""
    from repx.store.gc.plan import make_plan
    from repx.store.gc.reading import Policy
    from repx.store.location import open_store
    from repx.store.roots import refuse_missing_store

    store = open_store(store_path)
    refuse_missing_store(store)
    plan = make_plan(store, Policy())
    look = plan.look
    roots = {kind: sum(root.kind == kind for root in look.counting) for kind in ("pin", "link", "lab", "call")}
    if as_json:
        users = [{"name": use.name, "lab": use.lab} for use in look.uses]
        print_json({"store": store.root, "roots": roots, "users": users, **_plan_json(plan, freed=False)})
        return
    print_facts(
        [
            ("store", store.root),
            ("roots", ", ".join(f"{count} {_ROOT_WORDS[kind]}" for kind, count in roots.items() if count) or "none"),
            ("used by", "\n".join(_user(use.lab) for use in look.uses) or "nobody now"),
            *((word, _count_text(plan, kind)) for kind, word in _KINDS.items()),
            ("could go", f"{size_text(plan.size.bytes)}: repx gc --dry-run"),
        ]
    )
    _print_notes(look)


_ROOT_WORDS = {"pin": "pinned", "link": "linked", "lab": "realized last", "call": "of notebooks"}


def _title(root: Root) -> str:
    if root.kind == "pin":
        return root.name
    return root.project or root.target + (f" on {root.host}" if root.host else "")


def _user(lab: str | None) -> str:
    return "somebody, it is not known for what" if lab is None else f"a run of {lab}" if lab else "somebody realizes"


def _count_text(plan: Plan, kind: str) -> str:
    gone, of = plan.counts[kind]
    return f"{of - gone} needed, {gone} not" if gone else f"{of} needed"


def _print_plan(plan: Plan, what: str) -> None:
    """A line for each kind of thing of which something goes, and the sum."""
    rows = []
    for kind, (gone, of) in plan.counts.items():
        size = plan.sizes.get(kind)
        if gone:
            rows.append([kind, f"{gone} of {of}", "-" if size is None else size_text(size.bytes)])
    if not rows:
        note("nothing can go: everything is needed")
    else:
        print_table(["kind", what, "size"], rows, numbers=[what, "size"])
        print_lines([f"{what}: {size_text(plan.size.bytes)} in {plan.size.files} files"])
    _print_notes(plan.look)


def _print_notes(look: Look) -> None:
    for path in look.unreadable[:_SHOWN]:
        note(f"no outputs go: a Lab that is kept cannot be read: {path}; realize it again, or let go of it")
    if look.picture.is_unclear:
        unseen = [root for root, path in look.roots if path is None]
        because = (
            f"a link cannot be seen from here: {_title(unseen[0])}" if unseen else "it is not known what somebody runs"
        )
        note(f"no outputs go: {because}")
    if look.picture.is_realizing:
        note("no Labs and objects go: somebody realizes now")
    for path in look.strangers[:_SHOWN]:
        note(f"left alone: {path}: repx has not made it")
    if len(look.strangers) > _SHOWN:
        note(f"left alone: {len(look.strangers) - _SHOWN} more that repx has not made")


def _plan_json(plan: Plan, *, freed: bool) -> dict[str, object]:
    kinds = {
        kind: {"gone": gone, "of": of, **({"bytes": plan.sizes[kind].bytes} if kind in plan.sizes else {})}
        for kind, (gone, of) in plan.counts.items()
    }
    return {
        "deleted": freed,
        "kinds": kinds,
        "bytes": plan.size.bytes,
        "files": plan.size.files,
        "unreadable": plan.look.unreadable,
        "strangers": plan.look.strangers,
    }


def _age(text: str) -> float:
    from repx.errors import DefinitionError, UsageError
    from repx.model.resources import Resources

    try:
        seconds = Resources.parse({"time": text}).time
    except DefinitionError:
        seconds = None
    if seconds is None or not any(letter in text for letter in "dhms"):
        raise UsageError(f"--older-than is {text!r}", hint='write it as "30d", "12h" or "1d12h"')
    return float(seconds)


def _old_caches() -> list[str]:
    """Files of the user's cache that nothing has written to for long."""
    from repx.realizer.cache import old_files

    return old_files(time.time())
