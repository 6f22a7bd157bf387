"""Topic aliases that the peer has given (MQTT 5.0 section 3.3.2.3.4)."""

from __future__ import annotations

from sys import getsizeof

from structiot.errors import ProtocolViolation
from structiot.mqtt.wire.messages import Message
from structiot.mqtt.wire.reasons import ReasonCode

__all__ = ["CountedAliases", "resolve_alias"]


class CountedAliases(dict[int, str]):
    """Aliases of a peer that pays for the memory they take.

    Attributes:
        held_bytes: What their topics cost.
    """

    def __init__(self) -> None:
        super().__init__()
        self.held_bytes: int = 0

    def __setitem__(self, alias: int, topic: str) -> None:
        before = self.get(alias)
        if before is not None:
            self.held_bytes -= getsizeof(before)
        self.held_bytes += getsizeof(topic)
        super().__setitem__(alias, topic)


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
