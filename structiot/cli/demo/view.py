"""How the demonstration looks: a table on a terminal, lines anywhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import anyio
from rich.console import Group, RenderableType
from rich.text import Text

from structiot.cli._common.tables import PlainTable
from structiot.gateway import (
    BrokerConnected,
    BrokerLost,
    CommandDone,
    CommandFailed,
    DeviceUpdate,
    DriverUpdate,
    Gateway,
    GatewayDevice,
    GatewayEvent,
    TopicRefused,
)
from structiot.model import (
    Availability,
    Entity,
    Occurrence,
    Sensor,
    StateChange,
    Switch,
)
from structiot.model.text import state_text

__all__ = ["LiveTable", "PlainLines", "plain_line", "switched"]

_LONGEST_SLUG = 24
_HINT_S = 10.0
_MOST_WAITING = 500


class LiveTable:
    """What a gateway knows of its devices, and what has happened to them last."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._happened: dict[tuple[str, str], str] = {}

    def take(self, event: GatewayEvent) -> None:
        """Note what happened; states are not noted, they are known."""
        match event:
            case DeviceUpdate(device=device, event=Occurrence() as occurrence):
                self._happened[device, occurrence.key] = occurrence.event_type

    def drawn(self, most_rows: int | None = None) -> RenderableType:
        """Draw it as it is now: a table for each system.

        Args:
            most_rows: For how many rows there is room; the devices beyond are counted.
        """
        tables: dict[str, PlainTable] = {}
        drawn = drawn_rows = 0
        for slug, device in self._gateway.devices.items():
            rows = list(self._rows(slug, device))
            drawn_rows += len(rows) + 1
            if most_rows is not None and drawn_rows > most_rows:
                break
            drawn += 1
            table = tables.get(device.system)
            if table is None:
                table = tables[device.system] = _empty_table()
            style = "" if device.is_available else "dim"
            # The level of a device that nobody has named may be a long number.
            title = slug if len(slug) <= _LONGEST_SLUG else device.name
            for index, cells in enumerate(rows):
                shown = [title if index == 0 else "", *cells]
                # Names come from devices: brackets in them are no markup.
                table.add_row(*map(Text, shown), style=style)
            table.add_section()
        is_connected = self._gateway.is_connected
        state = "connected" if is_connected else "no connection to the broker"
        if more := len(self._gateway.devices) - drawn:
            state = f"{state}; {more} more devices on the page"
        return Group(Text(""), *tables.values(), Text(""), Text(state, style="dim"))

    def _rows(self, slug: str, device: GatewayDevice) -> Iterator[list[str]]:
        if not device.is_available:
            yield ["", device.availability.reason, "away", ""]
            return
        shown = {
            key: entity
            for key, entity in device.entities.items()
            if entity.is_enabled and entity.category is None
        }
        for key, entity in shown.items():
            if _whole_of(key, shown) is None:
                state = state_text(device.states.get(key), entity)
                yield [
                    key,
                    entity.name or "",
                    state or self._happened.get((slug, key), ""),
                    ", ".join(_measured(key, shown, device)),
                ]


def _empty_table() -> PlainTable:
    table = PlainTable()
    for column in ("device", "entity"):
        table.add_column(column, no_wrap=True)
    table.add_column("name")
    table.add_column("state", min_width=5)
    table.add_column("measured", justify="right", min_width=10)
    return table


def _whole_of(key: str, entities: Mapping[str, Entity]) -> str | None:
    """Say what a sensor belongs to: `port_1_power` stands in the row of `port_1`."""
    if not isinstance(entities[key], Sensor):
        return None
    return next((one for one in entities if key.startswith(f"{one}_")), None)


def _measured(
    key: str, entities: Mapping[str, Entity], device: GatewayDevice
) -> Iterator[str]:
    for other, entity in entities.items():
        text = state_text(device.states.get(other), entity)
        if text and _whole_of(other, entities) == key:
            yield text


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
            line = f"{device} {change.key} {state_text(change.state)}"
        case DeviceUpdate(device=device, event=Occurrence() as occurrence):
            line = f"{device} {occurrence.key}: {occurrence.event_type}"
        case DriverUpdate(state="failing" | "parked"):
            line = f"{event.system} is {event.state}: {event.reason}"
        case CommandDone():
            line = f"{event.device} {event.entity} did {event.payload}"
        case CommandFailed():
            line = f"{event.device} {event.entity} refused: {event.error}"
        case TopicRefused():
            line = f"the broker refuses {event.topic}: {event.reason}"
    return line


class PlainLines:
    """Lines about what happens, below those that say what can be done.

    They wait for these, for a moment and no more than 500 of them.

    Args:
        echo: Prints a line.
    """

    def __init__(self, echo: Callable[[str], None]) -> None:
        self._echo = echo
        self._waiting: list[str] | None = []
        self._until = anyio.current_time() + _HINT_S

    def tell(self, line: str) -> None:
        """Print a line once what can be done is said, or is not to be expected."""
        if self._waiting is None:
            self._echo(line)
            return
        self._waiting.append(line)
        is_late = anyio.current_time() > self._until
        if is_late or len(self._waiting) >= _MOST_WAITING:
            self._let_go()

    def say_first(self, hint: str) -> None:
        """Say what can be done, and then what has happened."""
        self._echo(hint)
        self._let_go()

    def _let_go(self) -> None:
        waiting, self._waiting = self._waiting or [], None
        for line in waiting:
            self._echo(line)


def switched(gateway: Gateway, event: GatewayEvent) -> tuple[str, str, bool] | None:
    """Give device, key and state if an event is of a switch that is on or off."""
    match event:
        case DeviceUpdate(device=slug, event=StateChange(key=key, state=bool(is_on))):
            device = gateway.devices.get(slug)
            if device is not None and isinstance(device.entities.get(key), Switch):
                return slug, key, is_on
    return None
