"""Commands for one device, or one account: its place, how it is opened, its errors."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

import asyncclick as click

from structiot.cli._common.completing import Completer
from structiot.cli._common.options import (
    Command,
    Decorator,
    OptionGroup,
    common_options,
    configure_logging,
    json_option,
)
from structiot.errors import ConnectFailed

__all__ = ["DeviceCommands", "DeviceTarget"]

D = TypeVar("D")
OpenDevice: TypeAlias = Callable[..., AbstractAsyncContextManager[D]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceTarget(Generic[D]):
    """The device that a command is for, not open yet.

    Attributes:
        place: What stands on the command line: its address or its name; None where the
            options say it all.
        open_device: Opens it, by the place and the options.
        options: Values of the options that say how.
    """

    place: str | None
    open_device: OpenDevice[D]
    options: Mapping[str, Any]

    def open(self) -> AbstractAsyncContextManager[D]:
        """Open the device."""
        place = () if self.place is None else (self.place,)
        return self.open_device(*place, **self.options)


class DeviceCommands(Generic[D]):
    """What the commands for one device of a system have in common.

    Called, it makes the decorator that gives a command the device, or its target:

        strip_command = DeviceCommands(open_strip, udp_port_option, advice="is it on?")

        @click.command()
        @strip_command()
        async def state(strip: Strip, *, wants_json: bool) -> None: ...
    """

    def __init__(
        self,
        open_device: OpenDevice[D],
        *options: Decorator,
        argument: str | None = "host",
        complete: Completer | None = None,
        advice: str = "",
    ) -> None:
        """Describe how devices are opened.

        Args:
            open_device: Opens one: takes what stands on the command line, and the
                values of the options by name.
            options: Options that say how; every command has them.
            argument: What a device is known by there: `host`, `name`; None where the
                options say it all, and what opens it takes nothing else.
            complete: Offers devices to shells.
            advice: What to try where there is no connection.
        """
        self._open_device = open_device
        self._options = options
        self._argument = argument
        place = () if argument is None else (argument,)
        self._place = [click.argument(one, shell_complete=complete) for one in place]
        self._advice = advice

    def __call__(
        self, *more: Decorator, opens: bool = True
    ) -> Callable[[Command], Command]:
        """Make a decorator: the command's first argument is the open device.

        It has `--json` (as `wants_json`) and the options of all commands, too.

        Args:
            more: Further options that say how this command opens its device.
            opens: Whether it is opened; if not, the command gets a `DeviceTarget`.
        """
        opening = OptionGroup(*self._options, *more)

        def decorate(command: Command) -> Command:
            @click.pass_context
            @functools.wraps(command)
            async def with_device(ctx: click.Context, /, **given: Any) -> None:  # noqa: ANN401 - values of options
                configure_logging(ctx)
                target = DeviceTarget(
                    place=self._argument and given.pop(self._argument),
                    open_device=self._open_device,
                    options=opening.take_from(given),
                )
                try:
                    if not opens:
                        await command(target, **given)
                        return
                    async with target.open() as device:
                        await command(device, **given)
                except ConnectFailed as exc:
                    if self._advice:
                        exc.add_note(self._advice)
                    raise

            options = OptionGroup(*self._place, opening, json_option, common_options)
            return options(with_device)

        return decorate
