"""How the tests here open their clients, and look at what came of it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from random import Random
from typing import Any

from structiot import Environment
from structiot.mqtt import Messages, MqttClient, open_mqttclient
from structiot.mqtt.wire.messages import Subscribe
from tests._support.fake_broker import FakeBroker, FakeConnection


def open_client(
    broker: FakeBroker,
    *,
    client_id: str = "tester",
    wait_connected: bool = True,
    codec: Any = None,
    **config: Any,
) -> AbstractAsyncContextManager[MqttClient]:
    """Open a client of MQTT 3.1.1 unless told otherwise."""
    config.setdefault("protocol", "3.1.1")
    return open_mqttclient(
        broker.uri,
        client_id,
        config,
        codec,
        environment=Environment(network=broker.network, random=Random(1)),
        wait_connected=wait_connected,
    )


def lasting(**config: Any) -> dict[str, Any]:
    """Settings of a session that outlives its connections, and is never given up."""
    return {"cleansession": False, "reconnect_retries": -1, **config}


def filters(connection: FakeConnection) -> list[list[tuple[str, int]]]:
    """What each SUBSCRIBE of a connection asked for."""
    return [
        [(item.topic_filter, item.qos) for item in packet.subscriptions]
        for packet in connection.of(Subscribe)
    ]


async def take(messages: Messages, count: int) -> list[bytes]:
    """The payloads of the next messages."""
    return [(await anext(messages)).payload for _ in range(count)]


async def exchanged(client: MqttClient) -> None:
    """Return when both sides have dealt with all that was sent before."""
    # The first answer comes after what the broker has sent, the second after what
    # the client has said to that.
    await client.ping()
    await client.ping()
