"""The console of a simulated platform: gives devices commands, and trouble to us."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from ssl import SSLContext
from typing import Any, Final, Protocol, TypeAlias, TypeVar

import anyio
import anyio.lowlevel
import asyncclick as click
from anyio.abc import TaskGroup

from structiot._kit.net.tls import server_context
from structiot._kit.text import error_text, printable
from structiot.cli._common.output import say_at_terminal
from structiot.cli._common.typed_lines import TypedLines
from structiot.cli.sim.listing import complete_fault
from structiot.errors import StructiotError
from structiot.sim import FaultNames, Faults, show_fault

__all__ = [
    "Console",
    "PlatformSim",
    "Words",
    "device_types_of",
    "platform_options",
    "tls_context",
]

F = TypeVar("F", bound=Callable[..., Any])
Parts: TypeAlias = Mapping[str, str | None]
Words: TypeAlias = Mapping[str, tuple[str, Callable[[], Awaitable[None] | None]]]
"""What can be typed alone: what it does, in words, and by what."""

_PATIENCE_S: Final = 30.0
_COMMAND: Final = "DEVICE SERVICE [DATA [METADATA]]"
_FAULT: Final = "fault NAME[=VALUE][@WHAT][*TIMES]"


class PlatformSim(Protocol):
    """What the console asks of a simulated platform."""

    @property
    def named_faults(self) -> FaultNames:
        """What it can get wrong."""
        ...

    @property
    def faults(self) -> Faults:
        """What it gets wrong."""
        ...

    async def send_command(
        self, device: str, service: str, parts: Parts | None = None, /
    ) -> object:
        """Give a device a command, and wait for the response."""
        ...


class Console:
    """Takes what is typed.

    Args:
        platform: What it is for.
        tasks: For what takes a while.
        words: What else can be typed, alone.
    """

    def __init__(self, platform: PlatformSim, tasks: TaskGroup, words: Words) -> None:
        self._platform: Any = platform
        self._tasks = tasks
        self._words: Words = {
            "help": ("say all this", self._help),
            **words,
            "behave": ("get nothing wrong any more", platform.faults.clear),
        }

    def _help(self) -> None:
        lines = {
            _COMMAND: """give a device a command: lamp-1 on '{"level": 5}'""",
            _FAULT: "get something wrong: fault delay=5*1",
            **{word: about for word, (about, _) in self._words.items()},
        }
        for typed, about in lines.items():
            click.echo(f"{typed:33} {about}", err=True)

    async def run(self) -> None:
        """Do what is typed, until the input ends."""
        say_at_terminal(f"Type {_COMMAND} to give a command, or help.")
        async for line in TypedLines():
            try:
                await self._obey(shlex.split(line))
            except (StructiotError, ValueError) as exc:
                _say(error_text(exc))

    async def _obey(self, words: list[str]) -> None:
        match words:
            case []:
                return
            case [word]:
                if word not in self._words:
                    _say(f"{word} needs a service; help says what can be typed")
                elif (going_on := self._words[word][1]()) is not None:
                    await going_on
            case ["fault", text]:
                self._platform.named_faults.parse(text)
                self._tasks.start_soon(show_fault, self._platform, text)
                # What begins at once has begun when the next line is obeyed.
                await anyio.lowlevel.checkpoint()
                await anyio.lowlevel.checkpoint()
            case [device, service]:
                self._tasks.start_soon(self._command, device, service, None)
            case [device, service, data, *rest] if len(rest) <= 1:
                parts = {"metadata": "".join(rest), "data": data}
                self._tasks.start_soon(self._command, device, service, parts)
            case _:
                _say("too many words: put DATA and METADATA into quotes")

    async def _command(self, device: str, service: str, parts: Parts | None) -> None:
        """Give a command; its response is shown like all others."""
        try:
            with anyio.fail_after(_PATIENCE_S):
                await self._platform.send_command(device, service, parts)
        except StructiotError as exc:
            _say(error_text(exc))
        except TimeoutError:
            _say(f"{device} has not responded to {service} within {_PATIENCE_S:g} s")


def _say(text: str) -> None:
    click.echo(printable(text), err=True)


def platform_options(password_variable: str, faults: str) -> Callable[[F], F]:
    """Add the options of every simulated platform to a command.

    Args:
        password_variable: The environment's variable that has the password.
        faults: Two that it can get wrong, with `` ` or ` `` between them.
    """
    path = click.Path(path_type=Path)
    options = (
        click.option("--user", default="testuser", help="Who may log in."),
        click.option(
            "--password",
            default="secret",
            envvar=password_variable,
            show_envvar=True,
            help="With which password.",
        ),
        click.option(
            "--type",
            "types",
            multiple=True,
            metavar="TYPE=SERVICE,SERVICE",
            help="A device type that there is, and its services; several may be given. By"
            " default there is any, with any services.",
        ),
        click.option("--certfile", type=path, help="Certificate for TLS."),
        click.option(
            "--keyfile", type=path, help="Its key, if that is not in the same file."
        ),
        click.option(
            "--fault",
            "fault_texts",
            shell_complete=complete_fault,
            metavar="NAME[=VALUE][@WHAT][*TIMES][+SECONDS]",
            multiple=True,
            help=f"What it gets wrong, such as `{faults}`. `structiot sim faults` lists"
            " them.",
        ),
    )

    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def tls_context(certfile: Path, keyfile: Path | None) -> SSLContext:
    """Read a certificate; blocks."""
    return server_context(certfile=certfile, keyfile=keyfile)


def device_types_of(texts: Sequence[str]) -> dict[str, list[str]] | None:
    """Read the device types.

    Raises:
        click.UsageError: One is not written so.
    """
    if not texts:
        return None
    found: dict[str, list[str]] = {}
    for text in texts:
        name, equals, services = text.partition("=")
        if not name or not equals:
            raise click.UsageError(f"--type is TYPE=SERVICE,SERVICE, not {text!r:.100}")
        found[name] = [one.strip() for one in services.split(",") if one.strip()]
    return found
