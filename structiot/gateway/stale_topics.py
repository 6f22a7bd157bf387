"""What an earlier run of this gateway left on the broker, and is true no more.

A gateway that was killed could not take back what it had announced. At the first
connection the announcements that carry this gateway's id and topics are read: a device
that is not known (yet) is shown as offline; if none can turn up that has no name in
the configuration, it is taken off the broker altogether. The announcements of other
gateways and programs are never touched.
"""

from __future__ import annotations

import logging
from collections.abc import Container

import anyio

from structiot.gateway.device_topics import TopicSink
from structiot.gateway.entities.discovery import announced_topics
from structiot.gateway.entities.topics import OFFLINE, Topics
from structiot.mqtt import Message, MqttClient

__all__ = ["tidy_stale_topics"]

# Retained messages come right after the subscription; there is no sign of the last.
_LISTEN_S = 2.0

_log = logging.getLogger(__name__)


async def tidy_stale_topics(
    client: MqttClient,
    *,
    topics: Topics,
    board: TopicSink,
    present: Container[str],
    announces: bool,
    finds_more: bool,
) -> None:
    """Correct what an earlier run left; returns after two seconds of listening.

    Args:
        client: The connection to the broker.
        topics: The gateway's topics.
        board: Where topics are published.
        present: Levels in topics of the devices that are known now.
        announces: Whether devices announce themselves; else their announcements go.
        finds_more: Whether a device may turn up later that is not known now.
    """
    async with client.subscription(topics.all_discovery, qos=1) as messages:
        with anyio.move_on_after(_LISTEN_S):
            async for message in messages:
                device = topics.device_of_discovery(message.topic)
                if device is None or not message.retain:
                    continue
                retained = _retained_by(message, device, topics)
                if not retained:
                    continue
                if not announces:
                    board.clear(message.topic)
                if device in present:
                    continue
                if finds_more:
                    board.retain(topics.availability(device), OFFLINE)
                    continue
                _log.info("taking %s, which is no more, off the broker", device)
                for topic in (message.topic, *retained):
                    board.clear(topic)


def _retained_by(message: Message, device: str, topics: Topics) -> list[str]:
    return announced_topics(message.payload, device=device, topics=topics)
