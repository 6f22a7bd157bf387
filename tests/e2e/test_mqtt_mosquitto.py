"""The client with a real broker that is not ours."""

from __future__ import annotations

import pytest

from structiot.mqtt import open_mqttclient

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("protocol", ["3.1.1", "5.0"])
async def test_a_message_makes_the_round_trip(mosquitto, qos: int, protocol: str):
    config = {"protocol": protocol}
    async with open_mqttclient(mosquitto.uri, config=config) as client:
        async with client.subscription(f"round/{protocol}/{qos}", qos=qos) as messages:
            await client.publish(f"round/{protocol}/{qos}", b"hello", qos=qos)
            message = await anext(messages)
            assert (message.payload, message.qos) == (b"hello", qos)
