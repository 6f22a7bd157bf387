"""Options that every command has, and what they decide before anything runs."""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeAlias, TypeVar

import asyncclick as click
from asyncclick.core import ParameterSource

from structiot.cli._common.log_lines import log_handler

__all__ = [
    "BACKENDS",
    "LOG_FORMAT",
    "LOG_LEVELS",
    "Command",
    "Decorator",
    "OptionGroup",
    "backend_of",
    "backend_option",
    "common_options",
    "configure_logging",
    "is_given",
    "json_option",
    "option_names",
    "port_option",
    "refuse_given",
    "spellings",
    "wants_debug",
]

F = TypeVar("F", bound=Callable[..., Any])
Command: TypeAlias = Callable[..., Coroutine[Any, Any, None]]
Decorator: TypeAlias = Callable[[Any], Any]

json_option: Decorator = click.option(
    "--json", "wants_json", is_flag=True, help="Print JSON."
)


def port_option(name: str, default: int, about: str, *, least: int = 0) -> Decorator:
    """Make an option that is a TCP or UDP port; by `least`, 0 is one or is none."""
    kind = click.IntRange(least, 65535)
    return click.option(name, type=kind, default=default, help=about)


def refuse_given(ctx: click.Context, names: Iterable[str], why: str) -> None:
    """Refuse options that would change nothing, if they stand on the command line.

    What a variable of the environment says is for other calls as well: it is passed over.

    Args:
        ctx: The command's context.
        names: What the command's parameters are called.
        why: What the option stands in front of, such as `goes with --uri`.

    Raises:
        click.UsageError: One of them was given.
    """
    wanted = set(names)
    for one in ctx.command.params:
        if one.name in wanted and is_given(ctx, one.name):
            raise click.UsageError(f"{spellings(ctx, one.name)} {why}")


def spellings(ctx: click.Context, name: str) -> str:
    """Give all that an option may be called: nobody can tell which was written."""
    found = (one.opts for one in ctx.command.params if one.name == name)
    return "/".join(next(found))


def is_given(ctx: click.Context, name: str) -> bool:
    """Tell whether a parameter stands on the command line."""
    return ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE


BACKENDS = ("asyncio", "trio", "uvloop")
_VARIABLE = "STRUCTIOT_BACKEND"
_VERBOSITY = "structiot.verbosity"
LOG_FORMAT = "structiot.log_format"
LOG_LEVELS = "structiot.log_levels"
_LEVELS = (logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG)


def backend_of(arguments: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Find the event loop that the arguments or `STRUCTIOT_BACKEND` ask for.

    The loop runs before the options are parsed, so they are looked through here.

    Raises:
        click.UsageError: No such backend, or it is not installed.
    """
    name = os.environ.get(_VARIABLE) or "asyncio"
    for index, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument == "--backend" and index + 1 < len(arguments):
            name = arguments[index + 1]
        elif argument.startswith("--backend="):
            name = argument.partition("=")[2]
    if name not in BACKENDS:
        message = f"{name!r} is no backend; there are {', '.join(BACKENDS)}"
        raise click.UsageError(message)
    if name != "uvloop":
        return name, {}
    if importlib.util.find_spec("uvloop") is None:
        message = "uvloop is not installed; pip install 'structiot[uvloop]'"
        raise click.UsageError(message)
    return "asyncio", {"use_uvloop": True}


def option_names(command: click.Command) -> dict[str, str]:
    """Give what arguments of the library are called as options of a command.

    What a file holds in the shell, `--password-file`, is one thing or several there; what
    is for the broker alone, `--broker-cafile`, is there what it is anywhere.
    """
    options = [one for one in command.params if isinstance(one, click.Option)]
    named = {one.name: max(one.opts, key=len) for one in options if one.name}
    files = {
        n.removesuffix("_file"): o for n, o in named.items() if n.endswith("_file")
    }
    brokers = {
        n.removeprefix("broker_"): o
        for n, o in named.items()
        if n.startswith("broker_")
    }
    return {**brokers, **{f"{n}s": o for n, o in files.items()}, **files, **named}


def wants_debug(arguments: Sequence[str]) -> bool:
    """Tell whether tracebacks are wanted."""
    return "--debug" in arguments


class OptionGroup:
    """Options whose values belong together, and are not the command's own."""

    def __init__(self, *options: Decorator) -> None:
        self._options = options

    def __call__(self, command: F) -> F:
        """Give a command the options."""
        for option in reversed(self._options):
            command = option(command)
        return command

    def take_from(self, given: dict[str, Any]) -> dict[str, Any]:
        """Take the values of these options out of those that a command is given."""
        return {name: given.pop(name) for name in self.names}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What a command is given their values by."""
        params = click.command()(self(lambda: None)).params
        return tuple(one.name for one in params if one.name and one.expose_value)


def _louder(ctx: click.Context, _option: click.Parameter, times: int) -> None:
    ctx.meta[_VERBOSITY] = ctx.meta.get(_VERBOSITY, 0) + times


def _quieter(ctx: click.Context, _option: click.Parameter, times: int) -> None:
    ctx.meta[_VERBOSITY] = ctx.meta.get(_VERBOSITY, 0) - 2 * times


backend_option: Decorator = click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    expose_value=False,
    help=f"Event loop; by default ${_VARIABLE}, else asyncio.",
)
common_options = OptionGroup(
    backend_option,
    click.option(
        "-v",
        "--verbose",
        count=True,
        expose_value=False,
        callback=_louder,
        show_default=False,
        help="Say more; twice for everything.",
    ),
    click.option(
        "-q",
        "--quiet",
        count=True,
        expose_value=False,
        callback=_quieter,
        show_default=False,
        help="Say errors only.",
    ),
    click.option("--debug", is_flag=True, expose_value=False, help="Show tracebacks."),
)


def configure_logging(ctx: click.Context, *, usual: int = logging.WARNING) -> None:
    """Send structiot's messages to standard error.

    Args:
        ctx: The command's context, which knows `-v`, `-q` and `log_options`.
        usual: The level without either.
    """
    place = _LEVELS.index(usual) + ctx.meta.get(_VERBOSITY, 0)
    level = _LEVELS[max(0, min(place, len(_LEVELS) - 1))]
    is_everything = level == logging.DEBUG
    own_levels: Mapping[str, int] = ctx.meta.get(LOG_LEVELS, {})
    handler = log_handler(
        option_names(ctx.command),
        log_format=ctx.meta.get(LOG_FORMAT, "text"),
        with_traceback=bool(ctx.find_root().params.get("debug"))
        or "--debug" in sys.argv,
        with_name=is_everything or bool(own_levels),
        repeats=is_everything,
    )
    logger = logging.getLogger("structiot")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(level)
    # The gateway says itself what happens to its broker.
    hushed = logging.NOTSET if is_everything else logging.WARNING
    logging.getLogger("structiot.mqtt").setLevel(hushed)
    for name, own_level in own_levels.items():
        logging.getLogger(name).setLevel(own_level)
