"""What things cost in memory, roughly: the limits in bytes are counted so.

A client pays for all that it makes the broker keep. Without that an empty message with
16 MB of user properties would weigh nothing, and a topic of a hundred empty levels a
hundred bytes.
"""

from __future__ import annotations

from structiot.mqtt.wire.properties import PublishProperties

__all__ = ["LEVEL_BYTES", "message_weight", "topic_weight"]

# A level of a tree: its node, its place in the node above, its name.
LEVEL_BYTES = 400
# A pair of user properties beside its characters: a tuple and two strings.
PAIR_BYTES = 160


def topic_weight(topic: str) -> int:
    """Weigh a topic that stands in a tree."""
    return len(topic) + LEVEL_BYTES * (topic.count("/") + 1)


def message_weight(
    topic: str, payload: bytes, properties: PublishProperties | None
) -> int:
    """Weigh a message that is kept."""
    weight = len(topic) + len(payload)
    if properties is None:
        return weight
    for name, value in properties.user_properties:
        weight += len(name) + len(value) + PAIR_BYTES
    for text in (
        properties.content_type,
        properties.response_topic,
        properties.correlation_data,
    ):
        weight += len(text or "")
    return weight
