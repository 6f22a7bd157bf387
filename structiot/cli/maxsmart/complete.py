"""What a shell offers for HOST and PORT: what the network says at this moment.

The shell waits, so nobody is asked for long, and whatever fails offers nothing.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Awaitable, Callable

import anyio
import asyncclick as click
from asyncclick.shell_completion import CompletionItem

from structiot.errors import StructiotError
from structiot.maxsmart import discover_maxsmart

__all__ = ["BROADCAST", "complete_host", "complete_port"]

# Names the addresses to ask, where those of the interfaces are not the right ones.
BROADCAST = "STRUCTIOT_MAXSMART_BROADCAST"
_WAIT_S = 0.8


def complete_host(
    ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer the addresses of the devices that answer."""
    udp_port = ctx.params.get("udp_port") or 8888

    async def ask() -> list[CompletionItem]:
        where = os.environ.get(BROADCAST, "").split() or None
        found = await discover_maxsmart(
            window_s=_WAIT_S, broadcast=where, udp_port=udp_port
        )
        return [CompletionItem(one.host, help=one.name or one.serial) for one in found]

    return [item for item in _asked(ask) if item.value.startswith(incomplete)]


def complete_port(
    ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer the ports of the device at HOST, with their names."""
    host = ctx.params.get("host")
    if not host:
        return []
    udp_port = ctx.params.get("udp_port") or 8888

    async def ask() -> list[CompletionItem]:
        discovery = discover_maxsmart(host, window_s=_WAIT_S, udp_port=udp_port)
        (device,) = await discovery
        names = ["all ports", *device.port_names]
        count = device.port_count or len(device.port_names)
        names += [f"port {n}" for n in range(len(names), count + 1)]
        return [CompletionItem(str(n), help=name) for n, name in enumerate(names)]

    return [item for item in _asked(ask) if item.value.startswith(incomplete)]


def _asked(ask: Callable[[], Awaitable[list[CompletionItem]]]) -> list[CompletionItem]:
    # The parser calls from inside a loop and does not await.
    offered: list[CompletionItem] = []

    async def gather() -> None:
        with anyio.move_on_after(2 * _WAIT_S):
            offered.extend(await ask())

    def run() -> None:
        try:
            anyio.run(gather)
        except (StructiotError, OSError):
            offered.clear()

    thread = threading.Thread(target=run, name="structiot.cli.complete")
    thread.start()
    thread.join()
    return offered
