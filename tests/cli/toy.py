"""A system of toys, as far as the command line is concerned."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import asyncclick as click

from structiot.cli._common.completing import Offer, completer
from structiot.cli._common.device_commands import DeviceCommands, DeviceTarget
from structiot.cli._common.output import show_json
from structiot.cli._common.tables import show_rows
from structiot.cli.sim.listing import SimulatorCommand
from structiot.errors import CommandRefused, ConnectFailed
from structiot.model import LightState, Reading
from structiot.model.text import state_text

AT = datetime(2024, 5, 1, tzinfo=UTC)


@dataclass
class Lamp:
    name: str
    watts: float
    state: LightState = field(default_factory=lambda: LightState(is_on=True))

    def dim(self, percent: float) -> None:
        if percent < 5:
            raise CommandRefused(f"{self.name} does not shine at {percent:g} %")
        self.state = LightState(is_on=True, brightness_percent=percent)


OPENED: list[str] = []


@asynccontextmanager
async def open_lamp(
    name: str, *, watts: float, hue: str | None = None
) -> AsyncGenerator[Lamp]:
    if name == "attic":
        raise ConnectFailed("no lamp answers to attic")
    OPENED.append(name if hue is None else f"{name} {hue}")
    try:
        yield Lamp(name, watts)
    finally:
        OPENED.remove(name if hue is None else f"{name} {hue}")


@completer
async def lamps(given: Mapping[str, Any]) -> list[Offer]:
    if given["watts"] == 0:
        raise ConnectFailed("no network")
    return [("kitchen", f"{given['watts']:g} W"), ("attic", None)]


lamp_command = DeviceCommands(
    open_lamp,
    click.option("--watts", type=float, default=60.0),
    argument="name",
    complete=lamps,
    advice="is it screwed in?",
)


@click.group()
def toy() -> None:
    """Toy lamps."""


@toy.command()
@lamp_command()
@click.argument("percent", type=float)
async def dim(lamp: Lamp, percent: float, *, wants_json: bool) -> None:
    """Dim the lamp called NAME."""
    lamp.dim(percent)
    state = lamp.state if wants_json else state_text(lamp.state)
    show_rows([{"name": lamp.name, "state": state}], wants_json=wants_json)


@toy.command()
@lamp_command(click.option("--hue"), opens=False)
async def meter(target: DeviceTarget[Lamp], *, wants_json: bool) -> None:
    """Say what the lamp called NAME draws."""
    click.echo(f"{target.place} {OPENED}")
    async with target.open() as lamp:
        show_json(Reading(device=lamp.name, channel=0, at_utc=AT, power_w=lamp.watts))
        click.echo(OPENED)


@click.command(
    cls=SimulatorCommand,
    families=[{"name": "bulb", "watts": 60}],
    faults={"flicker": "it does"},
)
def simulator() -> None:
    """Simulate lamps."""
    click.echo("a lamp shines")
