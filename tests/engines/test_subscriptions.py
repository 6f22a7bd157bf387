"""Who gets which message, whichever engine brings it."""

from __future__ import annotations

import anyio
import pytest

from structiot.errors import UsageError
from structiot.mqtt import SubscribeRefused
from structiot.mqtt.broker import Permission, open_broker
from tests.engines.conftest import OpenClient

pytestmark = pytest.mark.e2e

WAIT_S = 5.0


@pytest.mark.parametrize(
    ("pattern", "heard"),
    [
        ("/#", ["", "/", "/a", "/a/b"]),
        ("/+", ["/", "/a"]),
        ("/a", ["/a"]),
        ("/a/#", ["/a", "/a/b"]),
        ("/+/b", ["/a/b"]),
        ("/+/#", ["/", "/a", "/a/b"]),
        ("/A", []),
    ],
)
async def test_filters_match_as_the_standard_says(
    mosquitto, open_client: OpenClient, topic: str, pattern: str, heard: list[str]
):
    async with open_client(mosquitto.uri) as client:
        async with client.subscription(topic + pattern, qos=1) as messages:
            async with client.subscription(f"{topic}_end", qos=1) as end:
                for name in ("", "/", "/a", "/a/b"):
                    await client.publish(topic + name, b"x", qos=1)
                await client.publish(f"{topic}_end", b"", qos=1)
                with anyio.fail_after(WAIT_S):
                    await anext(end)
            received = await messages.take_all() if len(messages) else []
    assert [message.topic.removeprefix(topic) for message in received] == heard


async def test_overlapping_subscriptions_get_each_message_once_each(
    mosquitto, open_client: OpenClient, topic: str
):
    filters = [f"{topic}/+", f"{topic}/#", f"{topic}/x"]
    async with open_client(mosquitto.uri) as client:
        async with (
            client.subscription(filters[0], qos=0) as first,
            client.subscription(filters[1], qos=1, codec="utf8") as second,
            client.subscription(filters[2], qos=2, codec="int") as third,
        ):
            for number in range(10):
                await client.publish(f"{topic}/x", number, qos=2, codec="int")
            with anyio.fail_after(WAIT_S):
                for number in range(10):
                    assert (await anext(first)).data == b"%d" % number
                    assert (await anext(second)).data == str(number)
                    assert (await anext(third)).data == number
            assert [len(first), len(second), len(third)] == [0, 0, 0]


async def test_two_subscribers_of_one_filter_both_get_what_is_retained(
    mosquitto, open_client: OpenClient, topic: str
):
    async with open_client(mosquitto.uri) as client:
        await client.publish(topic, b"kept", qos=1, retain=True)
        async with client.subscription(topic, qos=1) as first:
            with anyio.fail_after(WAIT_S):
                message = await anext(first)
            assert (message.payload, message.retain) == (b"kept", True)
            async with client.subscription(topic, qos=1) as second:
                with anyio.fail_after(WAIT_S):
                    assert (await anext(second)).payload == b"kept"
                await client.publish(topic, b"", qos=1, retain=True)
                with anyio.fail_after(WAIT_S):
                    assert (await anext(second)).payload == b""
            assert [message.payload for message in await first.take_all()] == [b""]


async def test_members_of_a_shared_subscription_get_each_message_once_in_all(
    mosquitto, open_client: OpenClient, topic: str
):
    shared = f"$share/group/{topic}/#"
    async with open_client(mosquitto.uri) as one, open_client(mosquitto.uri) as two:
        async with (
            one.subscription(shared, qos=1) as of_one,
            two.subscription(shared, qos=1) as of_two,
        ):
            for number in range(20):
                await one.publish(f"{topic}/{number}", b"%d" % number, qos=1)
            received: list[int] = []
            with anyio.fail_after(WAIT_S):
                while len(received) < 20:
                    for messages in (of_one, of_two):
                        if len(messages):
                            batch = await messages.take_all()
                            received += [int(message.payload) for message in batch]
                    await anyio.sleep(0.01)
    assert sorted(received) == list(range(20))


async def test_a_filter_that_is_none_is_refused(mosquitto, open_client: OpenClient):
    async with open_client(mosquitto.uri) as client:
        with pytest.raises(UsageError, match="topic filter"):
            async with client.subscription("a#"):
                pytest.fail("that is no filter")


async def test_a_refused_subscription_raises(open_client: OpenClient, topic: str):
    permissions = [Permission(publish=["#"], subscribe=[f"{topic}/mine/#"])]
    async with open_broker("mqtt://127.0.0.1:0", permissions=permissions) as broker:
        async with open_client(broker.uri) as client:
            with pytest.raises(SubscribeRefused, match="theirs"):
                async with client.subscription(f"{topic}/theirs"):
                    pytest.fail("that is not ours")
            async with client.subscription(f"{topic}/mine/a", qos=1) as messages:
                await client.publish(f"{topic}/mine/a", b"x", qos=1)
                with anyio.fail_after(WAIT_S):
                    assert (await anext(messages)).payload == b"x"
            codes = await client.subscribe([(f"{topic}/theirs", 1)])
            assert codes == [0x80]


async def test_leaving_a_subscription_ends_its_messages(
    mosquitto, open_client: OpenClient, topic: str
):
    async with open_client(mosquitto.uri) as client:
        async with client.subscription(topic) as messages:
            pass
        assert [message async for message in messages] == []
        before = client.counters.received_bytes
        await client.publish(topic, b"x" * 1000, qos=1)
        await client.ping()
        assert client.counters.received_bytes - before < 1000


async def test_disconnecting_ends_iterators_quietly(
    mosquitto, open_client: OpenClient, topic: str
):
    async with open_client(mosquitto.uri) as client:
        async with client.subscription(topic) as messages:
            async with anyio.create_task_group() as tg:
                tg.start_soon(client.disconnect)
                with anyio.fail_after(WAIT_S):
                    assert [message async for message in messages] == []


async def test_several_filters_are_one_stream(
    mosquitto, open_client: OpenClient, topic: str
):
    async with open_client(mosquitto.uri) as client:
        filters = {f"{topic}/a": 0, f"{topic}/b/#": 1, f"{topic}/c": 2}
        async with client.subscription(filters) as messages:
            assert messages.granted == filters
            for name in ("a", "b/x", "c"):
                await client.publish(f"{topic}/{name}", name.encode(), qos=1)
            with anyio.fail_after(WAIT_S):
                received = [(await anext(messages)).payload for _ in range(3)]
            assert sorted(received) == [b"a", b"b/x", b"c"]


async def test_what_no_subscription_claims_can_be_read_and_given_up(
    mosquitto, open_client: OpenClient, topic: str, request: pytest.FixtureRequest
):
    name = f"kept{abs(hash(request.node.name)) % 10**12}"
    kept = {"cleansession": False}
    async with open_client(mosquitto.uri, name, config=kept) as client:
        async with client.subscription(topic, qos=1, unsubscribe=False):
            pass
    async with open_client(mosquitto.uri) as other:
        await other.publish(topic, b"x", qos=1)
        async with open_client(mosquitto.uri, name, config=kept) as client:
            async with client.unclaimed() as messages:
                with anyio.fail_after(WAIT_S):
                    assert (await anext(messages)).payload == b"x"
            await client.unsubscribe([topic])
        await other.publish(topic, b"y", qos=1)
        async with open_client(mosquitto.uri, name, config=kept) as client:
            async with client.unclaimed() as messages:
                await client.ping()
                await client.publish(f"{topic}/other", b"", qos=1)
                assert len(messages) == 0
    async with open_client(mosquitto.uri, name):
        pass


async def test_the_broker_may_choose_the_id(
    mosquitto, open_client: OpenClient, topic: str
):
    async with (
        open_client(mosquitto.uri, "") as one,
        open_client(mosquitto.uri, "") as two,
    ):
        async with one.subscription(topic, qos=1) as messages:
            await two.publish(topic, b"x", qos=1)
            with anyio.fail_after(WAIT_S):
                assert (await anext(messages)).payload == b"x"
