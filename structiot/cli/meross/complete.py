"""What a shell offers for a DEVICE and what it has, as it was known last; nobody is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
import anyio.to_thread

from structiot.cli._common.completing import Offer, completer
from structiot.cli.meross.kept import KeptDevice, KeptFiles, called, kept_files
from structiot.meross.account_state import open_account_state

__all__ = [
    "complete_channel",
    "complete_device",
    "complete_entity",
    "complete_namespace",
]


async def _files(given: Mapping[str, Any]) -> KeptFiles:
    return await kept_files(given.get("store"), given.get("email"), given.get("url"))


async def _device(given: Mapping[str, Any]) -> KeptDevice | None:
    devices = await anyio.to_thread.run_sync((await _files(given)).devices)
    return called(given.get("device") or "", devices)


@completer
async def complete_device(given: Mapping[str, Any]) -> list[Offer]:
    """Offer the names of the account's devices."""
    devices = await anyio.to_thread.run_sync((await _files(given)).devices)
    return [(one.name, one.model) for one in devices]


@completer
async def complete_entity(given: Mapping[str, Any]) -> list[Offer]:
    """Offer the keys of a device's main entities."""
    device = await _device(given)
    return [(key, None) for key in (device and device.has) or ()]


@completer
async def complete_channel(given: Mapping[str, Any]) -> list[Offer]:
    """Offer the numbers of a device's channels that have a name."""
    device = await _device(given)
    return [*device.channels.items()] if device is not None else []


@completer
async def complete_namespace(given: Mapping[str, Any]) -> list[Offer]:
    """Offer what a device has said that it can."""
    device, state = await _device(given), (await _files(given)).state
    if device is None or not await anyio.Path(state).exists():
        return []
    async with open_account_state(state) as kept:
        known = (await kept.kept("device/")).get(device.id, {}).get("ability")
    return [(name, None) for name in sorted(known)] if isinstance(known, dict) else []
