"""How `structiot top` looks: a live table, a table now and then, or JSON."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

import anyio
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from structiot._kit.flow.tasks import service_group
from structiot._kit.text import counted
from structiot.cli._common.chart import bar
from structiot.cli._common.output import show_json
from structiot.cli._common.standard_input import can_be_typed, read_some
from structiot.cli._common.tables import PlainTable, has_blocks, logging_above
from structiot.cli.top.house import Device, House, flow_in
from structiot.gateway.entities.flows import PowerFlow
from structiot.model.text import figure_text
from structiot.mqtt import Connected, Disconnected, MqttClient

if sys.platform != "win32":
    import termios
    import tty

__all__ = ["follow", "show_lines", "show_live"]

_BAR_CELLS = 16
_WIDE = 200
_HEAD_LINES = 4
_STATES_CHARS = 40
_TRIED = {"name": "power", "power": "name"}


@asynccontextmanager
async def follow(client: MqttClient, house: House) -> AsyncGenerator[None]:
    """Have a house told what its gateway tells, for the length of the block."""

    async def listen(topic_filter: str) -> None:
        async with client.subscription(topic_filter) as messages:
            async for message in messages:
                house.take(message.topic, message.payload)

    async def watch() -> None:
        async with client.events() as events:
            async for event in events:
                if isinstance(event, Connected | Disconnected):
                    house.is_connected = isinstance(event, Connected)

    async with service_group() as tasks:
        tasks.start_soon(watch, name="structiot.cli.top connection")
        for one in house.filters:
            tasks.start_soon(listen, one, name=f"structiot.cli.top {one}")
        yield
        tasks.cancel_scope.cancel()


# ---------------------------------------------------------------- lines


def show_lines(house: House, sort: str, *, wants_json: bool) -> None:
    """Show it once."""
    if wants_json:
        show_json(_as_json(house, sort))
        return
    console = Console()
    if not console.is_terminal:
        # A pipe has no width, and a program that reads it wants whole lines.
        console = Console(width=_WIDE)
    console.print(drawn(house, sort, blocks=has_blocks(console)))


def _as_json(house: House, sort: str) -> dict[str, object]:
    devices = house.devices(sort)
    return {
        "gateway": "online" if house.is_online else "offline",
        "broker": house.place,
        "told_at": house.told_at,
        **_flows(devices),
        "systems": house.systems,
        "devices": [
            {
                "name": one.name,
                "system": one.system,
                "power_w": one.power_w,
                "is_away": one.is_away,
                "is_stale": one.is_stale,
                "states": dict(one.shown_states),
            }
            for one in devices
        ],
    }


def _flows(devices: list[Device]) -> dict[str, float | None]:
    own, circuits = flow_in(devices), flow_in(devices, of_circuits=True)
    return {
        "power_w": None if own is None else own.drawn_w,
        "produced_w": None if own is None else own.produced_w,
        "circuits_w": None if circuits is None else circuits.drawn_w,
        "circuits_produced_w": None if circuits is None else circuits.produced_w,
    }


# ---------------------------------------------------------------- a terminal


async def show_live(house: House, sort: str, every_s: float) -> None:
    """Show it until q is pressed."""
    console = Console()
    blocks = has_blocks(console)
    how = [sort]
    changed = [anyio.Event()]
    with (
        _keys_at_once(),
        logging_above(console),
        Live(console=console, auto_refresh=False, screen=False) as live,
    ):

        async def draw() -> None:
            while True:
                rows = max(1, console.height - _HEAD_LINES)
                picture = drawn(house, how[0], blocks=blocks, rows=rows)
                live.update(picture, refresh=True)
                changed[0] = anyio.Event()
                with anyio.move_on_after(every_s):
                    await changed[0].wait()

        async with service_group() as tasks:
            tasks.start_soon(draw, name="structiot.cli.top draw")
            if not can_be_typed():
                await anyio.sleep_forever()
            while keys := await read_some():
                if b"q" in keys.lower():
                    break
                if b"s" in keys.lower():
                    how[0] = _TRIED[how[0]]
                changed[0].set()
            tasks.cancel_scope.cancel()


@contextmanager
def _keys_at_once() -> Generator[None]:
    """Have keys come as they are pressed, and unseen."""
    if sys.platform == "win32" or not can_be_typed():
        yield
        return
    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    tty.setcbreak(number)
    try:
        yield
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)


def drawn(
    house: House, sort: str, *, blocks: bool, rows: int | None = None
) -> RenderableType:
    """Draw it as it is now; of more devices than rows, as many as fit."""
    devices = house.devices(sort)
    table = PlainTable()
    for column in ("device", "system", "power", "", "state"):
        right = "right" if column == "power" else "left"
        table.add_column(column, justify=right, no_wrap=True)  # type: ignore[arg-type]
    most = max((one.power_w or 0.0 for one in devices), default=0.0)
    for one in devices[:rows]:
        table.add_row(*_cells(one, most, blocks=blocks))
    left = [] if rows is None else devices[rows:]
    more = [Text(f"and {len(left)} more", style="dim")] if left else []
    return Group(_head(house, devices), table, *more, _links(house))


def _cells(device: Device, most: float, *, blocks: bool) -> list[Text]:
    power_w = device.power_w
    share = (power_w or 0.0) / most if most > 0 else 0.0
    style, words = "", [f"{key} {state}" for key, state in device.shown_states]
    if device.is_away:
        style, words = "red", ["away"]
    elif device.is_stale:
        style, words = "dim", ["stale", *words]
    shown = "-" if power_w is None else figure_text(power_w, "W", 1)
    # Names come from devices: brackets in them are no markup.
    return [
        Text(device.name, style=style),
        Text(device.system, style="dim"),
        Text(shown, style=style),
        Text(bar(max(share, 0.0), _BAR_CELLS, has_blocks=blocks), style="cyan"),
        Text(_cut(", ".join(words)), style=style),
    ]


def _cut(text: str) -> str:
    return text if len(text) <= _STATES_CHARS else f"{text[: _STATES_CHARS - 3]}..."


def _head(house: House, devices: list[Device]) -> Text:
    away = sum(one.is_away for one in devices)
    stale = sum(one.is_stale and not one.is_away for one in devices)
    shown = _flow_text(flow_in(devices)) or "no power known"
    if through := _flow_text(flow_in(devices, of_circuits=True)):
        shown += f" (in meters of circuits {through})"
    head = Text(f"{shown}, {counted(len(devices), 'device')}", style="bold")
    for count, word, style in ((away, "away", "red"), (stale, "stale", "yellow")):
        if count:
            head.append(f", {count} {word}", style=style)
    if house.is_old:
        why = "the gateway does not run" if house.is_connected else "no broker"
        head.append(f"; {why}: this is old", style="bold red")
    return head


def _flow_text(flow: PowerFlow | None) -> str:
    if flow is None:
        return ""
    told = f"{figure_text(flow.drawn_w, 'W', 1)} drawn"
    if flow.produced_w:
        told += f", {figure_text(flow.produced_w, 'W', 1)} produced"
    return told


def _links(house: House) -> Text:
    is_up = house.is_connected
    line = Text(f"broker {house.place} {'connected' if is_up else 'lost'}", style="dim")
    if not is_up:
        line.stylize("red")
    for name, system in sorted(house.systems.items()):
        is_well = system.state in {"running", "starting"}
        why = f": {system.reason}" if system.reason else ""
        style = "dim" if is_well else "red"
        line.append(f" · {name} {system.state}{why}", style=style)
    return line
