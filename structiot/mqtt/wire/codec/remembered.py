"""Topics and properties that come again and again, so that they are read once."""

from __future__ import annotations

from structiot.mqtt.wire.properties import PublishProperties

__all__ = ["Remembered"]

MAX_TOPICS, MAX_TOPIC_BYTES = 16_384, 256
MAX_BLOCKS, MAX_BLOCK_BYTES = 1024, 64
# A server has a set for each client.
MOST_TOPICS_OF_CLIENT = 256
MOST_BLOCKS_OF_CLIENT = 64
# What it costs to remember a topic or a block of properties, and for each byte of it.
TOPIC_COST_BYTES, TOPIC_BYTE_COSTS = 250, 2
BLOCK_COST_BYTES, BLOCK_BYTE_COSTS = 350, 20


class Remembered:
    """What one decoder knows again.

    Args:
        is_server: Whether there is one for each of many clients.

    Attributes:
        topics: By their bytes on the wire.
        blocks: Properties of a PUBLISH, by theirs.
        held_bytes: What they cost, at most.
    """

    __slots__ = (
        "_has_news",
        "_most_blocks",
        "_most_topics",
        "blocks",
        "held_bytes",
        "topics",
    )

    def __init__(self, *, is_server: bool) -> None:
        self.topics: dict[bytes, str] = {}
        self.blocks: dict[bytes, PublishProperties] = {}
        self.held_bytes: int = 0
        self._has_news = False
        self._most_topics = MOST_TOPICS_OF_CLIENT if is_server else MAX_TOPICS
        self._most_blocks = MOST_BLOCKS_OF_CLIENT if is_server else MAX_BLOCKS

    def add_topic(self, raw: bytes, topic: str) -> bool:
        """Know a topic from now on; False if it is too long for that."""
        if len(raw) > MAX_TOPIC_BYTES:
            return False
        if len(self.topics) >= self._most_topics:
            self.forget()
        self.topics[raw] = topic
        self._has_news = True
        self.held_bytes += TOPIC_COST_BYTES + TOPIC_BYTE_COSTS * len(raw)
        return True

    def add_block(self, block: bytes, properties: PublishProperties) -> None:
        """Know a block from now on, its length included, unless it is too long."""
        if len(block) > MAX_BLOCK_BYTES:
            return
        if len(self.blocks) >= self._most_blocks:
            self.forget()
        self.blocks[block] = properties
        self._has_news = True
        self.held_bytes += BLOCK_COST_BYTES + BLOCK_BYTE_COSTS * len(block)

    def take_news(self) -> bool:
        """Tell whether it has come to know something since this was asked last."""
        has_news, self._has_news = self._has_news, False
        return has_news

    def forget(self) -> None:
        """Begin anew."""
        self.topics.clear()
        self.blocks.clear()
        self.held_bytes = 0
