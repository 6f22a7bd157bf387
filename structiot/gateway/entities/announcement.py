"""An announcement to Home Assistant, read back from the broker. Pure.

Anybody may have written what is retained there. What is not in every part as this program
writes it is somebody else's, and none of its words becomes a topic.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from structiot.errors import UsageError
from structiot.gateway.entities.component_discovery import part_of
from structiot.gateway.entities.description import check_id
from structiot.gateway.entities.discovery import ORIGIN
from structiot.gateway.entities.topics import (
    GATEWAY_LEVEL,
    base_topic_fault,
    is_object_id,
    is_slug,
)

__all__ = ["KEY", "MAX_COMPONENTS", "Announcement", "read_announcement"]

KEY = re.compile(r"[A-Za-z0-9_]{1,64}")
_SYSTEM = re.compile(r"[a-z][a-z0-9]{0,63}")
_PLATFORM = re.compile(r"[a-z_]{1,32}")
_GATEWAY = f"/{GATEWAY_LEVEL}/availability"
_AVAILABILITY = "/availability"
_NOT_OURS = (ValueError, TypeError, LookupError, AttributeError, RecursionError)
# As many entities as a device may have, and as many that it had before.
MAX_COMPONENTS = 1024
_MAX_BYTES = 500_000
# With those of its templates an entity has 30; what has far more takes long to be read.
_MAX_BRACKETS = 64 * MAX_COMPONENTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What a gateway of this program has announced.

    Attributes:
        topic: Where the whole device announces itself, or would.
        configs: Where it is announced: there, or on a topic of each entity.
        base: Base topic of that gateway.
        slug: The device's level in topics.
        system: The device's system.
        id: The device's identity in its system.
        platforms: Platform of each entity, by key; empty for one that is taken away.
    """

    topic: str
    configs: tuple[str, ...]
    base: str
    slug: str
    system: str
    id: str
    platforms: Mapping[str, str] = field(hash=False)

    def joined(self, other: Announcement) -> Announcement:
        """Give both that stand for the same device as one."""
        if len(self.configs) >= MAX_COMPONENTS:
            return self
        return replace(
            self,
            configs=tuple(dict.fromkeys((*self.configs, *other.configs))),
            platforms={**self.platforms, **other.platforms},
        )


def read_announcement(topic: str, payload: bytes) -> Announcement | None:
    """Read an announcement; None if it is none, or not of this program.

    Whatever it has of us is as we would have written it: its topics may be subscribed to
    and published on, and its words be shown.
    """
    part = part_of(topic)
    whole = topic if part is None else part.device
    brackets = payload.count(b"[") + payload.count(b"{")
    is_too_large = len(payload) > _MAX_BYTES or brackets > _MAX_BRACKETS
    if is_too_large or not is_object_id(whole.split("/")[-2:][0]):
        return None
    try:
        given: Any = json.loads(payload)
        if given["origin"]["name"] != ORIGIN:
            return None
        gateway, device = (str(one["topic"]) for one in given["availability"])
        system, id_ = _identity(given["device"]["identifiers"][0])
        if part is not None:
            given["components"] = {part.key: {**given, "platform": part.platform}}
        platforms = _platforms(given["components"])
    except (*_NOT_OURS, UsageError):
        return None
    base, slug = gateway.removesuffix(_GATEWAY), device.removesuffix(_AVAILABILITY)
    head, _, slug = slug.rpartition("/")
    is_ours = gateway == f"{base}{_GATEWAY}"
    is_ours = is_ours and device == f"{base}/{slug}{_AVAILABILITY}" and base == head
    if not is_ours or base_topic_fault(base) or not is_slug(slug):
        return None
    return Announcement(
        topic=whole,
        configs=(topic,),
        base=base,
        slug=slug,
        system=system,
        id=id_,
        platforms=platforms,
    )


def _identity(identifier: str) -> tuple[str, str]:
    origin, system, id_ = identifier.split("_", 2)
    if origin != ORIGIN or not _SYSTEM.fullmatch(system):
        raise ValueError("it is of no system of this program")
    check_id(id_)
    return system, id_


def _platforms(components: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    if len(components) > MAX_COMPONENTS:
        raise ValueError("it has more entities than a device can have")
    platforms: dict[str, str] = {}
    for key, component in components.items():
        platform = str(component["platform"])
        if not (KEY.fullmatch(key) and _PLATFORM.fullmatch(platform)):
            raise ValueError("no entity has such a key or such a platform")
        if len(component) > 1:
            platforms[key] = platform
    return platforms
