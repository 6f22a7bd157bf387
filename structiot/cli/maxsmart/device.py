"""What all commands for one device share: how it is opened."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import asyncclick as click

from structiot.cli._common.device_commands import DeviceCommands
from structiot.cli._common.options import Decorator, port_option
from structiot.cli._common.output import members
from structiot.cli.maxsmart.complete import complete_host, devices_that_answer
from structiot.errors import ConnectFailed, UsageError
from structiot.maxsmart import Capability, MaxSmartStrip, maxsmart_device
from structiot.model import Reading

__all__ = [
    "by_port",
    "http_port_option",
    "strip_command",
    "try_anyway",
    "udp_port_option",
]

udp_port_option: Decorator = port_option(
    "--udp-port", 8888, "UDP port of discovery.", least=1
)
http_port_option: Decorator = port_option(
    "--http-port", 80, "TCP port of commands.", least=1
)
_timeout_option = click.option(
    "--timeout",
    "connect_s",
    type=click.FloatRange(min=0, min_open=True),
    default=5.0,
    help="Longest wait for the device to answer, in seconds.",
)


def try_anyway(capability: Capability) -> Decorator:
    """Make the option that has a device asked for what it may not be able to."""
    return click.option(
        "--try-anyway",
        "assumed",
        flag_value=capability,
        help="Ask it even if no device with its firmware is known to be able to.",
    )


@asynccontextmanager
async def _open_strip(
    host: str,
    *,
    http_port: int,
    udp_port: int,
    connect_s: float,
    poll_s: float = 5.0,
    assumed: Capability | None = None,
) -> AsyncGenerator[MaxSmartStrip]:
    async with maxsmart_device(
        await _address_of(host, udp_port),
        http_port=http_port,
        udp_port=udp_port,
        poll_s=poll_s,
        connect_s=connect_s,
        assume_supported=() if assumed is None else (assumed,),
    ) as strip:
        yield strip


async def _address_of(wanted: str, udp_port: int) -> str:
    """Give the address of a device that is called by its name or its serial number.

    What the network knows as a host is one: nobody is asked then.

    Raises:
        UsageError: There are several of this name.
        ConnectFailed: There is none, nor such a host.
    """
    if set(wanted) & set(".:") or await _is_host(wanted):
        return wanted
    called = wanted.casefold()
    same = [
        one
        for one in await devices_that_answer(udp_port)
        if called in {(one.name or "").casefold(), (one.serial or "").casefold()}
    ]
    if not same:
        why = f"no host is called {wanted!r}, and no device that answers"
        raise ConnectFailed(why, host=wanted)
    if len(same) > 1:
        hosts = ", ".join(one.host for one in same)
        raise UsageError(f"several devices are called {wanted!r}: say which of {hosts}")
    return same[0].host


async def _is_host(name: str) -> bool:
    try:
        await anyio.getaddrinfo(name, None)
    except (OSError, UnicodeError):
        return False
    return True


strip_command: DeviceCommands[MaxSmartStrip] = DeviceCommands(
    _open_strip,
    http_port_option,
    udp_port_option,
    _timeout_option,
    complete=complete_host,
    advice="is it on, and in this network? `structiot maxsmart discover` finds devices",
)


def by_port(reading: Reading) -> dict[str, object]:
    """Give the JSON of a reading, in which the channel is called a port."""
    found = members(reading)
    return {"port" if name == "channel" else name: found[name] for name in found}
