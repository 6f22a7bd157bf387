"""C74, C75, C76, C79, C81, C82, C108: with a broker that is not ours."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import anyio.to_thread
import pytest

from structiot.mqtt import MqttClient, PublishProperties, open_mqttclient
from tests.conftest import StartMosquitto

pytestmark = pytest.mark.e2e

WAIT_S = 15.0
REQUESTS = 1000
NEW: dict[str, Any] = {"protocol": "5.0"}


async def test_properties_of_a_message_make_the_round_trip(mosquitto):
    sent = PublishProperties(
        payload_format=1,
        message_expiry_s=100,
        content_type="text/plain",
        response_topic="answers/here",
        correlation_data=b"\x00\x01\xff",
        user_properties=(("b", "2"), ("a", "1"), ("b", "2"), ("", "")),
    )
    async with open_mqttclient(mosquitto.uri, config=NEW) as client:
        for qos in (0, 1, 2):
            topic = f"c81/{qos}"
            async with client.subscription(topic, qos=2) as messages:
                await client.publish(topic, b"x", qos=qos, properties=sent)
                with anyio.fail_after(WAIT_S):
                    received = (await anext(messages)).properties
            assert received is not None
            assert received.payload_format == 1
            assert received.message_expiry_s in {99, 100}
            assert received.content_type == "text/plain"
            assert received.response_topic == "answers/here"
            assert received.correlation_data == b"\x00\x01\xff"
            assert received.user_properties == sent.user_properties
            assert len(received.subscription_ids) == 1


@pytest.mark.parametrize("protocol", ["3.1.1", "5.0"])
async def test_a_broker_that_sends_one_copy_or_several_is_heard_once(
    mosquitto, protocol: str
):
    config = {"protocol": protocol}
    topic = f"c76/{protocol}/x"
    async with open_mqttclient(mosquitto.uri, config=config) as client:
        async with (
            client.subscription(topic, qos=2) as exact,
            client.subscription(f"c76/{protocol}/+", qos=1) as one_level,
            client.subscription(f"c76/{protocol}/#", qos=0) as all_levels,
        ):
            for number in range(20):
                await client.publish(topic, b"%d" % number, qos=2)
            for messages in (exact, one_level, all_levels):
                with anyio.fail_after(WAIT_S):
                    received = [(await anext(messages)).payload for _ in range(20)]
                assert received == [b"%d" % number for number in range(20)]
            assert [len(exact), len(one_level), len(all_levels)] == [0, 0, 0]


@pytest.mark.parametrize("as_published", [True, False])
async def test_the_retain_flag_is_shown_as_the_broker_sent_it(
    mosquitto, as_published: bool
):
    topic = f"c79/{as_published}"
    async with open_mqttclient(mosquitto.uri, config=NEW) as client:
        async with client.subscription(
            topic, qos=1, retain_as_published=as_published
        ) as messages:
            await client.publish(topic, b"kept", qos=1, retain=True)
            with anyio.fail_after(WAIT_S):
                assert (await anext(messages)).retain is as_published
        async with client.subscription(topic, qos=1) as messages:
            with anyio.fail_after(WAIT_S):
                assert (await anext(messages)).retain
        async with client.subscription(topic, qos=1, retain_handling=2) as messages:
            await client.publish(topic, b"", qos=1, retain=True)
            with anyio.fail_after(WAIT_S):
                assert (await anext(messages)).payload == b""


async def test_members_of_a_shared_subscription_divide_the_messages(mosquitto):
    shared = "$share/workers/c74/#"
    async with (
        open_mqttclient(mosquitto.uri, config=NEW) as one,
        open_mqttclient(mosquitto.uri, config={"protocol": "3.1.1"}) as two,
        one.subscription(shared, qos=1) as of_one,
        two.subscription(shared, qos=1) as of_two,
    ):
        for number in range(20):
            await one.publish(f"c74/{number}", b"%d" % number, qos=1)
        taken: list[int] = []
        with anyio.fail_after(WAIT_S):
            async with anyio.create_task_group() as tg:

                async def work(messages: Any) -> None:
                    async for message in messages:
                        taken.append(int(message.payload))
                        if len(taken) == 20:
                            tg.cancel_scope.cancel()

                tg.start_soon(work, of_one)
                tg.start_soon(work, of_two)
    assert sorted(taken) == list(range(20))


async def serve(client: MqttClient, ready: anyio.Event) -> None:
    """Answer every request with what it asked, doubled."""
    async with client.subscription("c82/double", qos=1) as requests:
        ready.set()
        async for request in requests:
            properties = request.properties
            assert properties is not None
            assert properties.response_topic is not None
            await client.publish_soon(
                properties.response_topic,
                request.payload * 2,
                properties=PublishProperties(
                    correlation_data=properties.correlation_data
                ),
            )


async def test_a_thousand_requests_at_once_survive_a_restart_of_the_broker(
    start_mosquitto: StartMosquitto,
):
    broker = start_mosquitto(
        "allow_anonymous true\npersistence false\nset_tcp_nodelay true\nuser root\n"
        "max_inflight_messages 0\nmax_queued_messages 0\n"
    )
    config = {**NEW, "reconnect_retries": -1, "reconnect_max_interval": 0.1}
    answered = 0
    async with (
        open_mqttclient(broker.uri, config=config) as asking,
        open_mqttclient(broker.uri, config=config) as answering,
        anyio.create_task_group() as tg,
    ):
        ready = anyio.Event()
        tg.start_soon(serve, answering, ready)
        await ready.wait()
        enough = anyio.Event()

        async def ask(number: int) -> None:
            nonlocal answered
            wanted = b"%d" % number
            while True:
                # What the broker had in hand when it was stopped is lost with it.
                with anyio.move_on_after(1.5):
                    reply = await asking.request("c82/double", wanted)
                    assert reply.payload == wanted * 2
                    answered += 1
                    if answered > REQUESTS // 4:
                        enough.set()
                    return

        with anyio.fail_after(WAIT_S):
            async with anyio.create_task_group() as askers:
                for number in range(REQUESTS):
                    askers.start_soon(ask, number)
                await enough.wait()
                await anyio.to_thread.run_sync(broker.restart)
        tg.cancel_scope.cancel()
    assert answered == REQUESTS


def test_several_loops_in_one_process_have_clients_of_their_own(mosquitto):
    heard: dict[str, list[bytes]] = {}

    async def talk(name: str) -> None:
        async with (
            open_mqttclient(mosquitto.uri) as one,
            open_mqttclient(mosquitto.uri) as two,
            one.subscription(f"c108/{name}", qos=1) as messages,
        ):
            for number in range(50):
                await two.publish(f"c108/{name}", b"%d" % number, qos=1)
            with anyio.fail_after(WAIT_S):
                heard[name] = [(await anext(messages)).payload for _ in range(50)]

    def run(backend: str, name: str) -> None:
        anyio.run(talk, name, backend=backend)

    threads = [
        threading.Thread(target=run, args=(backend, f"{backend}{number}"))
        for backend in ("asyncio", "trio")
        for number in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert len(heard) == 4
    assert all(got == [b"%d" % n for n in range(50)] for got in heard.values())
