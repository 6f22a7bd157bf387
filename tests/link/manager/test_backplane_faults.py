"""Several nodes that are one manager: what is lost, repeated, late, or a lie."""

from __future__ import annotations

import anyio
import pytest

from structiot import Environment
from structiot.errors import LinkLost
from structiot.manager.backplane.remote_client import RemoteClient
from structiot.manager.errors import FateUnknown
from structiot.manager.events import (
    ClientConnected,
    ClientDisconnected,
    MessageReceived,
)
from structiot.manager.wire.envelopes import Gone, Message, Send, encode
from structiot.mqtt import open_broker, open_mqttclient
from structiot.testing import MemoryNetwork
from tests.link.manager.devices import OTHER, UUID
from tests.link.manager.nodes import (
    BROKER,
    PRESENCE,
    STRANGER,
    Balancer,
    device_at,
    elsewhere,
    holder_of,
    kinds,
    node_of,
    nodes,
    own_device,
    plain_device,
    until,
)

pytestmark = pytest.mark.virtual_time


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


@pytest.fixture
def environment(network) -> Environment:
    return Environment(network=network)


async def test_a_message_is_acknowledged_when_the_broker_has_it(environment):
    async with (
        nodes(environment, 2) as (a, b),
        b.manager.events() as events,
        device_at(environment, a.own_port, dialect="structiot") as device,
        anyio.create_task_group() as tg,
    ):
        await until(lambda: holder_of(b) == "node-0")
        a.way.stall()
        is_sent = anyio.Event()

        async def send() -> None:
            await device.send("precious")
            is_sent.set()

        tg.start_soon(send)
        await anyio.sleep(3)
        assert not is_sent.is_set()
        a.way.flow()
        with anyio.fail_after(30):
            await is_sent.wait()
        assert await kinds(events, 1) == [ClientConnected]
        found = [await anext(events)]
        while not isinstance(found[-1], MessageReceived):
            found.append(await anext(events))
        assert found[-1].data == b"precious"


async def test_messages_are_neither_lost_nor_taken_twice_wherever_it_moves(
    environment, network
):
    balancer = Balancer(network, 8700)
    moving = Environment(network=balancer)
    async with (
        nodes(environment, 3) as fleet,
        fleet[2].manager.events() as events,
        device_at(moving, 1, dialect="structiot") as device,
        anyio.create_task_group() as tg,
    ):
        sent: list[int] = []

        async def send(number: int) -> None:
            await device.send(str(number))
            sent.append(number)

        for number in range(60):
            tg.start_soon(send, number)
            if number % 10 == 3:
                balancer.port = 8700 + (number // 10) % 2
                balancer.cut()
            if number % 20 == 13:
                fleet[(number // 20) % 2].lose_broker()
            if number % 20 == 17:
                fleet[(number // 20) % 2].find_broker()
            await anyio.sleep(0.7)
        await until(lambda: len(sent) == 60, within_s=600)
        await anyio.sleep(60)
        found = []
        while len(events):
            event = await anext(events)
            if isinstance(event, MessageReceived):
                found.append(int(event.data))
        assert sorted(found) == list(range(60))


async def test_a_send_follows_the_device_under_the_same_id(environment):
    async with nodes(environment, 3) as (a, b, c), anyio.create_task_group() as tg:
        reports = []

        async def send() -> None:
            reports.append(await c.manager.send(UUID, "follow"))

        async with own_device(environment, a) as device:
            await until(lambda: holder_of(c) == "node-0")
            tg.start_soon(send)
            first = await device.message()
        async with own_device(environment, b) as device:
            second = await device.message()
            assert (second.message_id, second.data) == (first.message_id, b"follow")
            assert not reports
            await device.send(device.side.acknowledge(second.message_id))
            await until(lambda: reports)
            assert reports[0].delivered == (UUID,)
            assert reports[0]


async def test_a_send_from_where_the_device_was_follows_it(environment):
    async with nodes(environment, 2) as (a, b), anyio.create_task_group() as tg:
        is_sent = anyio.Event()

        async def send() -> None:
            await a.manager.clients[UUID].send("follow")
            is_sent.set()

        async with own_device(environment, a) as device:
            await until(lambda: holder_of(b) == "node-0")
            tg.start_soon(send)
            first = await device.message()
            async with own_device(environment, b) as again:
                assert await again.message() == first
                assert not is_sent.is_set()
                await again.send(again.side.acknowledge(first.message_id))
                with anyio.fail_after(10):
                    await is_sent.wait()


async def test_a_send_that_the_broker_has_lost_is_sent_again_in_our_own_dialect(
    environment,
):
    async with nodes(environment, 2) as (a, b), anyio.create_task_group() as tg:
        async with own_device(environment, a) as device:
            await until(lambda: holder_of(b) == "node-0")
            # What the broker passes on to this node is lost, and the session with it.
            a.way.stall()
            tg.start_soon(b.manager.fleet[UUID].send, "again")
            await anyio.sleep(1)
            a.way.cut()
            async with open_mqttclient(
                BROKER,
                a.client.client_id,
                {"protocol": "3.1.1"},
                environment=environment,
            ):
                pass
            a.way.flow()
            message = await device.message()
            assert message.data == b"again"
            await device.send(device.side.acknowledge(message.message_id))


async def test_a_send_whose_node_dies_is_of_unknown_fate(environment):
    async with nodes(environment, 2) as (a, b), anyio.create_task_group() as tg:
        device = await plain_device(environment, a)
        await until(lambda: holder_of(b) == "node-0")
        reports = []

        async def send() -> None:
            reports.append(await b.manager.send(UUID, "once"))

        # What the node has done is never told.
        a.way.stall()
        tg.start_soon(send)
        await anyio.sleep(1)
        a.lose_broker()
        await until(lambda: reports)
        error = reports[0].failed[UUID]
        assert isinstance(error, FateUnknown)
        assert "is not known" in str(error)
        a.way.flow()
        a.find_broker()
        await until(lambda: holder_of(b) == "node-0")
        await anyio.sleep(60)
        assert await b.manager.send(UUID, "!")
        found = b""
        while b"!" not in found:
            found += await device.stream.receive()
        assert found.count(b"once") <= 1


async def test_a_send_without_a_report_is_of_unknown_fate(environment):
    async with (
        nodes(environment, 1) as (a,),
        open_mqttclient(BROKER, environment=environment) as other,
    ):
        await other.publish(PRESENCE, elsewhere(), 1)
        await until(lambda: holder_of(a) == "node-9")
        begun = anyio.current_time()
        with pytest.raises(FateUnknown, match="within 15 s"):
            await a.manager.fleet[UUID].send("once")
        assert anyio.current_time() - begun == pytest.approx(15, abs=0.1)
        report = await a.manager.send(UUID, "once")
        assert isinstance(report.failed[UUID], FateUnknown)


async def test_what_the_broker_delivers_twice_is_sent_once(environment):
    async with nodes(environment, 2) as (a, b):
        device = await plain_device(environment, a)
        await until(lambda: holder_of(b) == "node-0")
        (node,) = b.manager.nodes
        order = encode(Send(STRANGER, node, UUID, 7, False, b"once"))
        for _ in range(2):
            await b.client.publish("structiot/manager/fleet/node/node-0", order, 1)
        await anyio.sleep(1)
        assert await b.manager.send(UUID, "!")
        await device.read(b"once!")


async def test_nothing_is_sent_where_there_is_no_way(environment):
    async with nodes(environment, 2) as (a, b):
        await plain_device(environment, a)
        await until(lambda: holder_of(b) == "node-0")
        b.lose_broker()
        await until(lambda: not b.client.is_connected)
        with pytest.raises(LinkLost, match="no connection to the broker"):
            await b.manager.fleet[UUID].send("x")
        b.find_broker()


async def test_what_comes_from_the_broker_is_not_believed(environment):
    async with nodes(environment, 2) as (a, b):
        await plain_device(environment, a)
        await until(lambda: holder_of(b) == "node-0")
        whose = b'"node":"node-9.0123456789abcdef"'
        far = b'{"info":"%s##light##{}","dialect":"D0","address":["",1],"turn":%d}'
        for payload in (
            b"",
            b"\xff\xfe",
            b"{}\n",
            b"[" * 100_000 + b"\n",
            b'{"kind":"gone","node":"../a"}\n',
            b'{"kind":"listed",'
            + whose
            + b',"devices":[1,{"info":2}],"is_first":1,"is_last":0}\n',
            b'{"kind":"came",%s,"devices":[%s]}\n'
            % (whose, far % (OTHER.encode(), 2**52)),
            b'{"kind":"went",%s,"uuid":"%s","turn":1,"reason":""}\n'
            % (whose, UUID.encode()),
        ):
            await a.client.publish(PRESENCE, payload, 1)
            await a.client.publish("structiot/manager/fleet/all/messages", payload, 1)
            await a.client.publish("structiot/manager/fleet/node/node-1", payload, 1)
        await anyio.sleep(30)
        assert list(b.manager.fleet) == list(a.manager.fleet) == [UUID]
        assert await b.manager.send(UUID, "x")


async def test_what_was_missed_is_asked_for(environment):
    """A broker may drop what waits for a slow node: the count of devices tells."""
    async with nodes(environment, 2) as (a, b):
        await plain_device(environment, a)
        await until(lambda: holder_of(b) == "node-0")
        # Until what was asked for at the beginning has been told.
        await anyio.sleep(5)
        (node,) = b.manager.nodes
        remote = b.manager.fleet[UUID]
        assert isinstance(remote, RemoteClient)
        lie = b'{"kind":"went","node":"%s","uuid":"%s","turn":%d,"reason":"a lie"}\n'
        await b.client.publish(
            PRESENCE,
            lie % (node.encode(), UUID.encode(), remote.turn),
            1,
        )
        await until(lambda: not b.manager.fleet)
        await until(lambda: holder_of(b) == "node-0", within_s=45)


async def test_a_message_that_comes_twice_is_taken_once(environment):
    async with nodes(environment, 3) as (a, b, c), c.manager.events() as events:
        for node in (a, b):
            # It does not hear the acknowledgement, and comes again elsewhere.
            async with own_device(environment, node) as device:
                await device.send(device.side.write(b"precious", 5))
                await anyio.sleep(1)
        told = encode(Message(STRANGER, UUID, "light", 6, False, b"plain"))
        for _ in range(2):
            await b.client.publish("structiot/manager/fleet/all/messages", told, 1)
        await anyio.sleep(1)
        found = [await anext(events) for _ in range(len(events))]
        messages = [one for one in found if isinstance(one, MessageReceived)]
        assert [message.data for message in messages] == [b"precious", b"plain"]
        # Of the second nobody has told; it can be told apart, and not be sent to.
        assert not messages[1].client.is_connected


async def test_a_node_that_is_said_to_be_dead_contradicts(environment):
    async with nodes(environment, 2) as (a, b), b.manager.events() as events:
        await plain_device(environment, a)
        assert await kinds(events, 1) == [ClientConnected]
        await anyio.sleep(5)
        (node,) = b.manager.nodes
        await b.client.publish(PRESENCE, encode(Gone(node, "a lie")), 1)
        with anyio.fail_after(5):
            assert await kinds(events, 2) == [ClientDisconnected, ClientConnected]


async def run_broker(environment, *, task_status) -> None:
    with anyio.CancelScope() as life:
        async with open_broker(BROKER, environment=environment):
            task_status.started(life)
            await anyio.sleep_forever()


async def test_a_broker_that_forgets_everything_costs_our_own_dialect_nothing(
    environment,
):
    async with anyio.create_task_group() as brokers:
        life = await brokers.start(run_broker, environment)
        async with (
            node_of(environment, 0) as a,
            node_of(environment, 1) as b,
            own_device(environment, a) as device,
            anyio.create_task_group() as tg,
        ):
            await until(lambda: holder_of(b) == "node-0")
            remote = b.manager.fleet[UUID]
            a.way.stall()
            tg.start_soon(remote.send, "again")
            await anyio.sleep(1)
            life.cancel()
            a.way.cut()
            await anyio.sleep(5)
            a.way.flow()
            await brokers.start(run_broker, environment)
            message = await device.message()
            assert message.data == b"again"
            assert b.manager.fleet[UUID] is remote
            await device.send(device.side.acknowledge(message.message_id))
        brokers.cancel_scope.cancel()
