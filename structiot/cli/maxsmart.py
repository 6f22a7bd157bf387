"""`structiot maxsmart`: power strips and plugs by hand."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeAlias

import asyncclick as click

from structiot.cli.options import common_options, configure_logging
from structiot.cli.output import figure, on_off, show_json, show_table
from structiot.cli.signals import run_until_stopped
from structiot.maxsmart import (
    MaxSmartStrip,
    discover_maxsmart,
    maxsmart_device,
)
from structiot.maxsmart.values import DiscoveredMaxSmart

__all__ = ["maxsmart"]

Command: TypeAlias = Callable[..., Coroutine[Any, Any, None]]

_json = click.option("--json", "wants_json", is_flag=True, help="Print JSON.")
_port = click.argument("port", type=click.IntRange(0, 64), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Where:
    """Which device a command is for."""

    host: str
    http_port: int
    udp_port: int


@click.group()
def maxsmart() -> None:
    """Find, switch and meter MaxSmart and Revogi power strips and plugs."""


def _device_command(command: Command) -> Command:
    """Give a command HOST and the ports of the device, as one argument `where`."""

    @click.pass_context
    @functools.wraps(command)
    async def with_where(
        ctx: click.Context,
        /,
        host: str,
        http_port: int,
        udp_port: int,
        **options: object,
    ) -> None:
        configure_logging(ctx)
        where = _Where(host=host, http_port=http_port, udp_port=udp_port)
        await command(where, **options)

    for option in (
        common_options,
        click.option(
            "--udp-port",
            type=click.IntRange(1, 65535),
            default=8888,
            show_default=True,
            help="UDP port of discovery.",
        ),
        click.option(
            "--http-port",
            type=click.IntRange(1, 65535),
            default=80,
            show_default=True,
            help="TCP port of commands.",
        ),
        click.argument("host"),
    ):
        with_where = option(with_where)
    return with_where


def _opened(
    where: _Where, *, poll_s: float = 5.0
) -> AbstractAsyncContextManager[MaxSmartStrip]:
    return maxsmart_device(
        where.host, port=where.http_port, udp_port=where.udp_port, poll_s=poll_s
    )


@maxsmart.command()
@click.argument("ip", required=False)
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(0.1, 60),
    default=2.5,
    show_default=True,
    help="Seconds to listen.",
)
@click.option(
    "--broadcast", multiple=True, help="Address to ask; may be given several times."
)
@click.option(
    "--udp-port", type=click.IntRange(1, 65535), default=8888, show_default=True
)
@_json
@common_options
@click.pass_context
async def discover(
    ctx: click.Context,
    /,
    ip: str | None,
    wait_s: float,
    broadcast: Sequence[str],
    udp_port: int,
    *,
    wants_json: bool,
) -> None:
    """Find the devices in the network, or ask the one at IP who it is."""
    configure_logging(ctx)
    devices = await discover_maxsmart(
        ip, window_s=wait_s, broadcast=broadcast or None, udp_port=udp_port
    )
    if wants_json:
        show_json(devices)
    elif devices:
        show_table(
            ("address", "name", "serial", "firmware", "ports"),
            [_found_row(device) for device in devices],
        )
    else:
        click.echo("no device answers")


def _found_row(device: DiscoveredMaxSmart) -> tuple[object, ...]:
    return (
        device.host,
        device.name,
        device.serial,
        device.firmware,
        device.port_count,
    )


@maxsmart.command()
@_device_command
@_json
async def info(where: _Where, *, wants_json: bool) -> None:
    """Say who the device at HOST is."""
    async with _opened(where) as strip:
        if wants_json:
            show_json(strip.info)
            return
        known = strip.info
        rows = [
            ("name", known.name),
            ("address", known.host),
            ("model", known.model),
            ("firmware", known.firmware),
            ("serial", known.serial),
            ("MAC", known.mac),
            ("ports", ", ".join(known.port_names)),
        ]
        show_table(("", ""), rows)


@maxsmart.command("on")
@_device_command
@_port
async def turn_on(where: _Where, port: int) -> None:
    """Turn PORT of the device at HOST on; without one, or 0, all ports."""
    async with _opened(where) as strip:
        await strip.turn_on(port)


@maxsmart.command("off")
@_device_command
@_port
async def turn_off(where: _Where, port: int) -> None:
    """Turn PORT of the device at HOST off; without one, or 0, all ports."""
    async with _opened(where) as strip:
        await strip.turn_off(port)


@maxsmart.command()
@_device_command
@_port
@_json
async def state(where: _Where, port: int, *, wants_json: bool) -> None:
    """Say whether PORT of the device at HOST is on; without one, of all ports."""
    async with _opened(where) as strip:
        states = [await strip.check_state(port)] if port else await strip.check_state()
        numbers = [port] if port else range(1, len(states) + 1)
        names = strip.info.port_names
    if wants_json:
        show_json(dict(zip(numbers, states, strict=True)))
        return
    show_table(
        ("port", "name", "state"),
        [(n, names[n - 1], on_off(s)) for n, s in zip(numbers, states, strict=True)],
    )


@maxsmart.command()
@_device_command
@_port
@_json
async def power(where: _Where, port: int, *, wants_json: bool) -> None:
    """Say what PORT of the device at HOST draws; without one, what all ports do."""
    async with _opened(where) as strip:
        names = strip.info.port_names
        total_w = None
        if port:
            readings = [await strip.get_power_data(port)]
        else:
            data = await strip.get_data()
            readings, total_w = list(data.readings), data.total_power_w
    if wants_json:
        show_json(readings)
        return
    rows: list[tuple[object, ...]] = [
        (
            reading.port,
            names[reading.port - 1],
            on_off(reading.is_on),
            figure(reading.power_w, "W"),
            figure(reading.current_a, "A", decimals=2),
        )
        for reading in readings
    ]
    if len(rows) > 1:
        rows.append((None, "total", None, figure(total_w, "W"), None))
    show_table(("port", "name", "state", "power", "current"), rows)


@maxsmart.command()
@_device_command
@click.option(
    "--every",
    "poll_s",
    type=click.FloatRange(0.5, 3600),
    default=5.0,
    show_default=True,
    help="Seconds between readings.",
)
@_json
async def watch(where: _Where, poll_s: float, *, wants_json: bool) -> None:
    """Print the readings of the device at HOST until Ctrl-C."""

    async def follow() -> None:
        async with (
            _opened(where, poll_s=poll_s) as strip,
            strip.readings() as readings,
        ):
            async for reading in readings:
                if wants_json:
                    show_json(reading)
                    continue
                at = reading.at_utc.astimezone().strftime("%H:%M:%S")
                drawn = figure(reading.power_w, "W") or "-"
                click.echo(
                    f"{at}  port {reading.port}  {on_off(reading.is_on) or '-':3}  {drawn}"
                )

    await run_until_stopped(follow)
