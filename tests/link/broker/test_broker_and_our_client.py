"""Our client with our broker, both versions, over TCP and websockets in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from structiot import Environment
from structiot.mqtt import (
    MqttAuthRefused,
    MqttClient,
    PublishProperties,
    SubscribeRefused,
    Will,
    WillProperties,
    open_mqttclient,
)
from structiot.mqtt.broker import Passwords, Permission, hash_password
from tests.link.broker.raw import HOST, PORT, Place, broker_place

pytestmark = pytest.mark.virtual_time
versions = pytest.mark.parametrize("protocol", ["3.1.1", "5.0"])
schemes = pytest.mark.parametrize("scheme", ["mqtt", "ws"])


@asynccontextmanager
async def client_of(
    place: Place, client_id: str = "c", protocol: str = "5.0", **config: Any
) -> AsyncGenerator[MqttClient]:
    async with open_mqttclient(
        place.uri,
        client_id,
        {"protocol": protocol, **config},
        environment=Environment(network=place.network),
    ) as client:
        yield client


@versions
@schemes
@pytest.mark.parametrize("published", [0, 1, 2])
@pytest.mark.parametrize("granted", [0, 1, 2])
async def test_b11_every_qos_reaches_every_other(
    protocol: str, scheme: str, published: int, granted: int
):
    async with (
        broker_place(listen=f"{scheme}://{HOST}:{PORT}") as place,
        client_of(place, "p", protocol) as publisher,
        client_of(place, "s", protocol) as subscriber,
        subscriber.subscription("a/+", qos=granted) as messages,
    ):
        for number in range(20):
            await publisher.publish("a/b", b"%d" % number, qos=published)
        for number in range(20):
            message = await anext(messages)
            assert message.payload == b"%d" % number
            assert message.qos == min(published, granted)


@versions
@schemes
async def test_a_large_message_travels_whole(protocol: str, scheme: str):
    payload = bytes(range(256)) * 8192
    async with (
        broker_place(listen=f"{scheme}://{HOST}:{PORT}") as place,
        client_of(place, "p", protocol) as publisher,
        client_of(place, "s", protocol) as subscriber,
        subscriber.subscription("a", qos=1) as messages,
    ):
        await publisher.publish("a", payload, qos=1)
        assert (await anext(messages)).payload == payload


@versions
async def test_b10_retained_messages_and_b9_wills(protocol: str):
    will = Will(topic="state/c", payload=b"offline", retain=True)
    async with (
        broker_place() as place,
        client_of(place, "watcher", protocol) as watcher,
        watcher.subscription("state/#") as states,
    ):
        with pytest.raises(ZeroDivisionError):
            async with client_of(place, "c", protocol, will=will) as client:
                await client.publish("state/c", b"online", retain=True)
                assert (await anext(states)).payload == b"online"
                known = place.server.core.sessions["c"].client
                assert known is not None
                place.server.core.left(known, anyio.current_time())
                raise ZeroDivisionError
        assert (await anext(states)).payload == b"offline"
        async with watcher.subscription("state/+") as again:
            message = await anext(again)
            assert (message.payload, message.retain) == (b"offline", True)


@versions
async def test_b17_shared_subscriptions_share(protocol: str):
    async with (
        broker_place() as place,
        client_of(place, "one", protocol) as one,
        client_of(place, "two", protocol) as two,
        one.subscription("$share/g/job") as first,
        two.subscription("$share/g/job") as second,
        client_of(place, "p", protocol) as publisher,
    ):
        for number in range(4):
            await publisher.publish("job", b"%d" % number)
        got = [(await anext(box)).payload for box in (first, second, first, second)]
        assert sorted(got) == [b"0", b"1", b"2", b"3"]


async def test_b22_a_request_gets_its_answer():
    async with (
        broker_place() as place,
        client_of(place, "server") as server,
        client_of(place, "asker") as asker,
        server.subscription("double") as requests,
        anyio.create_task_group() as tg,
    ):

        async def answer() -> None:
            async for request in requests:
                asked = request.properties
                assert asked is not None
                assert asked.response_topic is not None
                await server.publish(
                    asked.response_topic,
                    request.payload * 2,
                    properties=PublishProperties(
                        correlation_data=asked.correlation_data
                    ),
                )

        tg.start_soon(answer)
        reply = await asker.request("double", b"ab")
        assert reply.payload == b"abab"
        tg.cancel_scope.cancel()


@versions
async def test_b7_b19_a_session_is_resumed_where_it_was(protocol: str):
    lasting = {"cleansession": False, "session_expiry_s": 1000}
    if protocol == "3.1.1":
        lasting.pop("session_expiry_s")
    async with broker_place() as place:
        raw = await place.raw(4 if protocol == "3.1.1" else 5)
        options: dict[str, Any] = {"clean_start": False}
        if protocol == "5.0":
            options["properties"] = {"session_expiry_s": 1000}
        await raw.connect("s", **options)
        await raw.subscribe("a", qos=2)
        await raw.stream.aclose()
        async with client_of(place, "p", protocol) as publisher:
            for qos in (1, 2):
                await publisher.publish("a", b"%d" % qos, qos=qos)
        async with (
            client_of(place, "s", protocol, **lasting) as client,
            client.subscription("a", qos=2) as messages,
        ):
            assert [(await anext(messages)).payload for _ in "12"] == [b"1", b"2"]


@versions
async def test_b26_refusals_reach_the_user(protocol: str):
    passwords = Passwords({"alice": hash_password("wonderland")})
    permissions = [Permission(user="alice", publish=["a/#"], subscribe=["a/#"])]
    async with broker_place(passwords=passwords, permissions=permissions) as place:
        with pytest.raises(MqttAuthRefused):
            async with client_of(
                place, protocol=protocol, username="alice", password="guess"
            ):
                pass
        async with client_of(
            place, protocol=protocol, username="alice", password="wonderland"
        ) as client:
            with pytest.raises(SubscribeRefused):
                async with client.subscription("b"):
                    pass
            async with client.subscription("a/+") as messages:
                await client.publish("a/x", b"mine")
                assert (await anext(messages)).payload == b"mine"


async def test_b9_a_delayed_will_is_cancelled_by_the_clients_return():
    properties = WillProperties(will_delay_s=20)
    will = Will(topic="will", payload=b"gone", properties=properties)
    async with (
        broker_place() as place,
        client_of(place, "watcher") as watcher,
        watcher.subscription("will") as wills,
        client_of(place, "c", will=will, session_expiry_s=100) as client,
    ):
        await client.reconnect()
        await anyio.sleep(60)
        known = place.server.core.sessions["c"].client
        assert known is not None
        with anyio.move_on_after(60) as scope:
            await anext(wills)
        assert scope.cancelled_caught


@versions
async def test_b29_sys_tells_about_the_broker(protocol: str):
    async with (
        broker_place(sys_interval_s=10) as place,
        client_of(place, "c", protocol) as client,
        client.subscription("$SYS/broker/#") as messages,
    ):
        figures: dict[str, bytes] = {}
        with anyio.move_on_after(15):
            async for message in messages:
                figures[message.topic.removeprefix("$SYS/broker/")] = message.payload
        assert figures["clients/connected"] == b"1"
        assert figures["uptime"] == b"10 seconds"
        assert figures["version"].startswith(b"structiot ")
        assert figures["subscriptions/count"] == b"1"
        assert "messages/received" in figures


@pytest.mark.parametrize("retains", [True, False])
async def test_b29_of_sys_only_news_is_published_where_the_rest_is_retained(retains):
    async with (
        broker_place(sys_interval_s=10, retain_available=retains) as place,
        client_of(place, "c") as client,
        client.subscription("$SYS/broker/+") as messages,
    ):
        told: Counter[str] = Counter()
        with anyio.move_on_after(35):
            async for message in messages:
                told[message.topic] += 1
        assert told["$SYS/broker/uptime"] == 3 + retains
        assert told["$SYS/broker/version"] == (1 if retains else 3)


async def test_b29_sys_is_not_published_where_nobody_wants_it():
    async with broker_place(sys_interval_s=None) as place:
        client = await place.subscriber("$SYS/#")
        await anyio.sleep(100)
        assert await client.is_alive()


async def test_the_broker_itself_may_publish():
    async with broker_place() as place:
        client = await place.subscriber("a", qos=1)
        assert place.server.publish("a", b"from inside", qos=1) == 1
        assert await client.payloads(1) == [b"from inside"]
