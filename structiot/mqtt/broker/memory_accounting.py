"""What things cost in memory, roughly: the limits in bytes are counted so.

A client pays for all that it makes the broker keep. Without that an empty message with
16 MB of user properties would cost nothing, and a topic of a hundred empty levels a
hundred bytes.
"""

from __future__ import annotations

from structiot.mqtt.wire.properties import PublishProperties

__all__ = ["LEVEL_BYTES", "message_bytes", "topic_bytes"]

# A level of a tree: its node, its place in the node above, its name.
LEVEL_BYTES = 400
# A pair of user properties beside its characters: a tuple and two strings.
PAIR_BYTES = 160


def topic_bytes(topic: str) -> int:
    """Count what a topic costs that stands in a tree."""
    return len(topic) + LEVEL_BYTES * (topic.count("/") + 1)


def message_bytes(
    topic: str, payload: bytes, properties: PublishProperties | None
) -> int:
    """Count what a message costs that is kept."""
    size = len(topic) + len(payload)
    if properties is None:
        return size
    for name, value in properties.user_properties:
        size += len(name) + len(value) + PAIR_BYTES
    for text in (
        properties.content_type,
        properties.response_topic,
        properties.correlation_data,
    ):
        size += len(text or "")
    return size
