"""Each failure of a message is told once: to whoever waits for it, or by the log."""

from __future__ import annotations

import logging

import anyio
import pytest

from structiot.errors import CommandRefused, LinkLost
from structiot.mqtt import MqttSessionLost, PublishProperties, ReasonCode
from structiot.mqtt.wire.messages import Message, Puback, Pubrec, Pubrel
from tests._support.fake_broker import FakeBroker
from tests.link.mqtt.opening import exchanged, lasting, open_client

pytestmark = [
    pytest.mark.virtual_time,
    # A receipt tells what nobody has asked for when it is freed, and not later.
    pytest.mark.usefixtures("no_collector"),
]

REFUSED = "the peer refused a message to 'some/where': not authorized"


def refuse(broker: FakeBroker) -> None:
    code = ReasonCode.NOT_AUTHORIZED
    broker.answer(
        Message,
        lambda _, packet: [
            (Puback if packet.qos == 1 else Pubrec)(
                packet_id=packet.packet_id, reason=code
            )
        ],
    )


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno > logging.INFO]


@pytest.mark.parametrize("qos", [1, 2])
async def test_a_refusal_that_nobody_asks_for_is_logged_at_once(
    broker, caplog: pytest.LogCaptureFixture, qos: int
):
    refuse(broker)
    async with open_client(broker, protocol="5.0") as client:
        await client.publish_soon("some/where", b"x", qos=qos)
        await exchanged(client)
        assert told(caplog) == [REFUSED]


@pytest.mark.parametrize("waits_first", [False, True])
async def test_a_refusal_that_somebody_asks_for_is_raised_and_not_logged(
    broker, caplog: pytest.LogCaptureFixture, waits_first: bool
):
    refuse(broker)
    async with open_client(broker, protocol="5.0") as client:
        receipt = await client.publish_soon("some/where", b"x")
        if not waits_first:
            await exchanged(client)
        for _ in range(2):
            with pytest.raises(CommandRefused, match="not authorized"):
                await receipt.wait()
        del receipt
        with pytest.raises(CommandRefused):
            await client.publish_many([("some/where", b"x")] * 3, qos=1)
    # Of publish_many the first is raised, of the others the log tells.
    assert told(caplog) == [REFUSED] * 2


async def test_a_refusal_after_a_wait_was_cancelled_is_logged(
    broker, caplog: pytest.LogCaptureFixture
):
    broker.ignore(Message)
    async with open_client(broker, protocol="5.0") as client:
        with anyio.move_on_after(1):
            await client.publish("some/where", b"x", qos=1)
        code = ReasonCode.NOT_AUTHORIZED
        await broker.connection.send(Puback(packet_id=1, reason=code))
        await exchanged(client)
        assert told(caplog) == [REFUSED]


async def test_what_expires_unheard_is_logged(broker, caplog: pytest.LogCaptureFixture):
    async with open_client(broker, protocol="5.0", **lasting()) as client:
        broker.stop()
        await broker.connection.ended.wait()
        await anyio.sleep(1)
        await client.publish_soon(
            "t", b"x", properties=PublishProperties(message_expiry_s=5)
        )
        await anyio.sleep(60)
        await broker.start()
        await client.publish("t", b"y", qos=1)
    away, *others = told(caplog)
    assert away.startswith("no MQTT broker: ")
    assert others == [
        "a message to 't' has expired before it could be sent",
    ]


@pytest.mark.parametrize(("count", "unheard"), [(1, "1 message"), (3, "3 messages")])
async def test_what_is_left_unfinished_without_a_store_is_logged(
    broker, caplog: pytest.LogCaptureFixture, count: int, unheard: str
):
    broker.ignore(Message)
    async with open_client(broker) as client:
        for _ in range(count):
            await client.publish_soon("t", b"x")
        receipt = await client.publish_soon("t", b"x")

        async def wait() -> None:
            with pytest.raises(LinkLost):
                await receipt.wait()

        async with anyio.create_task_group() as tg:
            tg.start_soon(wait)
            await exchanged(client)
            await client.disconnect()
    assert told(caplog) == [
        f"the client of {broker.uri} was closed with {unheard} not acknowledged"
    ]


async def test_what_was_finished_is_not_logged(
    broker, caplog: pytest.LogCaptureFixture
):
    async with open_client(broker) as client:
        for qos in (1, 2):
            await client.publish_soon("t", b"x", qos=qos)
    assert told(caplog) == []


async def test_a_lost_session_is_told_apart_from_the_end_of_the_client(broker):
    broker.ignore(Message)
    async with open_client(broker, **lasting()) as client:
        lost = await client.publish_soon("t", b"x", qos=2)
        await broker.connection.next(Message)
        broker.connection.reset()
        with pytest.raises(LinkLost) as caught:
            await lost.wait()
        assert isinstance(caught.value, MqttSessionLost)
        assert (caught.value.topic, caught.value.reason) == ("t", "session lost")
        assert client.is_connected
        left = await client.publish_soon("t", b"y", qos=2)
    with pytest.raises(LinkLost) as ended:
        await left.wait()
    assert not isinstance(ended.value, MqttSessionLost)


@pytest.mark.parametrize("is_taken", [False, True], ids=["unanswered", "taken"])
@pytest.mark.parametrize("protocol", ["3.1.1", "5.0"])
async def test_who_is_left_at_qos_2_is_not_told_of_a_forgotten_session(
    broker, protocol: str, *, is_taken: bool
):
    broker.ignore(Pubrel if is_taken else Message)
    async with open_client(broker, protocol=protocol) as client:
        receipt = await client.publish_soon("t", b"x", qos=2)
        await broker.connection.next(Pubrel if is_taken else Message)
        broker.connection.reset()
        with pytest.raises(MqttSessionLost) as caught:
            await receipt.wait()
    assert "and the peer has kept no session" in str(caught.value)
    # 5.0 has a word for it.
    is_hinted = str(caught.value).endswith("takes no QoS 2 ends the connection, too")
    assert is_hinted == (protocol == "3.1.1" and not is_taken)
