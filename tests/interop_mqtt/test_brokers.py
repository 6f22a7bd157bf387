"""The client with NATS server and RabbitMQ: MQTT 3.1.1, QoS 0 and 1."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable
from functools import partial
from typing import Any
from zlib import crc32

import anyio
import pytest

from structiot.errors import CommandRefused, LinkLost
from structiot.mqtt import (
    Connected,
    ConnectException,
    Disconnected,
    Message,
    open_mqttclient,
    subscription,
)
from structiot.sim import fault_proxy
from tests.interop_mqtt.servers import Server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(150)]

OLD: dict[str, Any] = {"protocol": "3.1.1"}
LASTING: dict[str, Any] = {
    **OLD,
    "cleansession": False,
    "reconnect_retries": -1,
    "reconnect_max_interval": 0.5,
}


@pytest.fixture
def mine(anyio_backend_name: str, request: pytest.FixtureRequest) -> str:
    """A topic of this test's own, and a client id: tests share their server."""
    return f"t{crc32(request.node.name.encode()):08x}"


async def within(messages: AsyncIterable[Message], limit_s: float = 10) -> Message:
    with anyio.fail_after(limit_s):
        return await anext(aiter(messages))


@pytest.mark.parametrize("protocol", ["3.1.1", "auto"])
@pytest.mark.parametrize("qos", [0, 1])
async def test_a_message_makes_the_round_trip(
    server: Server, mine: str, qos: int, protocol: str
):
    async with open_mqttclient(server.uri, config={"protocol": protocol}) as client:
        async with client.events() as events:
            connected = await anext(events)
            assert isinstance(connected, Connected)
            assert connected.version == 4
        async with client.subscription(mine, qos=qos) as messages:
            for payload in (b"hello", b"", bytes(range(256)) * 100):
                await client.publish(mine, payload, qos=qos)
                message = await within(messages)
                assert (message.payload, message.qos) == (payload, qos)


@pytest.mark.parametrize("qos", [0, 1])
@pytest.mark.parametrize("transport", ["websocket", "tls"])
async def test_a_message_makes_the_round_trip_over_each_transport(
    server: Server, mine: str, qos: int, transport: str
):
    uri, config = server.ws_uri, OLD
    if transport == "tls":
        uri, config = server.tls_uri, {**OLD, "cafile": server.cafile}
    async with open_mqttclient(uri, config=config) as client:
        async with client.subscription(mine, qos=qos) as messages:
            for payload in (b"hello", b"", bytes(range(256)) * 100):
                await client.publish(mine, payload, qos=qos)
                message = await within(messages)
                assert (message.payload, message.qos) == (payload, qos)


async def test_5_0_alone_is_refused(server: Server):
    config = {"protocol": "5.0", "reconnect_retries": 0}
    with pytest.raises(ConnectException):
        async with open_mqttclient(server.uri, config=config):
            pytest.fail("it has no 5.0")


async def test_a_subscription_shows_that_qos_1_was_granted_for_2(
    server: Server, mine: str
):
    async with open_mqttclient(server.uri, config=OLD) as client:
        async with client.subscription(mine, qos=2) as messages:
            assert (messages.qos, messages.granted_qos) == (2, 1)
            await client.publish(mine, b"x", qos=1)
            assert (await within(messages)).qos == 1


async def test_a_thousand_messages_of_qos_1_arrive_in_order(server: Server, mine: str):
    async with open_mqttclient(server.uri, config=OLD) as client:
        async with client.subscription(mine, qos=1) as messages:
            payloads = [b"%d" % number for number in range(1000)]
            receipts = [
                await client.publish_soon(mine, payload, qos=1) for payload in payloads
            ]
            for receipt in receipts:
                await receipt.wait()
            assert [(await within(messages)).payload for _ in payloads] == payloads


@pytest.mark.parametrize(
    ("topic_filter", "expected"),
    [
        ("+/c", ["b/c", "x/c"]),
        ("#", ["b/c", "b/d", "x/c"]),
    ],
)
async def test_wildcards_fit_as_the_standard_says(
    server: Server, mine: str, topic_filter: str, expected: list[str]
):
    async with open_mqttclient(server.uri, config=OLD) as client:
        async with client.subscription(f"{mine}/{topic_filter}", qos=1) as messages:
            for topic in ("b/c", "b/d", "x/c"):
                await client.publish(f"{mine}/{topic}", b"", qos=1)
            got = [(await within(messages)).topic for _ in expected]
            assert sorted(got) == [f"{mine}/{topic}" for topic in expected]


async def test_overlapping_subscriptions_both_get_the_message(
    server: Server, mine: str
):
    async with open_mqttclient(server.uri, config=OLD) as client:
        async with (
            client.subscription(f"{mine}/+", qos=1) as narrow,
            client.subscription(f"{mine}/#", qos=0) as wide,
        ):
            await client.publish(f"{mine}/x", b"both", qos=1)
            assert (await within(narrow)).payload == b"both"
            assert (await within(wide)).payload == b"both"


async def test_a_retained_message_waits_for_subscribers_until_it_is_erased(
    server: Server, mine: str
):
    async with open_mqttclient(server.uri, config=OLD) as client:
        await client.publish(mine, b"still", qos=1, retain=True)
        # Both store it a moment after the acknowledgement.
        await anyio.sleep(0.3)
        async with client.subscription(mine, qos=1) as messages:
            message = await within(messages)
            assert (message.payload, message.retain) == (b"still", True)
        await client.publish(mine, b"", qos=1, retain=True)
        await anyio.sleep(0.3)
        async with client.subscription(mine, qos=1) as messages:
            await client.publish(mine, b"live", qos=1)
            assert (await within(messages)).payload == b"live"


@pytest.mark.parametrize("qos", [0, 1])
async def test_the_will_is_published_when_the_client_vanishes(
    server: Server, mine: str, qos: int
):
    will = {"topic": f"{mine}/will", "message": "gone", "qos": qos}
    async with (
        subscription(f"{mine}/will", uri=server.uri, qos=1, config=OLD) as messages,
        fault_proxy("127.0.0.1", server.port) as proxy,
    ):
        uri = f"mqtt://127.0.0.1:{proxy.address[1]}"
        async with open_mqttclient(uri, config={**OLD, "will": will}):
            assert proxy.cut() == 1
            message = await within(messages)
        assert (message.payload, message.qos) == (b"gone", qos)


async def test_a_client_that_says_goodbye_leaves_no_will(server: Server, mine: str):
    will = {"topic": mine, "message": "gone", "qos": 1}
    async with subscription(mine, uri=server.uri, qos=1, config=OLD) as messages:
        async with open_mqttclient(server.uri, config={**OLD, "will": will}) as client:
            await client.publish(mine, b"here", qos=1)
        async with open_mqttclient(server.uri, config=OLD) as client:
            await client.publish(mine, b"later", qos=1)
        got = [(await within(messages)).payload for _ in range(2)]
        assert got == [b"here", b"later"]


async def test_what_a_sleeping_session_missed_is_delivered_at_its_return(
    server: Server, mine: str
):
    open_lasting = partial(open_mqttclient, server.uri, mine, LASTING)
    async with open_mqttclient(server.uri, config=OLD) as other:
        async with open_lasting() as client:
            # The block of a subscription would unsubscribe at its end.
            assert await client.subscribe([(mine, 1)]) == [1]
        # NATS server takes a moment to see the goodbye: what it sends on the closed
        # connection meanwhile it repeats after 30 seconds only.
        await anyio.sleep(0.3)
        for number in range(10):
            await other.publish(mine, b"%d" % number, qos=1)
        async with open_lasting() as client, client.events() as events:
            connected = await anext(events)
            assert isinstance(connected, Connected)
            assert connected.session_present
            await client.subscribe([(mine, 1)])
            with anyio.fail_after(10):
                got = [await client.deliver_message() for _ in range(10)]
            assert [message.payload for message in got if message] == [
                b"%d" % number for number in range(10)
            ]
            await client.unsubscribe([mine])
    async with open_mqttclient(server.uri, mine, OLD):
        pass  # a clean session makes the broker forget the lasting one


async def test_a_second_client_of_the_same_name_takes_over(server: Server, mine: str):
    once = {**OLD, "auto_reconnect": False}
    with pytest.raises(LinkLost):
        async with open_mqttclient(server.uri, mine, once):
            async with open_mqttclient(server.uri, mine, once) as second:
                await second.publish(mine, b"x", qos=1)
                await anyio.sleep(10)


async def survive(server: Server, mine: str, end: Callable[[], None]) -> None:
    """Subscribe, have the server end and come back, and miss nothing."""
    async with open_mqttclient(server.uri, mine, LASTING) as client:
        async with client.subscription(f"{mine}/+", qos=1) as messages:
            await client.publish(f"{mine}/1", b"before", qos=1)
            assert (await within(messages)).payload == b"before"
            # Killed at once, either may have lost the subscription and kept the session.
            await anyio.sleep(1)
            await anyio.to_thread.run_sync(end)
            receipts = [
                await client.publish_soon(f"{mine}/2", b"%d" % number, qos=1)
                for number in range(20)
            ]
            await anyio.to_thread.run_sync(server.start)
            with anyio.fail_after(30):
                for receipt in receipts:
                    await receipt.wait()
            await client.publish(f"{mine}/3", b"after", qos=1)
            while (await within(messages, 45)).payload != b"after":
                pass


async def test_a_restarted_server_finds_everything_as_it_was(server: Server, mine: str):
    await survive(server, mine, server.stop)


async def test_a_killed_nats_server_finds_everything_as_it_was(nats: Server, mine: str):
    await survive(nats, mine, nats.kill)


async def test_rabbitmq_without_qos_2_refuses_a_publish_once_and_goes_on(
    rabbitmq: Server, mine: str
):
    async with open_mqttclient(rabbitmq.uri, mine, LASTING) as client:
        with anyio.fail_after(10), pytest.raises(CommandRefused, match="with QoS 1"):
            await client.publish(mine, b"x", qos=2)
        async with client.subscription(mine, qos=1) as messages:
            await client.publish(mine, b"goes on", qos=1)
            assert (await within(messages)).payload == b"goes on"
        assert client.counters.connections == 2


async def test_nats_without_qos_2_hangs_up_and_the_publish_raises(
    nats: Server, mine: str
):
    async with open_mqttclient(nats.uri, config=OLD) as client:
        async with client.events() as events:
            assert isinstance(await anext(events), Connected)
            with anyio.fail_after(10), pytest.raises(LinkLost, match="QoS 2"):
                await client.publish(mine, b"x", qos=2)
            assert isinstance(await anext(events), Disconnected)
            assert isinstance(await anext(events), Connected)
        async with client.subscription(mine, qos=1) as messages:
            await client.publish(mine, b"goes on", qos=1)
            assert (await within(messages)).payload == b"goes on"


async def test_rabbitmq_takes_a_dot_in_a_topic_for_a_slash(rabbitmq: Server, mine: str):
    async with open_mqttclient(rabbitmq.uri, config=OLD) as client:
        async with client.subscription(f"{mine}/#", qos=1) as messages:
            await client.publish(f"{mine}/a.b", b"", qos=1)
            assert (await within(messages)).topic == f"{mine}/a/b"


async def test_rabbitmq_greets_by_retained_messages_for_exact_topics_alone(
    rabbitmq: Server, mine: str
):
    async with open_mqttclient(rabbitmq.uri, config=OLD) as client:
        await client.publish(f"{mine}/a", b"kept", qos=1, retain=True)
        await anyio.sleep(0.3)
        async with client.subscription(f"{mine}/+", qos=1) as messages:
            await client.publish(f"{mine}/a", b"live", qos=1)
            assert (await within(messages)).payload == b"live"
        await client.publish(f"{mine}/a", b"", qos=1, retain=True)


async def test_nats_hangs_up_at_a_dot_in_a_topic(nats: Server, mine: str):
    async with open_mqttclient(nats.uri, config=OLD) as client:
        async with client.events() as events:
            assert isinstance(await anext(events), Connected)
            # At QoS 1 it would be sent again after each reconnect.
            await client.publish(f"{mine}.x", b"", qos=0)
            with anyio.fail_after(10):
                assert isinstance(await anext(events), Disconnected)
                assert isinstance(await anext(events), Connected)


async def test_nats_greets_by_retained_messages_for_wildcards_too(
    nats: Server, mine: str
):
    async with open_mqttclient(nats.uri, config=OLD) as client:
        await client.publish(f"{mine}/a", b"kept", qos=1, retain=True)
        await anyio.sleep(0.3)
        async with client.subscription(f"{mine}/+", qos=1) as messages:
            assert (await within(messages)).payload == b"kept"
        await client.publish(f"{mine}/a", b"", qos=1, retain=True)


async def test_nats_sends_a_copy_for_each_filter_that_fits(nats: Server, mine: str):
    async with open_mqttclient(nats.uri, config=OLD) as client:
        async with (
            client.subscription(f"{mine}/+", qos=1) as narrow,
            client.subscription(f"{mine}/#", qos=1),
        ):
            await client.publish(f"{mine}/x", b"1", qos=1)
            await client.publish(f"{mine}/x", b"2", qos=1)
            got = [(await within(narrow)).payload for _ in range(4)]
            assert got == [b"1", b"1", b"2", b"2"]
