"""Leaving when the exchanges of incoming QoS 2 are complete, and waiting for that."""

from __future__ import annotations

import anyio
import pytest

from structiot.errors import LinkLost
from structiot.mqtt.wire.messages import (
    Disconnect,
    Message,
    Pubcomp,
    Pubrec,
    Pubrel,
)
from tests.link.mqtt.opening import exchanged, lasting, open_client, take

pytestmark = pytest.mark.virtual_time

SLOW_S = 1.5


async def test_leaving_waits_for_the_release_of_what_was_taken(broker):
    broker.ignore(Pubrec)

    async def release_later() -> None:
        await broker.connection.next(Pubrec)
        await anyio.sleep(SLOW_S)
        await broker.connection.send(Pubrel(packet_id=1))

    async with anyio.create_task_group() as tg:
        async with open_client(broker) as client:
            tg.start_soon(release_later)
            async with client.subscription("a", qos=2) as messages:
                await broker.connection.send(Message("a", b"1", qos=2, packet_id=1))
                assert await take(messages, 1) == [b"1"]
    kinds = [type(packet) for packet in broker.connection.packets[-2:]]
    assert kinds == [Pubcomp, Disconnect]


@pytest.mark.parametrize("goodbye_s", [0, 2])
async def test_a_broker_that_releases_nothing_is_waited_for_goodbye_s(
    broker, goodbye_s: float
):
    broker.ignore(Pubrec)
    async with open_client(broker, goodbye_s=goodbye_s) as client:
        async with client.subscription("a", qos=2) as messages:
            await broker.connection.send(Message("a", b"1", qos=2, packet_id=1))
            await take(messages, 1)
            await exchanged(client)
        began_at = anyio.current_time()
    assert anyio.current_time() - began_at == pytest.approx(goodbye_s)


async def test_what_was_not_taken_is_not_waited_for(broker):
    async with open_client(broker, **lasting()) as client:
        async with client.subscription("a", qos=2, unsubscribe=False):
            await broker.connection.send(Message("a", b"1", qos=2, packet_id=1))
            await exchanged(client)
        began_at = anyio.current_time()
    assert anyio.current_time() == began_at
    assert broker.connection.of(Pubrec) == []


async def test_a_program_may_wait_for_it_over_a_lost_connection(broker):
    broker.keeps_sessions = True
    broker.ignore(Pubrec)
    async with open_client(broker, **lasting()) as client:
        await client.incoming_complete()
        async with client.subscription("a", qos=2) as messages:
            await broker.connection.send(Message("a", b"1", qos=2, packet_id=1))
            await take(messages, 1)
            with anyio.move_on_after(60) as scope:
                await client.incoming_complete()
            assert scope.cancelled_caught
            broker.connection.reset()
            connection = await broker.connected(2)
            with anyio.fail_after(60):
                async with anyio.create_task_group() as tg:
                    tg.start_soon(client.incoming_complete)
                    tg.start_soon(client.incoming_complete)
                    await anyio.wait_all_tasks_blocked()
                    # Others do not count.
                    await connection.send(Pubrel(packet_id=9), Pubrel(packet_id=1))


async def test_what_is_taken_later_is_not_waited_for(broker):
    broker.ignore(Pubrec)
    async with open_client(broker, goodbye_s=0) as client:
        async with client.subscription("a", qos=2) as messages:
            for number in (1, 2):
                await broker.connection.send(Message("a", b"", qos=2, packet_id=number))
            await take(messages, 1)
            with anyio.fail_after(60):
                async with anyio.create_task_group() as tg:
                    tg.start_soon(client.incoming_complete)
                    await anyio.wait_all_tasks_blocked()
                    await take(messages, 1)
                    await broker.connection.send(Pubrel(packet_id=1))
            with anyio.move_on_after(60) as scope:
                await client.incoming_complete()
            assert scope.cancelled_caught


async def test_a_session_that_is_lost_has_nothing_to_complete(broker):
    broker.ignore(Pubrec)
    async with open_client(broker, **lasting()) as client:
        async with client.subscription("a", qos=2) as messages:
            await broker.connection.send(Message("a", b"1", qos=2, packet_id=1))
            await take(messages, 1)
            await exchanged(client)
            with anyio.fail_after(60):
                async with anyio.create_task_group() as tg:
                    tg.start_soon(client.incoming_complete)
                    await anyio.wait_all_tasks_blocked()
                    broker.connection.reset()


async def test_who_waits_is_told_when_the_client_ends(broker):
    broker.ignore(Pubrec)
    async with open_client(broker) as client:
        async with client.subscription("a", qos=2) as messages:
            await broker.connection.send(Message("a", b"1", qos=2, packet_id=1))
            await take(messages, 1)
            await exchanged(client)
            ends: list[str] = []

            async def wait() -> None:
                try:
                    await client.incoming_complete()
                except LinkLost:
                    ends.append("told")

            async with anyio.create_task_group() as tg:
                tg.start_soon(wait)
                await anyio.wait_all_tasks_blocked()
                await client.disconnect()
            assert ends == ["told"]
