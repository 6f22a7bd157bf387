"""`structiot meross devices` and `info`: what there is, and what it can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import asyncclick as click

from structiot._kit.flow.tasks import service_group
from structiot._kit.text import counted
from structiot.cli._common.device_commands import DeviceTarget
from structiot.cli._common.output import members, say_at_terminal, show_json
from structiot.cli._common.tables import show_pairs, show_table
from structiot.cli.meross.account import (
    account_command,
    advised,
    files_of,
    keep_list,
    listed,
    password_given,
    url_of,
)
from structiot.cli.meross.device import DeviceCommand, device_command
from structiot.cli.meross.finding import AnyDevice, known_of
from structiot.cli.meross.kept import KeptDevice
from structiot.cli.meross.login import kept_of_cloud
from structiot.meross import Meross, MerossDevice
from structiot.meross.features.electricity import ELECTRICITY_X
from structiot.meross.link.cloud import open_cloud
from structiot.meross.wire.device_list import OnlineStatus
from structiot.model import Button, Entity, Event
from structiot.model.text import state_text

__all__ = ["devices", "info", "metered", "meters_of"]

_PREFIX = "Appliance."
_COLUMNS = ("name", "model", "online", "address", "firmware", "has")
# Who has said nothing new for so long has said all.
_QUIET_S = 3.0
_POWER = "power_w_"


@click.command(short_help="List the devices of the account.")
@account_command(opens=False)
@click.option(
    "--ask", is_flag=True, help="Ask each device, also those that are known already."
)
async def devices(target: DeviceTarget[Meross], *, ask: bool, wants_json: bool) -> None:
    """List the devices of the account, and what hangs on its hubs.

    The cloud is asked which there are and who is online. One that was never asked what
    it can and where it is, is asked: two messages of the budget of each device.
    """
    rows = None if ask else await _rows_by_cloud(target.options)
    if rows is None:
        rows = await _rows_by_asking(target)
    if wants_json:
        show_json(rows)
    elif rows:
        shown = ({**row, "has": ", ".join(row["has"] or ())} for row in rows)
        show_table(_COLUMNS, [[row[column] for column in _COLUMNS] for row in shown])
    else:
        click.echo("the account has no device", err=True)


async def _rows_by_cloud(options: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Give the rows by the cloud's list and what is kept; None if that is not enough."""
    files = await files_of(options)
    token = await files.store.load()
    if token is None:
        return None
    with advised():
        async with open_cloud(
            email=options["email"],
            password=await password_given(options["password_file"]),
            store=files.store,
            url=url_of(options["url"], token),
        ) as cloud:
            listed_now = await cloud.devices()
    kept = await keep_list(files, map(kept_of_cloud, listed_now))
    online = {one.uuid: one.status is OnlineStatus.ONLINE for one in listed_now}
    if any(one.has is None and online.get(one.id) for one in kept):
        return None
    return [_row(one, is_online=online.get(one.id)) for one in kept]


async def _rows_by_asking(target: DeviceTarget[Meross]) -> list[dict[str, Any]]:
    async with target.open() as account:
        asked = [one for one in account.devices.values() if one.is_available]
        what = counted(len(asked), "device")
        say_at_terminal(f"asking {what}, which takes a while ...")
        await known_of(asked)
        await metered(asked)
        kept = await keep_list(await files_of(target.options), listed(account))
        online = {
            one.info.id: one.is_available
            for device in account.devices.values()
            for one in (device, *device.subdevices.values())
        }
    return [_row(one, is_online=online.get(one.id)) for one in kept]


def _row(kept: KeptDevice, *, is_online: bool | None) -> dict[str, Any]:
    return {"online": is_online, **members(kept)}


@click.command(cls=DeviceCommand, short_help="Show all that a device tells.")
@device_command()
@click.option("--abilities", "wants_abilities", is_flag=True, help="What it can, too.")
async def info(device: AnyDevice, *, wants_abilities: bool, wants_json: bool) -> None:
    """Show who DEVICE is, what it has, and in which state that is."""
    await settled(device)
    about = device.about if isinstance(device, MerossDevice) else None
    abilities = sorted(about.abilities) if about is not None else []
    if wants_json:
        show_json(
            {
                **members(device.info),
                "availability": device.availability,
                "system": about and about.system,
                "abilities": abilities,
                "entities": [_entity(device, one) for one in device.entities],
            }
        )
        return
    known, system = device.info, about.system if about is not None else None
    state = "online" if device.is_available else device.availability.reason
    show_pairs(
        {
            "name": known.name,
            "model": known.model,
            "id": known.id,
            "state": state,
            "firmware": known.firmware,
            "hardware": known.hardware,
            **({"hub": known.via} if system is None else {}),
            **(_system_pairs(system) if system is not None else {}),
        }
    )
    click.echo()
    show_table(
        ("entity", "name", "state"),
        [
            (one.key, one.name, state_text(device.states.get(one.key), one) or None)
            for one in device.entities
        ],
    )
    if wants_abilities:
        click.echo()
        show_table(("ability",), [(one.removeprefix(_PREFIX),) for one in abilities])


def _system_pairs(system: object) -> dict[str, object]:
    names = {
        "lan_host": "address",
        "mac": "MAC",
        "timezone": "time zone",
        "server": "broker",
    }
    return {shown: getattr(system, name) for name, shown in names.items()}


def _entity(device: AnyDevice, entity: Entity) -> dict[str, object]:
    kind = type(entity).__name__.lower()
    return {**members(entity), "kind": kind, "state": device.states.get(entity.key)}


async def metered(devices: Sequence[MerossDevice]) -> None:
    """Wait until those meters have told their circuits that have some of their own."""

    async def wait_for(device: MerossDevice) -> None:
        async with device.events() as events:
            with anyio.move_on_after(_QUIET_S):
                while not meters_of(device):
                    await anext(events)

    async with service_group(is_awaited=True) as tasks:
        for one in devices:
            if ELECTRICITY_X in one.about.abilities:
                tasks.start_soon(wait_for, one, name="structiot.cli.meross.meter")


def meters_of(device: MerossDevice) -> list[int]:
    """Give the channels of a meter of several circuits, as far as it has told them."""
    keys = [one.key for one in device.entities if one.key.startswith(_POWER)]
    return sorted(int(key.removeprefix(_POWER)) for key in keys)


async def settled(device: AnyDevice) -> None:
    """Wait until a device has told all its states, or has been quiet for a while."""
    async with device.events() as events:
        while device.is_available and _is_untold(device):
            with anyio.move_on_after(_QUIET_S) as quiet:
                await anext(events)
            if quiet.cancelled_caught:
                return


def _is_untold(device: AnyDevice) -> bool:
    # These have no state.
    told = {**device.states}
    return any(
        one.key not in told and not isinstance(one, Button | Event)
        for one in device.entities
    )
