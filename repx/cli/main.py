"""The `repx` command: finds the subcommand, imports only that one, prints errors; each has a file of its own."""

from __future__ import annotations

import errno
import sys
from importlib import import_module
from pathlib import Path

import click

from repx import __version__
from repx.cli.streams import open_streams, say, silence
from repx.errors import RepxError, UsageError

_COMMANDS = {
    "realize": ("repx.cli.realize:realize", "Build the Lab of an experiment."),
    "run": ("repx.cli.run:run", "Run what is missing."),
    "list": ("repx.cli.list:list_group", "List runs, jobs, dependencies, groups, Labs."),
    "show": ("repx.cli.show:show_group", "Show one job, or its outputs."),
    "log": ("repx.cli.log:log", "Show what a job printed."),
    "status": ("repx.cli.status:status", "Say what is done, and what is not."),
    "debug-run": ("repx.cli.debug_run:debug_run", "Do a job by hand, as it runs."),
    "verify": ("repx.cli.verify:verify", "Run done jobs again, and compare."),
    "push": ("repx.cli.push:push", "Bring results to another store."),
    "pull": ("repx.cli.push:pull", "Bring results from another store."),
    "pack": ("repx.cli.pack:pack", "Make one file of a Lab."),
    "unpack": ("repx.cli.pack:unpack", "Make a Lab of such a file."),
    "export": ("repx.cli.export:export", "Put outputs under names that people read."),
    "pin": ("repx.cli.pin:pin", "Keep a Lab, or a job's outputs, whatever is collected."),
    "unpin": ("repx.cli.pin:unpin", "Let go of what was pinned."),
    "gc": ("repx.cli.gc:gc", "Throw away what nothing needs."),
    "du": ("repx.cli.du:du", "Say what takes how much room."),
    "diff": ("repx.cli.diff:diff", "Say in what two Labs differ, or two states of an experiment."),
    "why": ("repx.cli.why:why", "Say why jobs are to run, or have run."),
    "doctor": ("repx.cli.doctor:doctor", "Say what this machine can do."),
}
"""Each subcommand with its module and its line of help, so that `repx --help` imports none of them."""


class _LazyGroup(click.Group):
    def list_commands(self, context: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, help_text) in _COMMANDS.items()])

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from repx.errors import nearest

        if args and args[0] not in _COMMANDS:
            raise UsageError(f"there is no command {args[0]!r}", hint=nearest(args[0], _COMMANDS))
        return super().resolve_command(context, args)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="repx")
def cli() -> None:
    """Experiments in plain Python, built into a self-contained Lab, run anywhere, queried by name and parameter."""


def main(argv: list[str] | None = None) -> None:
    """The console script. Exit status: 0 all well, 1 some job failed, 2 usage, definition or Lab, 130 interrupted."""
    open_streams()
    try:
        cli.main(args=argv, prog_name="repx", standalone_mode=False)
    except RepxError as error:
        print_error(error)
        sys.exit(error.exit_code)
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "repx":
            raise
        print_error(
            UsageError("this repx came with a Lab: it runs it and looks at it", hint="to realize one, install repx")
        )
        sys.exit(2)
    except click.exceptions.NoArgsIsHelpError as error:
        say(error.format_message())
        sys.exit(2)
    except click.ClickException as error:
        print_error(_as_usage_error(error))
        sys.exit(2)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of our output has closed it: drop what is still buffered.
        silence(sys.stdout)
        sys.exit(0)
    except OSError as error:
        known = _disk_error(error)
        if known is None:
            raise
        silence(sys.stdout)
        print_error(known)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _disk_error(error: OSError) -> RepxError | None:
    """What an error of the disk means to the user, where no traceback would say more."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RepxError(error.strerror or "the disk is full")
    try:
        Path.cwd()
    except FileNotFoundError:
        return RepxError("the working directory is gone", hint="go to another one: cd")
    return None


def _as_usage_error(error: click.ClickException) -> UsageError:
    """An error of click, in the form of our own errors."""
    message = error.format_message().rstrip(".")
    said, _, suggestion = message.partition(". Did you mean ")
    context = getattr(error, "ctx", None)
    help_command = f"{context.command_path if context is not None else 'repx'} --help"
    hint = f"did you mean {suggestion}" if suggestion else f"see {help_command}"
    return UsageError(said[:1].lower() + said[1:], hint=hint)


def print_error(error: RepxError) -> None:
    """Print an error on standard error, its headline in red on a terminal."""
    first, *rest = error.lines()
    say(first, color="red", bold=True)
    for line in rest:
        say(line)
