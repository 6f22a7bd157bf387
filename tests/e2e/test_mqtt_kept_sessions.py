"""What a session keeps for the next process, with Mosquitto and with our broker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from structiot.mqtt import MqttClient, SubscribeRefused, open_broker, open_mqttclient
from structiot.mqtt.broker import Permission

pytestmark = pytest.mark.e2e

WAIT_S = 10.0
BOTH = pytest.mark.parametrize("protocol", ["3.1.1", "5.0"])


@pytest.fixture(params=["mosquitto", "ours"])
async def uri(request: pytest.FixtureRequest, mosquitto) -> AsyncIterator[str]:
    if request.param == "mosquitto":
        yield mosquitto.uri
        return
    async with open_broker("mqtt://127.0.0.1:0") as broker:
        yield broker.uri


def kept(uri: str, name: str, protocol: str) -> Any:
    """Open a client whose session outlives it, by one name."""
    return open_mqttclient(
        uri, name, {"cleansession": False, "protocol": protocol, "goodbye_s": WAIT_S}
    )


async def forget(uri: str, name: str, protocol: str) -> None:
    async with open_mqttclient(uri, name, {"protocol": protocol}):
        pass


async def payloads(messages: Any, count: int) -> list[bytes]:
    with anyio.fail_after(WAIT_S):
        return [(await anext(messages)).payload for _ in range(count)]


@BOTH
async def test_what_was_left_standing_is_read_by_the_next_process_and_given_up(
    uri: str, protocol: str
):
    name = f"kept{protocol[0]}"
    async with open_mqttclient(uri, config={"protocol": protocol}) as other:

        async def say(*numbers: int) -> None:
            for number in numbers:
                await other.publish(f"{name}/t", b"%d" % number, qos=2)

        async with kept(uri, name, protocol) as client:
            filters = {f"{name}/#": 2, f"{name}/also": 1}
            async with client.subscription(filters, unsubscribe=False) as messages:
                await say(1, 2)
                assert await payloads(messages, 1) == [b"1"]
        await say(3)
        # It has not subscribed, and gets all that was not taken.
        async with kept(uri, name, protocol) as client, client.unclaimed() as messages:
            assert await payloads(messages, 2) == [b"2", b"3"]
            await client.incoming_complete()
        async with kept(uri, name, protocol) as client:
            await client.unsubscribe([f"{name}/#", f"{name}/also"])
        await say(4)
        async with kept(uri, name, protocol) as client, client.unclaimed() as messages:
            await client.publish("elsewhere", b"", qos=1)
            assert len(messages) == 0
            assert client.counters.unclaimed == 0
    await forget(uri, name, protocol)


@BOTH
async def test_a_subscription_of_several_filters_is_one_stream(uri: str, protocol: str):
    async with open_mqttclient(uri, config={"protocol": protocol}) as client:
        filters = {f"several/{number}": number % 3 for number in range(150)}
        async with client.subscription(filters) as messages:
            assert messages.granted == filters
            sent = range(0, 150, 10)
            for number in sent:
                await client.publish(f"several/{number}", b"%d" % number, qos=2)
            with anyio.fail_after(WAIT_S):
                received = [await anext(messages) for _ in sent]
            # Those of QoS 0 may overtake the others.
            assert {int(one.payload): one.qos for one in received} == {
                number: number % 3 for number in sent
            }
        await client.publish("several/1", b"x", qos=1)
        assert client.counters.unclaimed == 0


@BOTH
async def test_one_filter_that_is_refused_refuses_all(protocol: str):
    permissions = [Permission(publish=["#"], subscribe=["mine/#"])]
    async with open_broker("mqtt://127.0.0.1:0", permissions=permissions) as broker:
        config = {"protocol": protocol}
        async with open_mqttclient(broker.uri, config=config) as client:
            with pytest.raises(SubscribeRefused) as caught:
                async with client.subscription({"mine/a": 1, "theirs": 1}):
                    pytest.fail("one of them is not ours")
            assert caught.value.topic_filter == "theirs"
            await client.publish("mine/a", b"", qos=1)
            assert client.counters.unclaimed == 0


@BOTH
async def test_the_broker_chooses_an_id(uri: str, protocol: str):
    def opened() -> Any:
        return open_mqttclient(uri, "", {"protocol": protocol})

    async with opened() as one, opened() as two:
        clients: list[MqttClient] = [one, two]
        if protocol == "5.0":
            names = {client.client_id for client in clients}
            assert len(names - {""}) == 2
            for client in clients:
                before = client.client_id
                await client.reconnect()
                assert client.client_id == before
        async with one.subscription(f"chosen/{protocol}", qos=1) as messages:
            await two.publish(f"chosen/{protocol}", b"x", qos=1)
            assert await payloads(messages, 1) == [b"x"]
