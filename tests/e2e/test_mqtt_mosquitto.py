"""The client with a real broker that is not ours, over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from structiot.errors import AuthRefused
from structiot.mqtt import (
    Connected,
    ConnectException,
    MqttConnectFailed,
    open_mqttclient,
    subscription,
)
from structiot.sim import fault_proxy
from structiot.testing import cancel_sweep
from structiot.testing.leaks import open_sockets

pytestmark = pytest.mark.e2e

PROTOCOLS = ["3.1.1", "5.0"]
LASTING: dict[str, Any] = {
    "cleansession": False,
    "reconnect_retries": -1,
    "reconnect_max_interval": 0.2,
}


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_messages_make_the_round_trip_in_order(
    mosquitto, qos: int, protocol: str
):
    topic = f"round/{protocol}/{qos}"
    async with open_mqttclient(mosquitto.uri, config={"protocol": protocol}) as client:
        async with client.subscription(f"{topic}/#", qos=qos) as messages:
            for number in range(100):
                await client.publish(f"{topic}/{number % 3}", b"%d" % number, qos=qos)
            received = [await anext(messages) for _ in range(100)]
    assert [message.payload for message in received] == [b"%d" % n for n in range(100)]
    assert {message.qos for message in received} == {qos}


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_large_message_makes_the_round_trip(mosquitto, protocol: str):
    payload = bytes(range(256)) * 4096
    async with open_mqttclient(mosquitto.uri, config={"protocol": protocol}) as client:
        async with client.subscription(f"large/{protocol}", qos=2) as messages:
            await client.publish(f"large/{protocol}", payload, qos=2)
            assert (await anext(messages)).payload == payload


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_every_subscriber_gets_what_is_retained(mosquitto, protocol: str):
    topic = f"retained/{protocol}"
    async with open_mqttclient(mosquitto.uri, config={"protocol": protocol}) as client:
        await client.publish(f"{topic}/a", b"old", qos=1, retain=True)
        async with client.subscription(f"{topic}/+", qos=1) as first:
            message = await anext(first)
            assert (message.payload, message.retain) == (b"old", True)
            await client.publish(f"{topic}/a", b"new", qos=1, retain=True)
            message = await anext(first)
            assert (message.payload, message.retain) == (b"new", False)
            async with client.subscription(f"{topic}/+", qos=1) as second:
                assert (await anext(second)).payload == b"new"
                await client.publish(f"{topic}/b", b"last", qos=1)
                assert (await anext(first)).payload == b"last"
                assert (await anext(second)).payload == b"last"
        await client.publish(f"{topic}/a", b"", qos=1, retain=True)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_the_will_is_published_when_the_client_vanishes(mosquitto, protocol: str):
    topic = f"will/{protocol}"
    settings = {"protocol": protocol, "will": {"topic": topic, "message": "gone"}}
    async with (
        subscription(topic, uri=mosquitto.uri) as messages,
        fault_proxy(mosquitto.host, mosquitto.port) as proxy,
    ):
        host, port = proxy.address
        async with open_mqttclient(f"mqtt://{host}:{port}/", config=settings):
            assert proxy.cut() == 1
            message = await anext(messages)
        assert message.payload == b"gone"


async def test_all_three_can_be_found_on_one_connection(mosquitto):
    """A reader, a writer and a pinger at once, on one client."""
    async with open_mqttclient(mosquitto.uri) as client:
        async with anyio.create_task_group() as tg:
            async with client.subscription("busy/#", qos=1) as messages:
                for number in range(20):
                    tg.start_soon(client.publish, f"busy/{number}", b"x", 1)
                    tg.start_soon(client.ping)
                topics = {(await anext(messages)).topic for _ in range(20)}
    assert len(topics) == 20


async def test_nobody_there_is_one_error_with_host_and_port(free_port: int):
    with pytest.raises(ConnectException, match=f"127.0.0.1:{free_port}") as caught:
        async with open_mqttclient(
            f"mqtt://127.0.0.1:{free_port}", config={"reconnect_retries": 0}
        ):
            pytest.fail("there is nobody")
    assert isinstance(caught.value, MqttConnectFailed)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_login_that_is_not_known_is_refused_once(
    start_mosquitto, tmp_path, protocol: str
):
    passwords = tmp_path / "passwords"
    passwords.write_text("")
    broker = start_mosquitto(
        f"allow_anonymous false\npassword_file {passwords}\nuser root\n"
    )
    with pytest.raises(AuthRefused, match="refused the connection for user 'me'"):
        async with open_mqttclient(
            broker.uri,
            config={"protocol": protocol, "username": "me", "password": "secret"},
        ):
            pytest.fail("that login is unknown")
    assert broker.log.count("not authori") <= 1


# -- a broker that goes away ---------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_killed_broker_that_comes_back_finds_everything_as_it_was(
    start_mosquitto, protocol: str
):
    broker = start_mosquitto()
    settings = {**LASTING, "protocol": protocol, "will": {"topic": "w"}}
    async with open_mqttclient(broker.uri, "survivor", settings) as client:
        async with (
            client.subscription("t/+", qos=1) as messages,
            client.subscription("u", qos=2) as others,
        ):
            await client.publish("t/1", b"before", qos=1)
            assert (await anext(messages)).payload == b"before"
            await anyio.to_thread.run_sync(broker.kill)
            receipts = [
                await client.publish_soon("t/2", b"%d" % number, qos=1)
                for number in range(20)
            ]
            await anyio.to_thread.run_sync(broker.start)
            with anyio.fail_after(5):
                for receipt in receipts:
                    await receipt.wait()
                await client.publish("t/3", b"after", qos=1)
                async for message in messages:
                    if message.payload == b"after":
                        break
                await client.publish("u", b"after", qos=2)
                assert (await anext(others)).payload == b"after"
        assert client.counters.connections == 2


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_what_a_sleeping_session_missed_is_delivered_at_its_return(
    mosquitto, protocol: str, anyio_backend_name: str
):
    topic = f"asleep/{protocol}"
    name = f"asleep{protocol}{anyio_backend_name}"
    settings = {**LASTING, "protocol": protocol}
    async with open_mqttclient(mosquitto.uri, name, settings) as client:
        # The block of a subscription would unsubscribe at its end.
        assert await client.subscribe([(topic, 2)]) == [2]
    async with open_mqttclient(mosquitto.uri) as other:
        for number in range(10):
            await other.publish(topic, b"%d" % number, qos=1 + number % 2)
    async with open_mqttclient(mosquitto.uri, name, settings) as client:
        async with client.events() as events:
            connected = await anext(events)
            assert isinstance(connected, Connected)
            assert connected.session_present
        await client.subscribe([(topic, 2)])
        got = [await client.deliver_message() for _ in range(10)]
        assert [int(message.payload) for message in got if message] == [*range(10)]
        await client.unsubscribe([topic])


async def test_publishers_at_work_survive_a_killed_broker(start_mosquitto):
    broker = start_mosquitto()
    done = 0
    has_begun = anyio.Event()
    async with open_mqttclient(broker.uri, "survivor", LASTING) as client:

        async def publish(number: int) -> None:
            nonlocal done
            for step in range(50):
                await client.publish(f"t/{number}", b"%d" % step, qos=1)
                done += 1
                if done == 20:
                    has_begun.set()

        async with anyio.create_task_group() as tg:
            for number in range(4):
                tg.start_soon(publish, number)
            await has_begun.wait()
            await anyio.to_thread.run_sync(broker.kill)
            await anyio.to_thread.run_sync(broker.start)
    assert done == 200


# -- nothing is left -----------------------------------------------------------------


async def test_a_client_on_real_sockets_leaves_nothing_when_cancelled_anywhere(
    mosquitto,
):
    async def flow() -> None:
        async with open_mqttclient(mosquitto.uri, config={"goodbye_s": 0.5}) as client:
            async with client.subscription("swept", qos=2) as messages:
                for qos in (0, 1, 2):
                    await client.publish("swept", b"x", qos=qos)
                    await anext(messages)

    assert await cancel_sweep(flow) > 5


async def test_a_peer_that_accepts_and_says_nothing_is_left_in_time(
    silent_peer: int,
):
    started = anyio.current_time()
    with pytest.raises(MqttConnectFailed):
        async with open_mqttclient(
            f"mqtt://127.0.0.1:{silent_peer}",
            config={
                "reconnect_retries": 0,
                "connect_s": 0.5,
                "will": {"topic": "t", "message": bytes(65_000)},
            },
        ):
            pytest.fail("there is no CONNACK")
    assert anyio.current_time() - started < 5


@pytest.fixture
async def silent_peer(anyio_backend: object) -> AsyncIterator[int]:
    async with await anyio.create_tcp_listener(
        local_host="127.0.0.1", local_port=0
    ) as listener:
        yield listener.extra(anyio.abc.SocketAttribute.local_port)


@pytest.fixture
async def free_port(anyio_backend: object) -> int:
    async with await anyio.create_tcp_listener(
        local_host="127.0.0.1", local_port=0
    ) as listener:
        port: int = listener.extra(anyio.abc.SocketAttribute.local_port)
        return port


async def test_a_peer_that_stops_reading_does_not_keep_its_socket():
    """Megabytes stand in the socket's buffers and ours; leaving drops them."""

    async def serve(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(b"\x20\x02\x00\x00")
            await anyio.sleep_forever()

    async with (
        await anyio.create_tcp_listener(
            local_host="127.0.0.1", local_port=0
        ) as listener,
        anyio.create_task_group() as tg,
    ):
        tg.start_soon(listener.serve, serve)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        before = open_sockets()
        settings = {"protocol": "3.1.1", "goodbye_s": 0.2}
        async with open_mqttclient(
            f"mqtt://127.0.0.1:{port}", config=settings
        ) as client:
            own = open_sockets() - before
            with anyio.move_on_after(0.2):
                for _ in range(200):
                    await client.publish("t", bytes(100_000))
        await anyio.wait_all_tasks_blocked()
        # The two ends of the connection: ours is closed, the other one is not.
        assert len(own & open_sockets()) == 1
        tg.cancel_scope.cancel()
