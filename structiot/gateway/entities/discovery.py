"""One device's announcement to Home Assistant, in its device form. Pure.

One retained message on `<prefix>/device/<gateway id>_<device>/config` describes the
device, all of its entities (`components`) and where availability is told. A device
is available when both the gateway and the device say so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from structiot.gateway.entities.components import component_of
from structiot.gateway.entities.topics import Topics
from structiot.model import DeviceInfo, Entity

__all__ = [
    "ORIGIN",
    "announced_system",
    "announced_topics",
    "discovery_payload",
    "identifier_of",
]

ORIGIN = "structiot"
_KEY = re.compile(r"[A-Za-z0-9_]{1,64}")
_MAX_COMPONENTS = 512
_PAIRS = range(0, 12, 2)
_WEB = ("http://", "https://")


def identifier_of(system: str, id_: str) -> str:
    """Identify a device among all devices of all programs."""
    return f"{ORIGIN}_{system}_{id_}"


def discovery_payload(
    *,
    device: str,
    name: str,
    info: DeviceInfo,
    entities: Iterable[Entity],
    topics: Topics,
    version: str,
    gone: Mapping[str, str] | None = None,
) -> str:
    """Write the announcement of a device.

    Args:
        device: The device's level in topics.
        name: What people call the device.
        info: Who the device is.
        entities: What it has.
        topics: The gateway's topics.
        version: Version of structiot.
        gone: Platforms of entities it had before, by key, to be taken away.
    """
    identifier = identifier_of(info.system, info.id)
    components: dict[str, object] = {
        key: {"platform": platform} for key, platform in (gone or {}).items()
    }
    for entity in entities:
        components[entity.key] = component_of(
            entity,
            device=device,
            unique_id=f"{identifier}_{entity.key}",
            topics=topics,
        )
    payload = {
        "device": _device(identifier, name, info),
        "origin": {"name": ORIGIN, "sw_version": version},
        "components": components,
        "availability": [
            {"topic": topics.gateway_availability},
            {"topic": topics.availability(device)},
        ],
        "availability_mode": "all",
    }
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))


def _device(identifier: str, name: str, info: DeviceInfo) -> dict[str, object]:
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
        "via_device": info.via and identifier_of(info.system, info.via),
        # Home Assistant refuses the whole announcement for an address of another kind.
        "configuration_url": info.url if (info.url or "").startswith(_WEB) else None,
    }
    return device | {key: value for key, value in optional.items() if value}


def announced_topics(payload: bytes, *, device: str, topics: Topics) -> list[str]:
    """Name the retained topics behind an announcement that this gateway once made.

    Empty for the announcements of other programs and of other gateways, and for
    anything that is no announcement at all.
    """
    try:
        announcement: Any = json.loads(payload)
        is_ours = (
            announcement["origin"]["name"] == ORIGIN
            and announcement["availability"][0]["topic"] == topics.gateway_availability
        )
        components = list(islice(announcement["components"], _MAX_COMPONENTS))
        keys = [key for key in components if _KEY.fullmatch(key)]
    except (ValueError, TypeError, LookupError, RecursionError):
        return []
    if not is_ours:
        return []
    states = [topics.state(device, key) for key in keys]
    return [topics.availability(device), *states]


def announced_system(payload: bytes) -> str:
    """Name the system of a device that this gateway once announced; empty if unclear."""
    try:
        identifier = json.loads(payload)["device"]["identifiers"][0]
        origin, system, _ = identifier.split("_", 2)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return ""
    return str(system) if origin == ORIGIN else ""
