"""Topic aliases that the peer has given (MQTT 5.0 section 3.3.2.3.4)."""

from __future__ import annotations

from structiot.errors import ProtocolViolation
from structiot.mqtt.wire.messages import Message
from structiot.mqtt.wire.reasons import ReasonCode

__all__ = ["resolve_alias"]


def resolve_alias(message: Message, aliases: dict[int, str], maximum: int) -> None:
    """Learn a message's alias, or put the topic in its place.

    Args:
        message: Gets its topic if it has only an alias.
        aliases: What this connection has learnt; changed in place.
        maximum: The highest alias that we have allowed.

    Raises:
        ProtocolViolation: An alias above the maximum, or one that stands for nothing.
    """
    alias = None if message.properties is None else message.properties.topic_alias
    if alias is None:
        return
    if alias > maximum or not (message.topic or alias in aliases):
        why = f"above {maximum}" if alias > maximum else "not known"
        text = f"topic alias {alias} is {why}"
        raise ProtocolViolation(text, code=ReasonCode.TOPIC_ALIAS_INVALID)
    if message.topic:
        aliases[alias] = message.topic
    else:
        message.topic = aliases[alias]
