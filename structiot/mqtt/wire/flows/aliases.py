"""Topic aliases that the peer has given (MQTT 5.0 sections 3.3.2.3.4 and 3.3.4).

One outside of what we have allowed is no alias at all (0x94, 3.3.4 step 1); one that we
know nothing of, on a message without a topic, is a peer that has lost count (0x82, step 3).
"""

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

    __slots__ = ("held_bytes",)

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
        ProtocolViolation: An alias above the maximum (0x94), or one that stands for
            nothing (0x82).
    """
    alias = None if message.properties is None else message.properties.topic_alias
    if alias is None:
        return
    if alias > maximum:
        text = f"topic alias {alias} is above {maximum}"
        raise ProtocolViolation(text, code=ReasonCode.TOPIC_ALIAS_INVALID)
    if not (message.topic or alias in aliases):
        text = f"topic alias {alias} is not known"
        raise ProtocolViolation(text, code=ReasonCode.PROTOCOL_ERROR)
    if message.topic:
        aliases[alias] = message.topic
    else:
        message.topic = aliases[alias]
