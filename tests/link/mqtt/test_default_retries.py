"""How long a broker is sought when nothing is configured: soon told, never given up."""

from __future__ import annotations

import anyio
import pytest

from structiot.mqtt import MqttConnectFailed
from structiot.mqtt.wire.messages import Message
from tests.link.mqtt.opening import exchanged, open_client

pytestmark = pytest.mark.virtual_time


async def test_a_connection_that_once_stood_is_by_default_never_given_up(broker):
    async with open_client(broker) as client, client.subscription("t") as messages:
        broker.stop()
        await anyio.sleep(900)
        await broker.start()
        await broker.connected(2)
        await exchanged(client)
        await broker.connection.send(Message("t", b"still here"))
        assert (await anext(messages)).payload == b"still here"


async def test_a_first_connection_is_by_default_given_up_soon(broker):
    broker.stop()
    with pytest.raises(MqttConnectFailed) as caught:
        async with open_client(broker, wait_connected=False) as client:
            await client.ping()
    assert caught.value.attempts == 3
    assert anyio.current_time() < 10
