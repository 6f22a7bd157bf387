"""The entry of the program: which loop, which command, which exit status.

| status | means |
|---|---|
| 0 | done, or ended by the first SIGINT or SIGTERM where a command runs until then |
| 1 | it failed; one line on standard error says why |
| 2 | the arguments or the configuration are wrong |
| 130 | interrupted; a command that runs until then, by a second signal |
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches

import anyio
import asyncclick as click
from asyncclick.exceptions import NoSuchCommand

from structiot._kit.text import fault_text, with_names
from structiot.cli._common.command_folder import CommandFolder
from structiot.cli._common.hangups import let_hangups_go
from structiot.cli._common.leaving import interrupts_end
from structiot.cli._common.options import (
    backend_of,
    common_options,
    option_names,
    wants_debug,
)
from structiot.errors import ConfigError, StructiotError, UsageError

__all__ = ["main", "run_program"]

PROGRAM = "structiot"
FAILED = 1
MISUSED = 2
INTERRUPTED = 130
# How alike a name is that is proposed for another, at least.
_CLOSE = 0.7


@click.group(
    PROGRAM,
    cls=CommandFolder,
    entry_points="structiot.commands",
    context_settings={"show_default": True},
)
@click.version_option(package_name="structiot", prog_name=PROGRAM)
@common_options
@click.pass_context
def main(ctx: click.Context) -> None:
    """MQTT, MaxSmart and more, with structured concurrency."""
    # The gateway answers it; everybody else is ended by it.
    if ctx.invoked_subcommand != "run":
        let_hangups_go()


def run_program(arguments: Sequence[str] | None = None) -> int:
    """Run the program and give its exit status.

    Args:
        arguments: What stands behind the program's name; else those of the process.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    _write_whatever_it_is()
    command: click.Command = main
    try:
        backend, options = backend_of(given)
        command = main.import_for(given)
        return anyio.run(_main, given, backend=backend, backend_options=options)
    # The one place where everything ends that nobody has handled.
    except BaseException as exc:  # noqa: BLE001, ASYNC103, ASYNC104
        if wants_debug(given) and not isinstance(exc, SystemExit):
            sys.excepthook(type(exc), exc, exc.__traceback__)
        return _status_of(exc, command)  # noqa: ASYNC104


async def _main(arguments: Sequence[str]) -> int:
    with interrupts_end():
        status: object = await main.main(
            list(arguments), prog_name=PROGRAM, standalone_mode=False
        )
    return status if isinstance(status, int) else 0


def _status_of(error: BaseException, command: click.Command) -> int:
    match error:
        case SystemExit(code=code):
            return code if isinstance(code, int) else FAILED
        case KeyboardInterrupt() | click.Abort():
            return INTERRUPTED
        # What else went wrong is for want of what was interrupted.
        case BaseExceptionGroup() if error.subgroup(KeyboardInterrupt) is not None:
            return INTERRUPTED
        case click.ClickException():
            _with_close_names(error).show()
            return error.exit_code
        case BrokenPipeError():
            _let_go_of_output()
            return FAILED
    for line in _lines_of(error):
        _say(with_names(line, option_names(command)))
    return MISUSED if isinstance(error, ConfigError | UsageError) else FAILED


def _with_close_names(error: click.ClickException) -> click.ClickException:
    """Propose commands that are near, and options that share more than their dashes."""
    if isinstance(error, NoSuchCommand) and error.ctx is not None:
        known: Sequence[str] = ()
        if isinstance(error.ctx.command, click.Group):
            known = error.ctx.command.list_commands(error.ctx)
        return NoSuchCommand(error.command_name, possibilities=known, ctx=error.ctx)
    if not isinstance(error, click.NoSuchOption):
        return error
    names = {name.lstrip("-"): name for name in error.possibilities or ()}
    close = get_close_matches(error.option_name.lstrip("-"), names, cutoff=_CLOSE)
    found = [names[name] for name in close]
    return click.NoSuchOption(error.option_name, possibilities=found, ctx=error.ctx)


def _lines_of(error: BaseException) -> list[str]:
    # By its attribute: importing the class would import the whole gateway.
    if isinstance(error, ConfigError) and hasattr(error, "problems"):
        return [str(problem) for problem in error.problems]
    if isinstance(error, StructiotError):
        # Notes say what else is known, or what to do.
        notes = getattr(error, "__notes__", ())
        return [f"{PROGRAM}: {'; '.join([str(error), *notes])}"]
    what = fault_text(error)
    return [f"{PROGRAM}: internal error: {what}; --debug shows where"]


def _write_whatever_it_is() -> None:
    """Let a name that the output's encoding cannot write be a `?`, not an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")


def _say(text: str) -> None:
    click.echo(" ".join(text.splitlines()), err=True)


def _let_go_of_output() -> None:
    # Whoever read our output has gone; Python must not complain at its end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
