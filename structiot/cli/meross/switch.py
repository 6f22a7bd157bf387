"""`structiot meross on` and `off`: devices and their channels are switched."""

from __future__ import annotations

import asyncclick as click

from structiot.cli._common.options import Decorator
from structiot.cli._common.output import show_json
from structiot.cli.meross.complete import complete_channel
from structiot.cli.meross.device import DeviceCommand, device_command, whole_device
from structiot.cli.meross.finding import AnyDevice
from structiot.errors import UsageError
from structiot.meross import MerossDevice

__all__ = ["turn_off", "turn_on"]

_channel_argument: Decorator = click.argument(
    "channel", default="0", shell_complete=complete_channel
)


@click.command("on", cls=DeviceCommand, short_help="Turn a device on.")
@device_command()
@_channel_argument
async def turn_on(device: AnyDevice, channel: str, *, wants_json: bool) -> None:
    """Turn DEVICE on, or one CHANNEL of it: an outlet, a lamp or a fan.

    A CHANNEL is a number or its name; 0 is the whole of the device.
    """
    await _turn(device, channel, is_on=True, wants_json=wants_json)


@click.command("off", cls=DeviceCommand, short_help="Turn a device off.")
@device_command()
@_channel_argument
async def turn_off(device: AnyDevice, channel: str, *, wants_json: bool) -> None:
    """Turn DEVICE off, or one CHANNEL of it: an outlet, a lamp or a fan.

    A CHANNEL is a number or its name; 0 is the whole of the device.
    """
    await _turn(device, channel, is_on=False, wants_json=wants_json)


async def _turn(
    device: AnyDevice, channel: str, *, is_on: bool, wants_json: bool
) -> None:
    one = whole_device(device)
    number = channel_of(one, channel)
    await (one.turn_on(number) if is_on else one.turn_off(number))
    if wants_json:
        show_json({"device": one.info.id, "channel": number, "is_on": is_on})


def channel_of(device: MerossDevice, channel: str) -> int:
    """Give the number of a channel that is said by its number or its name.

    Raises:
        UsageError: The device has none of this name, or several.
    """
    if channel.isdecimal():
        return int(channel)
    names = {one.number: one.name for one in device.about.channels if one.name}
    wanted = channel.casefold()
    found = [number for number, name in names.items() if name.casefold() == wanted]
    if len(found) != 1:
        known = ", ".join(f"{number} {name}" for number, name in names.items())
        whose = f"{device.info.name} has {len(found) or 'no'} channel {channel!r}"
        hint = "; with --lan no DEVICE is given" if _is_near() else ""
        raise UsageError(f"{whose}; there are {known or 'none with a name'}{hint}")
    return found[0]


def _is_near() -> bool:
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.params.get("lan"))
