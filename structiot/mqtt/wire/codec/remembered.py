"""Topics and properties that come again and again, so that they are read once."""

from __future__ import annotations

from structiot.mqtt.wire.properties import PublishProperties

__all__ = ["KnownTopics", "Remembered"]

MAX_TOPICS, MAX_TOPIC_BYTES = 16_384, 256
MAX_BLOCKS, MAX_BLOCK_BYTES = 1024, 64
# A server has a set for each client; topics all of them have in common.
MOST_BLOCKS_OF_CLIENT = 64
# What it costs to remember a topic or a block of properties, and for each byte of it.
TOPIC_COST_BYTES, TOPIC_BYTE_COSTS = 250, 2
BLOCK_COST_BYTES, BLOCK_BYTE_COSTS = 350, 20
# All topics together: as many of usual length.
MOST_TOPICS_BYTES = 6_291_456


class KnownTopics:
    """Topics that were read before: a decoder's own, or those of all clients of a server.

    Attributes:
        by_name: By their bytes on the wire.
        held_bytes: What they cost, at most; no more than 6 MB.
    """

    __slots__ = ("by_name", "held_bytes")

    def __init__(self) -> None:
        self.by_name: dict[bytes, str] = {}
        self.held_bytes: int = 0

    def add(self, raw: bytes, topic: str) -> None:
        """Know a topic from now on; when there are too many, begin anew."""
        cost_bytes = TOPIC_COST_BYTES + TOPIC_BYTE_COSTS * len(raw)
        is_full = self.held_bytes + cost_bytes > MOST_TOPICS_BYTES
        if is_full or len(self.by_name) >= MAX_TOPICS:
            self.forget()
        self.by_name[raw] = topic
        self.held_bytes += cost_bytes

    def forget(self) -> None:
        """Know none."""
        self.by_name.clear()
        self.held_bytes = 0


class Remembered:
    """What one decoder knows again.

    Args:
        role: Whose packets it decodes; a server has one for each of many clients.
        common_topics: Topics that all of them know; None for those of its own.

    Attributes:
        topics: By their bytes on the wire.
        blocks: Properties of a PUBLISH, by theirs.
    """

    __slots__ = (
        "_block_bytes",
        "_common",
        "_has_news",
        "_most_blocks",
        "_own",
        "blocks",
        "topics",
    )

    def __init__(self, role: str, common_topics: KnownTopics | None = None) -> None:
        self._common = common_topics
        self._own = KnownTopics()
        self.topics: dict[bytes, str] = (common_topics or self._own).by_name
        self.blocks: dict[bytes, PublishProperties] = {}
        self._block_bytes = 0
        self._has_news = False
        self._most_blocks = MOST_BLOCKS_OF_CLIENT if role == "server" else MAX_BLOCKS

    @property
    def held_bytes(self) -> int:
        """What that costs, at most, without what others know, too."""
        return self._own.held_bytes + self._block_bytes

    def add_topic(self, raw: bytes, topic: str) -> bool:
        """Know a topic from now on; False if it is too long for that."""
        if len(raw) > MAX_TOPIC_BYTES:
            return False
        if self._common is not None:
            self._common.add(raw, topic)
        else:
            self._own.add(raw, topic)
            self._has_news = True
        return True

    def add_block(self, block: bytes, properties: PublishProperties) -> None:
        """Know a block from now on, its length included, unless it is too long."""
        if len(block) > MAX_BLOCK_BYTES:
            return
        if len(self.blocks) >= self._most_blocks:
            self._forget_blocks()
        self.blocks[block] = properties
        self._has_news = True
        self._block_bytes += BLOCK_COST_BYTES + BLOCK_BYTE_COSTS * len(block)

    def take_news(self) -> bool:
        """Tell whether it costs more than when this was asked last."""
        has_news, self._has_news = self._has_news, False
        return has_news

    def forget(self) -> None:
        """Begin anew, but for what others know, too."""
        self._own.forget()
        self._forget_blocks()

    def _forget_blocks(self) -> None:
        self.blocks.clear()
        self._block_bytes = 0
