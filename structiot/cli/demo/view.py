"""How the demonstration looks: a table on a terminal, lines anywhere else."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from structiot.gateway import (
    BrokerConnected,
    BrokerLost,
    CommandDone,
    CommandFailed,
    DeviceUpdate,
    Gateway,
    GatewayDevice,
    GatewayEvent,
)
from structiot.model import Availability, Sensor, StateChange, Switch

__all__ = ["plain_line", "table_of"]


def table_of(gateway: Gateway) -> RenderableType:
    """Draw what the gateway knows of its devices now."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("device", "port", "name"):
        table.add_column(column)
    table.add_column("state", min_width=5)
    table.add_column("power", justify="right", min_width=10)
    for _, rows in groupby(_rows(gateway), key=lambda row: row[0]):
        for index, (device, *cells) in enumerate(rows):
            style = "" if gateway.devices[device].is_available else "dim"
            table.add_row(device if index == 0 else "", *cells, style=style)
        table.add_section()
    state = "connected" if gateway.is_connected else "no connection to the broker"
    return Group(table, Text(""), Text(state, style="dim"))


def _rows(gateway: Gateway) -> Iterable[tuple[str, str, str, str, str]]:
    for slug, device in gateway.devices.items():
        if not device.is_available:
            yield slug, "", device.availability.reason, "away", ""
            continue
        for key, entity in device.entities.items():
            if isinstance(entity, Switch):
                state = _plain(device.states.get(key))
                yield (
                    slug,
                    key,
                    entity.name or "",
                    state,
                    _power(device, f"{key}_power"),
                )


def _power(device: GatewayDevice, key: str) -> str:
    state = device.states.get(key)
    sensor = device.entities.get(key)
    if not isinstance(state, int | float) or not isinstance(sensor, Sensor):
        return ""
    return f"{state:.{sensor.decimals or 0}f} {sensor.unit or ''}"


def _plain(state: object) -> str:
    if isinstance(state, bool):
        return "ON" if state else "OFF"
    return "" if state is None else str(state)


def plain_line(event: GatewayEvent) -> str | None:
    """Write an event as one line; None if it is not worth one."""
    line = None
    match event:
        case BrokerConnected():
            line = "connected to the broker"
        case BrokerLost():
            line = f"no broker: {event.reason}"
        case DeviceUpdate(device=device, event=Availability() as now):
            why = "" if now.is_available else f"not available: {now.reason}"
            line = f"{device} is {why or 'available'}"
        case DeviceUpdate(device=device, event=StateChange() as change):
            line = f"{device} {change.key} {_plain(change.state)}"
        case CommandDone():
            line = f"{event.device} {event.entity} did {event.payload}"
        case CommandFailed():
            line = f"{event.device} {event.entity} refused: {event.error}"
    return line
