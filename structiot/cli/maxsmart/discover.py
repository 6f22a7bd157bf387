"""`structiot maxsmart discover`: who is there."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import anyio
import asyncclick as click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from structiot._kit.flow.tasks import service_group
from structiot.cli._common.options import (
    common_options,
    configure_logging,
    json_option,
    refuse_given,
)
from structiot.cli._common.output import show_json
from structiot.cli._common.tables import logging_above, show_table, table_of
from structiot.cli.maxsmart.complete import BROADCAST
from structiot.cli.maxsmart.device import (
    http_port_option,
    udp_port_option,
)
from structiot.maxsmart import DiscoveredMaxSmart, Discovery, discover_maxsmart

__all__ = ["discover"]

_COLUMNS = ("address", "name", "serial", "firmware", "ports", "port names")
_REFRESH_S = 0.1
_NOBODY = (
    "no device answers; one in another network, or behind a firewall, may do so if"
    " asked by its address: structiot maxsmart discover 192.168.1.100"
)


@click.command(short_help="Find devices.")
@click.argument("ip", metavar="[HOST]", required=False)
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(0.1, 60),
    default=2.5,
    help="Seconds to listen.",
)
@click.option(
    "--broadcast",
    multiple=True,
    envvar=BROADCAST,
    show_envvar=True,
    help="Address to ask; may be given several times. By default each interface's.",
)
@click.option("--from", "local_host", help="Address of this machine to ask from.")
@click.option(
    "--identify",
    is_flag=True,
    help="Ask each for its CPU id, too, and show what it is best told from others by.",
)
@udp_port_option
@http_port_option
@json_option
@common_options
@click.pass_context
async def discover(
    ctx: click.Context,
    /,
    ip: str | None,
    *,
    wait_s: float,
    broadcast: Sequence[str],
    local_host: str | None,
    identify: bool,
    udp_port: int,
    http_port: int,
    wants_json: bool,
) -> None:
    """Find the devices in the network, or ask the one at HOST who it is.

    On a terminal they appear as they answer. As a side effect that cannot be helped,
    they set their clocks by the question, which holds the right time and zone. Port names
    are those that somebody gave, not those of the factory.
    """
    configure_logging(ctx)
    if ip is not None:
        refuse_given(ctx, ("broadcast",), "asks everybody, HOST one device")
    discovery = discover_maxsmart(
        ip,
        window_s=wait_s,
        broadcast=broadcast or None,
        local_host=local_host,
        identify=identify,
        udp_port=udp_port,
        http_port=http_port,
    )
    if sys.stderr.isatty():
        await _collect_visibly(discovery, wait_s)
    else:
        await discovery
    devices = discovery.found
    if wants_json:
        show_json(devices)
    elif devices and identify:
        rows = [(*_row(one), one.identifiers.best.text) for one in devices]
        show_table((*_COLUMNS, "identity"), rows)
    elif devices:
        show_table(_COLUMNS, [_row(device) for device in devices])
    else:
        click.echo(_NOBODY, err=True)


async def _collect_visibly(discovery: Discovery, wait_s: float) -> None:
    """Show on standard error who has answered; it is gone when all have."""
    console = Console(stderr=True)
    with (
        logging_above(console),
        Live(console=console, auto_refresh=False, transient=True) as live,
    ):

        async def draw() -> None:
            ends_at = anyio.current_time() + wait_s
            while True:
                left_s = max(0.0, ends_at - anyio.current_time())
                table = table_of(_COLUMNS, [_row(one) for one in discovery.found])
                text = f"listening for {left_s:.1f} s; {len(discovery.found)} found"
                live.update(Group(table, Text(text, style="dim")), refresh=True)
                await anyio.sleep(_REFRESH_S)

        async with service_group() as tasks:
            tasks.start_soon(draw, name="structiot.cli.maxsmart.discover")
            await discovery


def _row(device: DiscoveredMaxSmart) -> tuple[object, ...]:
    numbered = enumerate(device.port_names, start=1)
    given = [name for port, name in numbered if name not in {"", f"Port {port}"}]
    return (
        device.host,
        device.name,
        device.serial,
        device.firmware,
        device.port_count,
        ", ".join(given) or None,
    )
