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

from structiot.gateway.entities.component_discovery import part_of
from structiot.gateway.entities.discovery import ORIGIN
from structiot.gateway.entities.topics import GATEWAY_LEVEL, slug_of

__all__ = ["KEY", "Announcement", "read_announcement"]

KEY = re.compile(r"[A-Za-z0-9_]{1,64}")
_SYSTEM = re.compile(r"[a-z][a-z0-9]{0,63}")
_PLATFORM = re.compile(r"[a-z_]{1,32}")
_GATEWAY = f"/{GATEWAY_LEVEL}/availability"
_AVAILABILITY = "/availability"
_MAX_COMPONENTS = 512
_MAX_BYTES = 1_000_000
_MAX_ID = 256
_MAX_BASE = 256


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
        if len(self.configs) > _MAX_COMPONENTS:
            return self
        return replace(
            self,
            configs=tuple(dict.fromkeys((*self.configs, *other.configs))),
            platforms={**self.platforms, **other.platforms},
        )


def read_announcement(topic: str, payload: bytes) -> Announcement | None:
    """Read an announcement; None if it is none, or not of this program."""
    if len(payload) > _MAX_BYTES:
        return None
    part = part_of(topic)
    try:
        given: Any = json.loads(payload)
        if given["origin"]["name"] != ORIGIN:
            return None
        gateway, device = (str(one["topic"]) for one in given["availability"])
        system, id_ = _identity(given["device"]["identifiers"][0])
        if part is not None:
            given["components"] = {part.key: {**given, "platform": part.platform}}
        platforms = _platforms(given["components"])
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None
    base, slug = gateway.removesuffix(_GATEWAY), device.removesuffix(_AVAILABILITY)
    head, _, slug = slug.rpartition("/")
    if not (_is_base(base) and base == head and gateway == f"{base}{_GATEWAY}"):
        return None
    if not (slug and slug == slug_of(slug) != GATEWAY_LEVEL and system):
        return None
    return Announcement(
        topic=topic if part is None else part.device,
        configs=(topic,),
        base=base,
        slug=slug,
        system=system,
        id=id_,
        platforms=platforms,
    )


def _is_base(text: str) -> bool:
    is_topic = text.isprintable() and not set("+#") & set(text)
    return is_topic and 0 < len(text) <= _MAX_BASE


def _identity(identifier: str) -> tuple[str, str]:
    origin, system, id_ = identifier.split("_", 2)
    is_ours = origin == ORIGIN and _SYSTEM.fullmatch(system) and 0 < len(id_) <= _MAX_ID
    return (system, id_) if is_ours else ("", "")


def _platforms(components: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    platforms: dict[str, str] = {}
    for key, component in components.items():
        platform = component["platform"]
        if not (isinstance(platform, str) and _PLATFORM.fullmatch(platform)):
            continue
        is_one = len(component) > 1 and KEY.fullmatch(key)
        if is_one and len(platforms) < _MAX_COMPONENTS:
            platforms[key] = platform
    return platforms
