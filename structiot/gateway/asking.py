"""Messages that ask something of the gateway, and where their answers go."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from structiot._kit.text import printable
from structiot.gateway.context import GatewayContext
from structiot.gateway.entities.topics import Topics
from structiot.mqtt import Message

__all__ = ["Asked"]

_MAX_TOPIC_BYTES = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody has published.

    Attributes:
        topic: Where; empty if it did not come from the broker.
        payload: What.
        response_topic: Where the answer is wanted; empty if the sender leaves that to us.
        correlation: What the answer goes with, by its sender's wish.
        expires_in_s: For how long it is worth doing, by the broker's word.
    """

    topic: str = ""
    payload: bytes = b""
    response_topic: str = ""
    correlation: bytes | None = None
    expires_in_s: float = math.inf

    @classmethod
    def of(cls, message: Message, context: GatewayContext) -> Self:
        """Take a message; nobody has us answer where only devices and gateways speak.

        A response topic that is passed over is counted, and said once a minute.
        """
        properties = message.properties
        if properties is None:
            return cls(topic=message.topic, payload=message.payload)
        response_topic = properties.response_topic or ""
        if response_topic and not _may_answer(response_topic, context.topics):
            context.response_topics_passed_over += 1
            context.warnings.say(
                "no answer goes to %s, which a message to %s names: it is below a topic "
                "where only devices and gateways speak (%s/, %s/), or is no plain topic",
                printable(response_topic, most=100),
                printable(message.topic, most=100),
                context.topics.base,
                context.topics.discovery_prefix,
            )
            response_topic = ""
        expiry_s = properties.message_expiry_s
        return cls(
            topic=message.topic,
            payload=message.payload,
            response_topic=response_topic,
            correlation=properties.correlation_data,
            expires_in_s=math.inf if expiry_s is None else expiry_s,
        )

    def answer(
        self, context: GatewayContext, told: Mapping[str, object], *, topic: str = ""
    ) -> None:
        """Answer it where its sender wants it, else on a topic of ours if there is one."""
        where = self.response_topic or topic
        if where:
            at = context.clock().isoformat(timespec="milliseconds")
            payload = json.dumps({**told, "at": at}, ensure_ascii=False)
            context.sink.tell(where, payload, correlation=self.correlation)


def _may_answer(topic: str, topics: Topics) -> bool:
    is_plain = not (topic.startswith("$") or set(topic) & set("+#\0"))
    is_short = 0 < len(topic.encode(errors="replace")) <= _MAX_TOPIC_BYTES
    ours = (f"{topics.base}/", f"{topics.discovery_prefix}/")
    return is_plain and is_short and not topic.startswith(ours)
