"""`structiot meross set`: any entity of a device is told something."""

from __future__ import annotations

import asyncclick as click

from structiot._kit.text import printable
from structiot.cli._common.commands import command_of
from structiot.cli._common.output import show_json
from structiot.cli.meross.complete import complete_entity
from structiot.cli.meross.device import DeviceCommand, device_command
from structiot.cli.meross.finding import AnyDevice
from structiot.model.text import state_text

__all__ = ["set_entity"]


@click.command(
    "set",
    cls=DeviceCommand,
    short_help="Tell an entity of a device something.",
    # A temperature may be below zero.
    context_settings={"ignore_unknown_options": True},
)
@device_command()
@click.argument("entity", shell_complete=complete_entity)
@click.argument("values", metavar="[VALUE]...", nargs=-1)
async def set_entity(
    device: AnyDevice, entity: str, values: tuple[str, ...], *, wants_json: bool
) -> None:
    """Tell ENTITY of DEVICE a VALUE, or the members of its state that shall change.

    ENTITY is a key as `structiot meross info` shows it. A VALUE is `on` or `off`, a
    number, an option, `open`, `close`, `stop`; lamps, thermostats and fans take
    NAME=VALUE: `light rgb=255,0,0 brightness=40`, `thermostat target=21.5 mode=heat`.
    A button is pressed without any.
    """
    found = next((one for one in device.entities if one.key == entity), None)
    command = None if found is None else command_of(found, values)
    await device.command(entity, command)
    state = device.states.get(entity)
    if wants_json:
        show_json({"device": device.info.id, "entity": entity, "state": state})
    elif text := state_text(state, found):
        click.echo(printable(text))
