"""Whether somebody else speaks for this gateway: two with one base topic do.

Each would show the other's devices as offline and refuse the other's commands. It is said
by both, and when the other one leaves, what it has taken back is published again.
"""

from __future__ import annotations

import logging

import anyio

from structiot._kit.flow.tasks import service_group
from structiot._kit.json_text import parse_object
from structiot._kit.rare_lines import RareLines
from structiot._kit.text import printable
from structiot.errors import ProtocolViolation
from structiot.gateway.entities.topics import OFFLINE, Topics
from structiot.gateway.publisher import Publisher
from structiot.mqtt import Message, MqttClient, SubscribeRefused

__all__ = ["OwnTopics"]

# Whoever takes it back all the time has it put right so often.
_PUT_RIGHT_S = 30.0
_MOST_BYTES = 4096

_log = logging.getLogger(__name__)


class OwnTopics:
    """Watches what others publish on the gateway's own topics.

    Args:
        topics: The gateway's.
        publisher: What shall stand there.
    """

    def __init__(self, topics: Topics, publisher: Publisher) -> None:
        self._topics = topics
        self._publisher = publisher
        self._is_taken_back = anyio.Event()
        self._lines = RareLines(_log, anyio.current_time)

    async def watch(self, client: MqttClient) -> None:
        """Watch until cancelled; where the broker lets nobody listen, nobody does."""
        topics = dict.fromkeys((self._topics.gateway_availability, self._state), 0)
        async with service_group() as tasks:
            tasks.start_soon(self._put_right, name="structiot.gateway.own_topics")
            try:
                async with client.subscription(topics) as messages:
                    async for message in messages:
                        # What is retained may be of an earlier run.
                        if not message.retain:
                            self._take(message)
            except SubscribeRefused:
                await anyio.sleep_forever()

    @property
    def _state(self) -> str:
        return self._topics.report("state")

    def _take(self, message: Message) -> None:
        if message.topic == self._state:
            self._take_state(message.payload)
        elif message.payload == OFFLINE.encode():
            text = "%s said offline, which is not so: it is published again"
            self._lines.say(text, message.topic)
            self._is_taken_back.set()

    def _take_state(self, payload: bytes) -> None:
        ours = self._publisher.wanted.get(self._state, "").encode()
        if payload == ours or not ours or len(payload) > _MOST_BYTES:
            return
        try:
            said, own = parse_object(payload, "state"), parse_object(ours, "state")
        except ProtocolViolation:
            return
        since = str(said.get("since", ""))
        if not since:
            # It has left.
            return
        text = (
            "another gateway, up since %s, has the base topic %r too: give each its own, "
            "by base_topic in [mqtt]"
        )
        self._lines.say(text, printable(since, most=40), self._topics.base)
        if since > str(own.get("since", "")):
            # The later one does not answer, so it ends here.
            self._publisher.repeat([self._state])

    async def _put_right(self) -> None:
        while True:
            await self._is_taken_back.wait()
            self._is_taken_back = anyio.Event()
            self._publisher.repeat(list(self._publisher.wanted))
            await anyio.sleep(_PUT_RIGHT_S)
