"""What a broker says, as somebody sees it who is not the gateway."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio

from structiot._kit.flow.tasks import service_group
from structiot.mqtt import Message, MqttClient, open_mqttclient

_LOOK_EVERY_S = 0.05


class BrokerWatch:
    """The latest payload of every topic, and all that came since the last look."""

    def __init__(self, uri: str, client: MqttClient) -> None:
        self.client = client
        self._uri = uri
        self.latest: dict[str, str] = {}
        self.seen: list[tuple[str, str]] = []
        self._changed = anyio.Event()

    def take(self, message: Message) -> None:
        payload = message.payload.decode()
        self.latest[message.topic] = payload
        self.seen.append((message.topic, payload))
        self._changed.set()
        self._changed = anyio.Event()

    async def until(
        self, condition: Callable[[], object], *, within_s: float = 10
    ) -> None:
        """Wait until a condition holds, on the broker or elsewhere."""
        with anyio.fail_after(within_s):
            while not condition():
                with anyio.move_on_after(_LOOK_EVERY_S):
                    await self._changed.wait()

    async def until_is(self, topic: str, payload: str, *, within_s: float = 10) -> None:
        """Wait until a topic has a payload."""
        try:
            await self.until(
                lambda: self.latest.get(topic) == payload, within_s=within_s
            )
        except TimeoutError:
            now = self.latest.get(topic)
            raise AssertionError(f"{topic} is {now!r}, not {payload!r}") from None

    async def until_there(self, topic: str) -> str:
        """Wait until there is something on a topic, and give it."""
        await self.until(lambda: self.latest.get(topic))
        return self.latest[topic]

    async def until_told(self, topic: str) -> Any:
        """Wait until something new is told on a topic, and give it as JSON."""
        await self.until(lambda: topic in dict(self.seen))
        told = dict(self.seen)[topic]
        self.seen.clear()
        return json.loads(told)

    async def retained(self, topic_filter: str) -> dict[str, str]:
        """Ask anew for what is retained now; the broker answers pings in order."""
        found: dict[str, str] = {}
        async with (
            open_mqttclient(self._uri) as client,
            client.subscription(topic_filter, qos=0) as messages,
        ):
            await client.ping()
            while len(messages):
                message = await anext(aiter(messages))
                found[message.topic] = message.payload.decode()
        return found


@asynccontextmanager
async def watching(uri: str, *filters: str) -> AsyncIterator[BrokerWatch]:
    """Watch a broker for the length of the block."""
    async with open_mqttclient(uri) as client, service_group() as tg:
        watch = BrokerWatch(uri, client)

        async def follow(topic_filter: str, *, task_status: Any) -> None:
            async with client.subscription(topic_filter, qos=1) as messages:
                task_status.started()
                async for message in messages:
                    watch.take(message)

        for topic_filter in filters:
            await tg.start(follow, topic_filter)
        yield watch
