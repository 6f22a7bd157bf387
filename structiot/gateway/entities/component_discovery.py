"""One announcement as many smaller ones, in Home Assistant's component form. Pure.

A broker may not take a message as long as the announcement of a whole device. Then each
entity announces itself on `<prefix>/<platform>/<node>/<key>/config`, with the device that
it belongs to; for Home Assistant the outcome is the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from structiot.gateway.entities.topics import Topics

__all__ = ["split_announcement"]

_SHARED = ("device", "origin", "availability", "availability_mode")


def split_announcement(topic: str, payload: str, topics: Topics) -> dict[str, str]:
    """Give the topic and payload of each entity; empty if it is no announcement.

    An entity that is no more has an empty payload, which takes it away.

    Args:
        topic: Where the announcement would stand.
        payload: The announcement, as `discovery_payload` writes it.
        topics: The gateway's topics.
    """
    head, tail = f"{topics.discovery_prefix}/device/", "/config"
    if not (payload and topic.startswith(head) and topic.endswith(tail)):
        return {}
    node = topic[len(head) : -len(tail)]
    announcement: Mapping[str, Any] = json.loads(payload)
    shared = {key: announcement[key] for key in _SHARED if key in announcement}
    parts = {}
    for key, component in announcement.get("components", {}).items():
        own = {k: value for k, value in component.items() if k != "platform"}
        place = f"{topics.discovery_prefix}/{component['platform']}/{node}/{key}/config"
        parts[place] = _written({**own, **shared}) if own else ""
    return parts


def _written(payload: Mapping[str, object]) -> str:
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
