"""One announcement as many smaller ones, in Home Assistant's component form. Pure.

A broker may not take a message as long as the announcement of a whole device. Then each
entity announces itself on `<prefix>/<platform>/<node>/<key>/config`, with the device that
it belongs to; for Home Assistant the outcome is the same, as long as not both stand.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["Part", "announcement_in_parts", "filters_of", "part_of"]

_SHARED = ("device", "origin", "availability", "availability_mode")
_LEVELS = 5
# What a PUBLISH takes besides topic and payload, an alias included.
_HEADER_BYTES = 16


class Part(NamedTuple):
    """Whose announcement a topic is for.

    Attributes:
        device: Where the whole device would announce itself.
        platform: The entity's platform.
        key: The entity.
    """

    device: str
    platform: str
    key: str


def part_of(topic: str) -> Part | None:
    """Take the topic of an entity's own announcement apart; None if it is none."""
    levels = topic.rsplit("/", _LEVELS - 1)
    if len(levels) != _LEVELS or levels[-1] != "config":
        return None
    prefix, platform, node, key, _ = levels
    return Part(f"{prefix}/device/{node}/config", platform, key)


def filters_of(topic: str) -> tuple[str, str]:
    """Give what matches a device's announcement, as a whole and in parts."""
    head, node, _ = topic.rsplit("/", 2)
    return topic, f"{head.removesuffix('/device')}/+/{node}/+/config"


def announcement_in_parts(
    topic: str, payload: str, longest_bytes: int | None
) -> dict[str, str]:
    """Give the topic and payload of each entity; empty if all of it fits in one message.

    Args:
        topic: Where the announcement would stand.
        payload: The announcement, as `discovery_payload` writes it.
        longest_bytes: The longest packet that the broker takes; None for any.
    """
    size = len(payload.encode(errors="replace")) + len(topic.encode()) + _HEADER_BYTES
    if longest_bytes is None or size <= longest_bytes:
        return {}
    head, node, _ = topic.rsplit("/", 2)
    prefix = head.removesuffix("/device")
    announcement: Mapping[str, Any] = json.loads(payload)
    shared = {key: announcement[key] for key in _SHARED if key in announcement}
    parts = {}
    for key, component in announcement["components"].items():
        own = {k: value for k, value in component.items() if k != "platform"}
        # One that is no more says so by not being there.
        if own:
            place = f"{prefix}/{component['platform']}/{node}/{key}/config"
            parts[place] = _written({**own, **shared})
    return parts


def _written(payload: Mapping[str, object]) -> str:
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
