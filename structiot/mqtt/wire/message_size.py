"""What a message takes in memory, in true bytes: not its payload alone.

Texts count as they lie in memory, where one character beyond Latin-1 makes a text twice or
four times as long. What stands around them was measured (CPython 3.11 on 64 bits) and is
rounded up.
"""

from __future__ import annotations

from itertools import chain
from sys import getsizeof

from structiot.mqtt.wire.message import Message
from structiot.mqtt.wire.properties import (
    PublishProperties,
    UserProperties,
    WillProperties,
)

__all__ = [
    "FEW_PAIRS",
    "MESSAGE_BYTES",
    "PROPERTIES_BYTES",
    "SHORT_TOPIC",
    "message_bytes",
    "properties_bytes",
]

# A message beside its content: the object, its places, what will acknowledge it.
MESSAGE_BYTES = 400
# Properties of which one is set.
PROPERTIES_BYTES = 140
# A pair of user properties beside its characters: a tuple and two texts.
PAIR_BYTES = 192
# So many are counted, and encoded, again each time.
FEW_PAIRS = 8
# An identifier: the number and its place.
ID_BYTES = 40
# Bytes in memory; smaller topics are shared by the messages on them, and hardly count.
LONG_TOPIC = 256
# Characters; a text of so many is not longer in memory, however wide they are.
SHORT_TOPIC = 45


def message_bytes(message: Message) -> int:
    """Count what a message takes that is kept."""
    topic, properties = message.topic, message.properties
    size = MESSAGE_BYTES + len(message.payload)
    topic_bytes = getsizeof(topic)
    if topic_bytes > LONG_TOPIC:
        size += topic_bytes
    return size if properties is None else size + properties_bytes(properties)


def properties_bytes(properties: PublishProperties | WillProperties) -> int:
    """Count what the properties of a message or a will take.

    Many are counted once and no more: a full ledger looks at all that it holds.
    """
    size = PROPERTIES_BYTES
    if isinstance(properties, PublishProperties):
        size += ID_BYTES * len(properties.subscription_ids)
    for text in (
        properties.content_type,
        properties.response_topic,
        properties.correlation_data,
    ):
        if text is not None:
            size += getsizeof(text)
    pairs = properties.user_properties
    if len(pairs) <= FEW_PAIRS:
        return size + _pairs_bytes(pairs) if pairs else size
    known: int | None = getattr(properties, "pairs_bytes", None)
    if known is None:
        known = _pairs_bytes(pairs) + len(getattr(properties, "pairs_block", b""))
        # They are frozen, so that it stays true.
        object.__setattr__(properties, "pairs_bytes", known)
    return size + known


def _pairs_bytes(pairs: UserProperties) -> int:
    # Hundreds of thousands may be counted at once: no loop of our own over them.
    texts = list(chain.from_iterable(pairs))
    widest = 1 if all(map(str.isascii, texts)) else 4
    return PAIR_BYTES * len(pairs) + widest * sum(map(len, texts))
