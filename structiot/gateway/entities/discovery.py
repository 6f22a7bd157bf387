"""One device's announcement to Home Assistant, in its device form. Pure.

One retained message on `<prefix>/device/<identifier>/config` describes the device, all of
its entities (`components`) and where availability is told. A device is available when both
the gateway and the device say so.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping
from hashlib import sha256
from types import MappingProxyType

from structiot.gateway.entities.components import component_of
from structiot.gateway.entities.topics import Topics, identifier_of
from structiot.model import DeviceInfo, Entity

__all__ = ["MIGRATE", "ORIGIN", "discovery_payload"]

ORIGIN = "structiot"
# What Home Assistant wants on an old topic, so that entities keep what users made of them.
MIGRATE = '{"migrate_discovery": true}'
_SUPPORT_URL = "https://pypi.org/project/structiot/"
_PAIRS = range(0, 12, 2)
_WEB = ("http://", "https://")


def discovery_payload(
    gone: Mapping[str, str] = MappingProxyType({}),
    ambiguous: Container[str] = (),
    *,
    device: str,
    name: str,
    info: DeviceInfo,
    entities: Iterable[Entity],
    topics: Topics,
    version: str,
    room: str | None = None,
) -> str:
    """Write the announcement of a device.

    Args:
        gone: Platforms of entities it had before, by key, to be taken away.
        ambiguous: Keys of entities whose plain unique ids are those of another device.
        device: The device's level in topics.
        name: What people call the device.
        info: Who the device is.
        entities: What it has.
        topics: The gateway's topics.
        version: Version of structiot.
        room: Where it is, which Home Assistant takes for a new device's area.
    """
    identifier = identifier_of(info.system, info.id)
    components: dict[str, object] = {
        key: {"platform": platform} for key, platform in gone.items()
    }
    for entity in entities:
        components[entity.key] = component_of(
            entity,
            device=device,
            unique_id=_unique_id(
                identifier, entity.key, is_plain=entity.key not in ambiguous
            ),
            topics=topics,
        )
    payload = {
        "device": _device(identifier, name, info, room),
        "origin": {
            "name": ORIGIN,
            "sw_version": version,
            "support_url": _SUPPORT_URL,
        },
        "components": components,
        "availability": [
            {"topic": topics.gateway_availability},
            {"topic": topics.availability(device)},
        ],
        "availability_mode": "all",
    }
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))


def _unique_id(identifier: str, key: str, *, is_plain: bool) -> str:
    plain = f"{identifier}_{key}"
    if is_plain:
        return plain
    digest = sha256(json.dumps([identifier, key]).encode()).hexdigest()
    return f"{plain}_{digest[:8]}"


def _device(
    identifier: str, name: str, info: DeviceInfo, room: str | None
) -> dict[str, object]:
    device: dict[str, object] = {"identifiers": [identifier], "name": name}
    if info.mac is not None:
        pairs = ":".join(info.mac[at : at + 2] for at in _PAIRS)
        device["connections"] = [["mac", pairs]]
    optional = {
        "manufacturer": info.manufacturer,
        "model": info.model,
        "sw_version": info.firmware,
        "hw_version": info.hardware,
        "serial_number": info.serial,
        "suggested_area": room,
        "via_device": info.via and identifier_of(info.system, info.via),
        # Home Assistant refuses the whole announcement for an address of another kind.
        "configuration_url": info.url if (info.url or "").startswith(_WEB) else None,
    }
    return device | {key: value for key, value in optional.items() if value}
