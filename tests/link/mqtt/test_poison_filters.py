"""A subscription at which a broker hangs up each time is refused, and costs nothing else."""

from __future__ import annotations

import logging

import anyio
import pytest

from structiot.mqtt import MqttClient, ReasonCode, SubscribeRefused
from structiot.mqtt.wire.messages import Disconnect, Message, Packet, Subscribe
from tests._support.fake_broker import FakeBroker, FakeConnection
from tests.link.mqtt.opening import filters, lasting, open_client

pytestmark = pytest.mark.virtual_time


def dislike(broker: FakeBroker, *names: str, code: int | None = None) -> None:
    """Have the broker end each connection on which one of these is subscribed."""

    def answer(connection: FakeConnection, packet: Subscribe) -> tuple[Packet, ...]:
        if not {item.topic_filter for item in packet.subscriptions} & {*names}:
            return tuple(broker.usual(packet))
        if code is not None:
            return (Disconnect(reason=ReasonCode(code)),)
        connection.reset()
        return ()

    broker.answer(Subscribe, answer)


async def ending(client: MqttClient, name: str) -> SubscribeRefused:
    with pytest.raises(SubscribeRefused) as caught:
        async with client.subscription(name):
            pytest.fail("it was granted")
    return caught.value


@pytest.mark.parametrize("protocol", ["3.1.1", "5.0"])
@pytest.mark.parametrize("keeps_sessions", [False, True])
async def test_it_is_refused_and_all_others_are_granted(
    broker, protocol: str, keeps_sessions: bool
):
    broker.keeps_sessions = keeps_sessions
    dislike(broker, "not/allowed/#")
    granted: list[str] = []
    all_are = anyio.Event()
    async with open_client(broker, protocol=protocol, **lasting()) as client:

        async def subscribe(name: str) -> None:
            async with client.subscription(name):
                granted.append(name)
                if len(granted) == 6:
                    all_are.set()
                await anyio.sleep_forever()

        async with anyio.create_task_group() as tg:
            for number in range(5):
                tg.start_soon(subscribe, f"before/{number}")
            await anyio.lowlevel.checkpoint()
            with anyio.fail_after(120):
                refused = await ending(client, "not/allowed/#")
                tg.start_soon(subscribe, "after")
                await all_are.wait()
            count = len(broker.connections)
            await anyio.sleep(600)
            tg.cancel_scope.cancel()
        assert len(broker.connections) == count
    assert refused.topic_filter == "not/allowed/#"
    assert "ends each connection on which 'not/allowed/#' is subscribed" in str(refused)
    assert "connection reset" in str(refused)


@pytest.mark.parametrize("qos", [1, 2])
async def test_messages_arrive_meanwhile_and_none_is_given_up(broker, qos: int):
    broker.keeps_sessions = True
    dislike(broker, "bad")
    payloads = [b"%d" % number for number in range(200)]
    async with open_client(broker, **lasting()) as client:

        async def publish() -> None:
            for payload in payloads:
                await client.publish("t", payload, qos=qos)
                await anyio.sleep(0.2)

        with anyio.fail_after(300):
            async with anyio.create_task_group() as tg:
                tg.start_soon(publish)
                await ending(client, "bad")
    arrived = {one.payload for it in broker.connections for one in it.of(Message)}
    assert arrived == set(payloads)


async def test_several_of_them_are_found(broker, caplog: pytest.LogCaptureFixture):
    broker.keeps_sessions = True
    dislike(broker, "a", "b", "c")
    async with open_client(broker, **lasting()) as client:
        with anyio.fail_after(600):
            async with anyio.create_task_group() as tg:
                for name in "abc":
                    tg.start_soon(ending, client, name)
                async with client.subscription("good"):
                    pass
    told = [r.message for r in caplog.records if r.levelno >= logging.WARNING]
    assert [line.count("may be the cause") for line in told] == [1, 1, 1]


@pytest.mark.parametrize("code", [0x8F, 0x9E, 0xA1, 0xA2], ids=hex)
async def test_a_reason_that_speaks_of_subscriptions_needs_one_round(broker, code: int):
    broker.keeps_sessions = True
    dislike(broker, "bad", code=code)
    async with open_client(broker, protocol="5.0", **lasting()) as client:
        with anyio.fail_after(60):
            refused = await ending(client, "bad")
    assert refused.code == code
    # It was asked for once by itself, and once on trial.
    assert sum("bad" in str(filters(one)) for one in broker.connections) == 2


async def test_a_broker_that_crashes_again_and_again_costs_no_subscription(broker):
    broker.hangs_up = True
    async with open_client(broker, wait_connected=False, **lasting()) as client:
        async with anyio.create_task_group() as tg:

            async def heal() -> None:
                await anyio.sleep(900)
                broker.hangs_up = False

            tg.start_soon(heal)
            with anyio.fail_after(1000):
                async with client.subscription("good"):
                    pass
    assert len(broker.connections) > 10


async def test_one_that_is_given_up_while_it_is_a_suspect_is_not_asked_for(
    broker, caplog: pytest.LogCaptureFixture
):
    broker.keeps_sessions = True
    dislike(broker, "bad")
    async with open_client(broker, **lasting()) as client:
        while "may be the cause" not in caplog.text:
            with anyio.move_on_after(1):
                await ending(client, "bad")
        await anyio.sleep(60)
        count = len(broker.connections)
        await anyio.sleep(600)
        assert len(broker.connections) == count
