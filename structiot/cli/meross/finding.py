"""Which device of an account somebody means, and waiting until that one is known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import anyio

from structiot._kit.flow.tasks import service_group
from structiot._kit.text import did_you_mean
from structiot.errors import LinkLost, StructiotError, UsageError
from structiot.meross import CallDropped, Meross, MerossDevice, MerossSubdevice
from structiot.model import EntitiesChanged

__all__ = ["AnyDevice", "called_among", "device_of", "known_of"]

AnyDevice: TypeAlias = MerossDevice | MerossSubdevice

_HUBS = "msh"
# The cloud lists what hangs on a hub a moment after the hub is known.
_NAMES_S = 3.0


async def device_of(account: Meross, wanted: str) -> AnyDevice:
    """Give a device of an account, or one that hangs on a hub of it, that is known.

    Raises:
        UsageError: There is none, or there are several of this name.
        LinkLost: It is away.
        CallDropped: Its budget is spent.
    """
    try:
        device = account.device(wanted)
    except UsageError as exc:
        no_such_device = exc
    else:
        await _known(account, device)
        return device
    found = await _subdevice_of(account, wanted)
    if found is None:
        raise no_such_device
    return found


async def _known(account: Meross, device: MerossDevice) -> None:
    """Wait until a device has told what it can, unless that is not going to happen."""
    name = device.info.name
    if not device.is_available:
        raise LinkLost(f"{name} is away: {device.availability.reason}")
    budget = account.budget.of(device.info.id)
    if budget.left == 0 and not device.about.abilities:
        ends = "" if budget.next_at is None else f" before {budget.next_at:%H:%M:%S}"
        raise CallDropped(f"nothing may be sent to {name} through the cloud{ends}")
    try:
        await device.known()
    except LinkLost as exc:
        raise LinkLost(f"{name}: {exc}") from exc


async def _subdevice_of(account: Meross, wanted: str) -> MerossSubdevice | None:
    hubs = [
        one for one in account.devices.values() if one.about.model.startswith(_HUBS)
    ]
    await known_of(hubs)
    subdevices = [sub for hub in hubs for sub in hub.subdevices.values()]
    return called_among(subdevices, wanted, account.devices.values())


def called_among(
    subdevices: Sequence[MerossSubdevice],
    wanted: str,
    others: Iterable[MerossDevice] = (),
) -> MerossSubdevice | None:
    """Give a subdevice by its id or name; None if there are none at all.

    Raises:
        UsageError: None of them, nor of the others, is called so; or several are.
    """
    found = [
        one
        for one in subdevices
        if wanted in {one.info.id, one.info.serial}
        or one.info.name.casefold() == wanted.casefold()
    ]
    if len(found) > 1:
        ids = ", ".join(sorted(one.info.id for one in found))
        raise UsageError(f"{len(found)} devices are called {wanted!r}: {ids}")
    if not found and subdevices:
        devices: list[AnyDevice] = [*others, *subdevices]
        names = sorted(one.info.name for one in devices)
        near = did_you_mean(wanted, names)
        raise UsageError(f"no device is called {wanted!r}{near}")
    return found[0] if found else None


async def known_of(devices: Sequence[MerossDevice]) -> None:
    """Wait until those that are online have told what they can, or will not."""

    async def know(device: MerossDevice) -> None:
        try:
            await device.known()
        # It is off, say; the others are of use without it.
        except StructiotError:
            return
        await _named(list(device.subdevices.values()))

    async with service_group(is_awaited=True) as tasks:
        for one in devices:
            if one.is_available:
                tasks.start_soon(know, one, name="structiot.cli.meross.device")


async def _named(subdevices: Sequence[MerossSubdevice]) -> None:
    """Wait until the cloud has said what subdevices are called, if it does."""

    async def wait_for_name(one: MerossSubdevice, told: anyio.Event) -> None:
        async with one.events() as events:
            async for event in events:
                if isinstance(event, EntitiesChanged):
                    told.set()

    if not subdevices or not all(map(_is_nameless, subdevices)):
        return
    async with service_group() as tasks:
        told = anyio.Event()
        for one in subdevices:
            tasks.start_soon(wait_for_name, one, told, name="structiot.cli.meross.name")
        with anyio.move_on_after(_NAMES_S):
            await told.wait()


def _is_nameless(one: MerossSubdevice) -> bool:
    return one.info.name == f"{one.info.model} {(one.info.serial or '')[-4:]}"
