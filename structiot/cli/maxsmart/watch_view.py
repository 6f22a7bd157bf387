"""How `watch` looks: a table that changes, or a line a reading."""

from __future__ import annotations

from datetime import datetime
from typing import TypeAlias

from rich.console import Group, RenderableType
from rich.text import Text

from structiot.cli._common.chart import bar
from structiot.cli._common.output import figure, on_off
from structiot.cli._common.tables import PlainTable, state_of
from structiot.maxsmart import (
    MaxSmartStrip,
    PowerChanged,
    StateChanged,
    StripChange,
)
from structiot.model import Availability, Reading

__all__ = ["Event", "LiveTable", "plain_line"]

_BAR_CELLS = 20


Event: TypeAlias = Reading | StripChange | Availability


def plain_line(event: Event) -> str:
    """Write a reading, a change, or that the device went or came, as one line."""
    match event:
        case Reading(port=port):
            drawn = figure(event.power_w, "W") or "-"
            text = f"port {port}  {on_off(event.is_on) or '-':3}  {drawn}"
        case StateChanged(port=port):
            text = f"port {port}  {on_off(event.is_on)}"
        case PowerChanged(port=port, change_w=change_w):
            text = f"port {port}  {figure(event.power_w, 'W')}  ({change_w:+.1f} W)"
        case _:
            text = "back" if event.is_available else f"away: {event.reason}"
    return f"{_time(event.at_utc)}  {text}"


class LiveTable:
    """The latest reading of each port, and whether the device is there."""

    def __init__(
        self, strip: MaxSmartStrip, *, poll_s: float, has_blocks: bool
    ) -> None:
        self._strip = strip
        self._poll_s = poll_s
        self._has_blocks = has_blocks
        self._readings: dict[int, Reading] = {}
        self._peaks_w: dict[int, float] = {}
        self._away: Availability | None = None

    def take_reading(self, reading: Reading) -> None:
        """Note a reading."""
        self._readings[reading.port] = reading
        drawn_w = reading.power_w or 0.0
        self._peaks_w[reading.port] = max(self._peaks_w.get(reading.port, 0.0), drawn_w)

    def take_availability(self, event: Availability) -> None:
        """Note that the device went away or came back."""
        self._away = None if event.is_available else event

    def drawn(self) -> RenderableType:
        """Draw it as it is now."""
        info = self._strip.info
        head = Text(f"{info.name} at {info.host}", style="bold")
        head.append(f", firmware {info.firmware or '?'}, ", style="dim")
        head.append(f"every {self._poll_s:g} s; Ctrl-C ends it", style="dim")
        return Group(head, self._table(), self._foot())

    def _table(self) -> PlainTable:
        style = "" if self._away is None else "dim"
        table = PlainTable(style=style)
        table.add_column("port", justify="right")
        table.add_column("name")
        table.add_column("state", min_width=5)
        for column in ("power", "current", "highest"):
            table.add_column(column, justify="right", min_width=9)
        table.add_column("", min_width=_BAR_CELLS)
        scale_w = max(self._peaks_w.values(), default=0.0)
        for port, name in enumerate(self._strip.info.port_names, start=1):
            table.add_row(*self._cells(port, name, scale_w), style=style)
        return table

    def _cells(self, port: int, name: str, scale_w: float) -> list[Text]:
        reading = self._readings.get(port)
        power_w = reading.power_w if reading else None
        current_a = reading.current_a if reading else None
        is_on = reading.is_on if reading else None
        share = (power_w or 0.0) / scale_w if scale_w else 0.0
        return [
            Text(str(port)),
            Text(name),
            state_of(is_on) or Text("-"),
            Text(figure(power_w, "W") or "-"),
            Text(figure(current_a, "A", decimals=2) or "-"),
            Text(figure(self._peaks_w.get(port), "W") or "-", style="dim"),
            Text(bar(share, _BAR_CELLS, has_blocks=self._has_blocks), style="cyan"),
        ]

    def _foot(self) -> Text:
        if self._away is not None:
            text = f"away since {_time(self._away.at_utc)}: {self._away.reason}"
            return Text(text, style="red")
        if not self._readings:
            return Text("no reading yet", style="dim")
        known = [reading.power_w for reading in self._readings.values()]
        total_w = sum(power_w or 0.0 for power_w in known)
        latest = max(reading.at_utc for reading in self._readings.values())
        return Text(f"{total_w:.1f} W in all at {_time(latest)}")


def _time(at_utc: datetime) -> str:
    return at_utc.astimezone().strftime("%H:%M:%S")
