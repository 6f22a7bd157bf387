"""How messages are taken: acknowledgement, decoding, several readers, batches."""

from __future__ import annotations

import anyio
import pytest

from structiot.errors import UsageError
from structiot.mqtt.wire.messages import Message, Puback, Pubcomp, Pubrec, Pubrel
from tests._support.fake_broker import FakeBroker
from tests.link.mqtt.opening import exchanged, lasting, open_client, take

pytestmark = pytest.mark.virtual_time


def message(number: int, *, qos: int = 1, dup: bool = False) -> Message:
    return Message("t", b"%d" % number, qos=qos, packet_id=number, dup=dup)


def acknowledged(broker: FakeBroker) -> list[int]:
    return [packet.packet_id for packet in broker.connection.of(Puback)]


# -- when it is acknowledged ---------------------------------------------------------


async def test_a_message_is_acknowledged_when_the_iteration_hands_it_out(broker):
    async with open_client(broker) as client:
        async with client.subscription("t", qos=1) as messages:
            await broker.connection.send(message(1), message(2), message(3))
            await exchanged(client)
            assert acknowledged(broker) == []
            async for received in messages:
                await exchanged(client)
                assert acknowledged(broker)[-1] == received.packet_id
                assert len(acknowledged(broker)) == received.packet_id
                if received.packet_id == 3:
                    break


async def test_qos_2_goes_through_its_packets_and_is_handed_out_once(broker):
    broker.ignore(Pubrec)
    async with open_client(broker) as client:
        async with client.subscription("t", qos=2) as messages:
            connection = broker.connection
            await connection.send(message(1, qos=2), message(1, qos=2, dup=True))
            assert await take(messages, 1) == [b"1"]
            await connection.next(Pubrec)
            await connection.send(message(1, qos=2, dup=True))
            await connection.next(Pubrec)
            await connection.send(Pubrel(packet_id=1))
            await connection.next(Pubcomp)
            assert len(messages) == 0
            assert client.counters.repeated == 2
            await connection.send(message(1, qos=2))
            assert await take(messages, 1) == [b"1"]


async def test_manual_acknowledgements_leave_in_the_order_of_arrival(broker):
    async with open_client(broker) as client:
        async with client.subscription("t", qos=1, ack="manual") as messages:
            await broker.connection.send(message(1), message(2), message(3))
            first, second, third = [await anext(messages) for _ in range(3)]
            messages.ack(third)
            messages.ack(second)
            await exchanged(client)
            assert acknowledged(broker) == []
            messages.ack(first)
            await exchanged(client)
            assert acknowledged(broker) == [1, 2, 3]


async def test_what_needs_no_acknowledgement_cannot_be_acknowledged(broker):
    async with open_client(broker) as client:
        async with client.subscription("t", qos=1, ack="manual") as messages:
            await broker.connection.send(message(1), Message("t", b"QoS 0"))
            first, second = await anext(messages), await anext(messages)
            messages.ack(first)
            for done in (first, second):
                with pytest.raises(UsageError, match="nothing to acknowledge"):
                    messages.ack(done)


async def test_on_request_a_message_is_acknowledged_on_receipt(broker):
    async with open_client(broker) as client:
        async with client.subscription("t", qos=1, ack="on_receive"):
            await broker.connection.send(message(1))
            await exchanged(client)
            assert acknowledged(broker) == [1]


async def test_a_message_for_several_is_acknowledged_when_all_have_taken_it(broker):
    async with open_client(broker) as client:
        async with (
            client.subscription("t", qos=1) as first,
            client.subscription("+", qos=2) as second,
            client.subscription("#", qos=0) as third,
        ):
            await broker.connection.send(message(1))
            await take(first, 1)
            await exchanged(client)
            assert acknowledged(broker) == []
            await take(second, 1)
            await exchanged(client)
            assert acknowledged(broker) == [1]
            assert (await anext(third)).qos == 0


async def test_a_message_nobody_wants_is_acknowledged_and_counted(broker):
    async with open_client(broker) as client:
        await broker.connection.send(message(1))
        await exchanged(client)
        assert acknowledged(broker) == [1]
        assert client.counters.unclaimed == 1


async def test_what_is_held_is_not_handed_out_again_after_a_reconnect(broker):
    broker.keeps_sessions = True
    async with open_client(broker, **lasting()) as client:
        async with client.subscription("t", qos=1, ack="manual") as messages:
            await broker.connection.send(message(1), message(2))
            held = [await anext(messages), await anext(messages)]
            broker.connection.reset()
            second = await broker.connected(2)
            await second.send(message(1, dup=True), message(2, dup=True), message(3))
            assert await take(messages, 1) == [b"3"]
            for item in held:
                messages.ack(item)
            await exchanged(client)
            assert acknowledged(broker) == [1, 2]
            assert client.counters.repeated == 2


async def test_what_a_manual_reader_left_holds_nobody_back_and_comes_again(broker):
    broker.keeps_sessions = True
    async with open_client(broker, **lasting()) as client:
        async with client.subscription("t", qos=1) as other:
            async with client.subscription("u", qos=1, ack="manual") as messages:
                crashing = Message("u", b"poison", qos=1, packet_id=9)
                await broker.connection.send(crashing, message(1))
                await anext(messages)
            assert await take(other, 1) == [b"1"]
            await exchanged(client)
            assert acknowledged(broker) == [1]
            async with client.subscription("u", qos=1) as again:
                broker.connection.reset()
                second = await broker.connected(2)
                repeated = Message("u", b"poison", qos=1, packet_id=9, dup=True)
                await second.send(repeated)
                assert await take(again, 1) == [b"poison"]


# -- decoding ------------------------------------------------------------------------


async def test_a_payload_that_does_not_decode_is_handed_out_as_it_is_and_counted(
    broker,
):
    async with open_client(broker, codec="json") as client:
        async with client.subscription("t") as messages:
            for payload in (b"1", b"{", b"[2]"):
                await broker.connection.send(Message("t", payload))
            data = [(await anext(messages)).data for _ in range(3)]
            assert data == [1, b"{", [2]]
            assert messages.undecodable == 1
            assert client.counters.undecodable == 1


async def test_the_codec_of_the_subscription_goes_before_that_of_the_client(broker):
    params = {"yesno": {"name": "bool", "on": "yes", "off": "no"}}
    async with open_client(broker, codec="json", codec_params=params) as client:
        async with (
            client.subscription("t", codec="yesno") as words,
            client.subscription("t") as values,
        ):
            await client.publish("t", True, codec="yesno")
            await client.publish("t", [True])
            await words.publish(None, False)
            sent = [item.payload for item in broker.connection.of(Message)]
            await exchanged(client)
            sent = [item.payload for item in broker.connection.of(Message)]
            assert sent == [b"yes", b"[true]", b"no"]
            await broker.connection.send(Message("t", b"yes"))
            assert (await anext(words)).data is True
            assert (await anext(values)).data == b"yes"


async def test_what_the_codec_does_not_take_is_not_sent(broker):
    async with open_client(broker, codec="utf8") as client:
        for qos in (0, 1):
            with pytest.raises(UsageError, match="cannot encode the payload"):
                await client.publish("t", 5, qos=qos)
            with pytest.raises(UsageError, match="cannot encode the payload"):
                await client.publish("t", float("inf"), qos=qos, codec="int")
    assert broker.connection.of(Message) == []


# -- readers -------------------------------------------------------------------------


async def test_several_tasks_may_iterate_and_each_message_goes_to_one(broker):
    got: list[tuple[str, bytes]] = []

    async def read(name: str, messages) -> None:
        async for received in messages:
            got.append((name, received.payload))
            await anyio.sleep(1)

    async with open_client(broker) as client:
        async with anyio.create_task_group() as tg:
            async with client.subscription("t") as messages:
                for name in "abc":
                    tg.start_soon(read, name, messages)
                await anyio.wait_all_tasks_blocked()
                for number in range(9):
                    await broker.connection.send(Message("t", b"%d" % number))
                await anyio.sleep(10)
    assert sorted(payload for _, payload in got) == [b"%d" % n for n in range(9)]
    assert {name for name, _ in got} == set("abc")


async def test_a_task_may_begin_to_read_while_another_deals_with_a_message(broker):
    got: list[bytes] = []

    async def read(messages) -> None:
        async for received in messages:
            got.append(received.payload)
            await anyio.sleep(2)

    async with open_client(broker) as client:
        async with anyio.create_task_group() as tg:
            async with client.subscription("t") as messages:
                tg.start_soon(read, messages)
                await broker.connection.send(Message("t", b"0"))
                await anyio.sleep(1)
                tg.start_soon(read, messages)
                await anyio.sleep(2)
                await broker.connection.send(Message("t", b"1"), Message("t", b"2"))
                await anyio.sleep(5)
    assert sorted(got) == [b"0", b"1", b"2"]


async def test_a_cancelled_reader_loses_nothing(broker):
    async with open_client(broker) as client:
        async with client.subscription("t") as messages:
            for number in range(5):
                with anyio.move_on_after(1):
                    async for _ in messages:
                        pytest.fail("there was nothing to read")
                await broker.connection.send(Message("t", b"%d" % number))
                assert await take(messages, 1) == [b"%d" % number]


async def test_a_loop_may_be_left_and_entered_again(broker):
    async with open_client(broker) as client:
        async with client.subscription("t") as messages:
            await broker.connection.send(*[message(n, qos=0) for n in (0, 0, 0)])
            await exchanged(client)
            for _ in range(3):
                async for received in messages:
                    assert received.payload == b"0"
                    break
            assert len(messages) == 0


async def test_batches_give_all_that_waits_and_may_be_left(broker):
    async with open_client(broker) as client:
        async with client.subscription("t", qos=1, codec="int") as messages:
            await broker.connection.send(*[message(n) for n in (1, 2, 3)])
            await exchanged(client)
            async for batch in messages.batches():
                assert [item.data for item in batch] == [1, 2, 3]
                break
            await exchanged(client)
            assert acknowledged(broker) == [1, 2, 3]
            await broker.connection.send(message(4))
            async for batch in messages.batches():
                assert [item.data for item in batch] == [4]
                break
        assert [batch async for batch in messages.batches()] == []
