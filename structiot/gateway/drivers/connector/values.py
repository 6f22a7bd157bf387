"""From what an entity is to what a platform is told, and from its commands. Pure.

Data are JSON: `true`, `21.5`, `"eco"`, and for what has several values the objects that
stand on state topics. A command is the same, or what is published on a set topic.
"""

from __future__ import annotations

import json
from enum import Enum
from typing import Final
from urllib.parse import quote

from structiot._kit.json_text import compact
from structiot.gateway.entities.commands import INSTALL, MAX_COMMAND_BYTES, PRESS
from structiot.gateway.entities.states import shown_state, state_payload
from structiot.model import (
    BinarySensor,
    Button,
    DeviceInfo,
    Entity,
    Lock,
    Number,
    Select,
    Sensor,
    State,
    Switch,
    Text,
    Update,
)

__all__ = ["command_payload", "platform_id", "state_data"]

_PLAIN: Final = (BinarySensor, Lock, Number, Select, Sensor, Switch, Text)
_KEPT: Final = ":._-@ "


def platform_id(info: DeviceInfo) -> str:
    """Give the id that a device has at the platform, whatever it is called.

    It has no `/`, `+` and `#`, which cannot be in topics.
    """
    # Half a character, which others may have let in, is encoded as well.
    return f"{info.system}:{quote(info.id, safe=_KEPT, errors='surrogatepass')}"


def state_data(entity: Entity, state: State | None) -> str:
    """Write the state of an entity.

    Raises:
        UsageError: The state is none that such an entity can have.
    """
    payload = state_payload(entity, state)
    if not isinstance(entity, _PLAIN):
        return payload
    # What locks do is a text like any other.
    value = payload if isinstance(state, Enum) else shown_state(entity, state)
    return compact(value, is_ascii=False)


def command_payload(entity: Entity, data: str | None) -> bytes | None:
    """Give what would be published on the entity's set topic.

    Args:
        entity: Whom the command is for.
        data: What the platform says.

    Returns:
        The payload; None if the platform only asks for the state.
    """
    if data is None or data.strip() in {"", "null"}:
        if isinstance(entity, Button):
            return PRESS.encode()
        if isinstance(entity, Update) and entity.can_install:
            return INSTALL.encode()
        return None
    if len(data) <= MAX_COMMAND_BYTES:
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, str):
            data = value
    return data.encode(errors="replace")
