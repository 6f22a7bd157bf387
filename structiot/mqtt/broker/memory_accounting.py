"""What things cost in memory: the limits in bytes are counted so.

A client pays for all that it makes the broker keep. Without that an empty message with
16 MB of user properties would cost nothing, and a topic of a hundred empty levels a
hundred bytes. Texts and payloads count as they lie in memory, where one character beyond
Latin-1 makes a text twice or four times as long; what stands around them was measured
(CPython 3.11 on 64 bits) and is rounded up.
"""

from __future__ import annotations

from sys import getsizeof

from structiot.mqtt.wire.message_size import properties_bytes
from structiot.mqtt.wire.messages import Will
from structiot.mqtt.wire.properties import PublishProperties, WillProperties

__all__ = [
    "CONNECTION_BYTES",
    "FLOW_BYTES",
    "LEVEL_BYTES",
    "PUBLISHER_BYTES",
    "RECEIVED_ID_BYTES",
    "RETAINED_BYTES",
    "SESSION_BYTES",
    "delivery_bytes",
    "message_bytes",
    "subscription_bytes",
    "topic_bytes",
    "will_bytes",
]

# A level of a tree: its node, its place in the node above, its name.
LEVEL_BYTES = 400
# A subscription beside its filter: the request, its places in session and tree.
SUBSCRIPTION_BYTES = 250
# A message on its way to one client beside its content: the flow, its id, its row.
FLOW_BYTES = 500
PLAIN_FLOW_BYTES = FLOW_BYTES + getsizeof("") + getsizeof(b"")
# A retained message beside its content.
RETAINED_BYTES = 250
# Who has published it, beside the names.
PUBLISHER_BYTES = 80
# The id of a QoS 2 message that was not released.
RECEIVED_ID_BYTES = 140
# A session without anything in it, and its connection.
SESSION_BYTES = 3000
CONNECTION_BYTES = 10_000


def topic_bytes(topic: str) -> int:
    """Count what a topic costs that stands in a tree."""
    size, levels = getsizeof(topic), topic.count("/") + 1
    # The tree has the text of each level, too; of one alone it is the same.
    return (size if levels == 1 else 2 * size) + LEVEL_BYTES * levels


def subscription_bytes(topic_filter: str) -> int:
    """Count what a subscription costs."""
    return SUBSCRIPTION_BYTES + topic_bytes(topic_filter)


def message_bytes(
    topic: str, payload: bytes, properties: PublishProperties | WillProperties | None
) -> int:
    """Count what the content of a message costs that is kept."""
    size = getsizeof(topic) + getsizeof(payload)
    return size if properties is None else size + properties_bytes(properties)


def delivery_bytes(
    topic: str, payload: bytes, properties: PublishProperties | None
) -> int:
    """Count what a message costs on its way to one client."""
    if properties is None and topic.isascii():
        # Most are so; this is in the way of every message of QoS 1.
        return PLAIN_FLOW_BYTES + len(topic) + len(payload)
    return FLOW_BYTES + message_bytes(topic, payload, properties)


def will_bytes(will: Will | None) -> int:
    """Count what a will costs until it is published."""
    return (
        0 if will is None else message_bytes(will.topic, will.payload, will.properties)
    )
