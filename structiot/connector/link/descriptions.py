"""Devices as platforms are told of them, with the hash of what is told.

The class of a device may be anybody's. One that raises, or gives what cannot be told, is
refused by itself, as if the platform had done so.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

import anyio.lowlevel

from structiot._kit.json_text import compact
from structiot._kit.text import error_text
from structiot.connector.device import Device
from structiot.connector.errors import PlatformRefused
from structiot.connector.wire.hashes import DeviceHashes
from structiot.connector.wire.parts import put_payload
from structiot.connector.wire.senergy import JsonObject, encode_device, member_hash

__all__ = ["senergy_description", "sepl_description", "sepl_hashes"]

_BAD_REQUEST: Final = 400
_HASHES_A_TURN: Final = 1000


def sepl_description(device: Device) -> tuple[dict[str, object], str]:
    """Give what SEPL is told of a device.

    Raises:
        PlatformRefused: It cannot be told.
    """
    with _refused():
        payload = put_payload(device.id, device.type, device.name, device.tags)
        return payload, _hash_of(device)


async def sepl_hashes(devices: Sequence[Device]) -> DeviceHashes:
    """Hash devices; one that cannot be is left out, and refused when it is told."""
    hashes: dict[str, str] = {}
    for number, device in enumerate(devices, 1):
        with suppress(PlatformRefused), _refused():
            hashes[device.id] = _hash_of(device)
        if number % _HASHES_A_TURN == 0:
            await anyio.lowlevel.checkpoint()
    return DeviceHashes(hashes)


def senergy_description(device: Device) -> tuple[JsonObject, str]:
    """Give what SENERGY is told of a device.

    Raises:
        PlatformRefused: It cannot be told.
    """
    with _refused():
        tags = dict(tag.split(":", 1) for tag in device.tags)
        described = encode_device(device.id, device.type, device.name, tags)
        compact(described, is_ascii=True)
        return described, member_hash(device.id, device.name)


@contextmanager
def _refused() -> Generator[None]:
    try:
        yield
    except Exception as exc:
        text = f"not sent: it does not say what it is: {error_text(exc)}"
        raise PlatformRefused(_BAD_REQUEST, text) from exc


def _hash_of(device: Device) -> str:
    digest: object = device.hash
    if not isinstance(digest, str):
        raise TypeError("its hash is no text")
    return digest
