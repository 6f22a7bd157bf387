"""What all commands for one device share: its address, its ports, its errors."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeAlias

import asyncclick as click

from structiot.cli.maxsmart.complete import complete_host, complete_port
from structiot.cli.options import common_options, configure_logging
from structiot.errors import ConnectFailed
from structiot.maxsmart import Capability, MaxSmartStrip, maxsmart_device
from structiot.maxsmart.info import check_port

__all__ = [
    "Command",
    "Where",
    "assume_option",
    "device_command",
    "http_port_option",
    "one_port",
    "ports_argument",
    "ports_meant",
    "udp_port_option",
]

Command: TypeAlias = Callable[..., Coroutine[Any, Any, None]]
Decorator: TypeAlias = Callable[[Any], Any]

assume_option: Decorator = click.option(
    "--try-anyway",
    "is_assumed",
    is_flag=True,
    help="Ask it even if no device with its firmware is known to be able to.",
)
udp_port_option: Decorator = click.option(
    "--udp-port",
    type=click.IntRange(1, 65535),
    default=8888,
    show_default=True,
    help="UDP port of discovery.",
)
http_port_option: Decorator = click.option(
    "--http-port",
    type=click.IntRange(1, 65535),
    default=80,
    show_default=True,
    help="TCP port of commands.",
)
_timeout_option = click.option(
    "--timeout",
    "connect_s",
    type=click.FloatRange(min=0, min_open=True),
    default=5.0,
    show_default=True,
    help="Longest wait for the device to answer, in seconds.",
)
_port = click.IntRange(0, 64)
one_port: Decorator = click.argument("port", type=_port, shell_complete=complete_port)
ports_argument: Decorator = click.argument(
    "ports",
    metavar="[PORT]...",
    nargs=-1,
    type=_port,
    shell_complete=complete_port,
)

_ADVICE = "is it on, and in this network? `structiot maxsmart discover` finds devices"


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Which device a command is for."""

    host: str
    http_port: int
    udp_port: int
    connect_s: float

    def opened(
        self, *, poll_s: float = 5.0, assume: Sequence[Capability] = ()
    ) -> AbstractAsyncContextManager[MaxSmartStrip]:
        """Open the device."""
        return maxsmart_device(
            self.host,
            port=self.http_port,
            udp_port=self.udp_port,
            poll_s=poll_s,
            connect_s=self.connect_s,
            assume_supported=assume,
        )


def device_command(command: Command) -> Command:
    """Give a command HOST and the network ports of the device, as argument `where`."""

    @click.pass_context
    @functools.wraps(command)
    async def with_where(
        ctx: click.Context,
        /,
        host: str,
        http_port: int,
        udp_port: int,
        connect_s: float,
        **options: object,
    ) -> None:
        configure_logging(ctx)
        where = Where(
            host=host, http_port=http_port, udp_port=udp_port, connect_s=connect_s
        )
        try:
            await command(where, **options)
        except ConnectFailed as exc:
            exc.add_note(_ADVICE)
            raise

    for option in (
        common_options,
        _timeout_option,
        udp_port_option,
        http_port_option,
        click.argument("host", shell_complete=complete_host),
    ):
        with_where = option(with_where)
    return with_where


def ports_meant(strip: MaxSmartStrip, ports: Sequence[int]) -> list[int]:
    """Give the ports of PORT...: all of them for none and for 0, each once.

    Raises:
        UsageError: One does not exist; so nothing is done to the others either.
    """
    for port in ports:
        check_port(strip.info, port, may_be_all=True)
    if not ports or 0 in ports:
        return list(range(1, strip.info.port_count + 1))
    return list(dict.fromkeys(ports))
