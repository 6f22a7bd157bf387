"""Several nodes that are one manager: presence, messages and sends, and what fails."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import anyio
import pytest

from structiot import Environment
from structiot.errors import ConfigError, LinkLost, UsageError
from structiot.manager.backplane.opening import open_backplane
from structiot.manager.errors import ConnectionEnd, FateUnknown
from structiot.manager.events import (
    ClientConnected,
    ClientDisconnected,
    ClientReplaced,
)
from structiot.manager.opening import open_manager
from structiot.mqtt import Connected, open_broker, open_mqttclient
from structiot.testing import MemoryNetwork
from tests.link.manager.devices import OTHER, UUID, data_of, info
from tests.link.manager.nodes import (
    BROKER,
    PRESENCE,
    device_at,
    elsewhere,
    holder_of,
    kinds,
    node_of,
    nodes,
    plain_device,
    until,
)

THIRD = "00000000-0000-4000-8000-000000000003"
pytestmark = pytest.mark.virtual_time


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


@pytest.fixture
def environment(network) -> Environment:
    return Environment(network=network)


async def test_every_node_knows_the_devices_of_all(environment):
    async with nodes(environment, 3) as (a, b, c), b.manager.events("light") as events:
        device = await plain_device(environment, a, info(data='{"room": "hall"}'))
        await until(lambda: holder_of(c) == "node-0")
        assert [holder_of(node) for node in (a, b)] == ["here", "node-0"]
        assert c.manager.get_client_data() == [
            {"uuid": UUID, "type": "light", "data": {"room": "hall"}}
        ]
        assert not c.manager.clients
        assert len(b.manager.nodes) == 2
        client = c.manager.fleet[UUID]
        assert (client.dialect, client.is_local) == ("D0", False)
        assert client.address == a.manager.clients[UUID].address
        async with node_of(environment, 3) as late, late.manager.events() as others:
            await until(lambda: holder_of(late) == "node-0", within_s=5)
            assert await kinds(others, 1) == [ClientConnected]
            await device.stream.aclose()
            await until(lambda: not late.manager.fleet)
            gone = await anext(others)
            assert isinstance(gone, ClientDisconnected)
            assert gone.reason == "the peer hung up"
        await until(lambda: not c.manager.fleet)
        assert await kinds(events, 2) == [ClientConnected, ClientDisconnected]
        assert not client.is_connected
        with pytest.raises(ConnectionEnd, match="hung up"):
            await client.send("x")


@pytest.mark.parametrize("dialect", ["D0", "structiot"])
async def test_messages_reach_every_node_and_sends_the_device(environment, dialect):
    async with (
        nodes(environment, 2) as (a, b),
        a.manager.events() as at_a,
        b.manager.events() as at_b,
    ):
        port = a.plain_port if dialect == "D0" else a.own_port
        async with device_at(environment, port, dialect=dialect) as device:
            await until(lambda: holder_of(b) == "node-0")
            await device.send("hello")
            for events in (at_a, at_b):
                assert await kinds(events, 1) == [ClientConnected]
                assert data_of(await anext(events)) == b"hello"
            remote = b.manager.fleet[UUID]
            for sending in (b.manager.send, a.manager.send):
                report = await sending(UUID, "to you")
                assert report.delivered == (UUID,)
                assert await anext(aiter(device)) == b"to you"
            assert await b.manager.send_all("to all")
            assert await b.manager.send_type("light", "to lights")
            await remote.send(b"\x07 directly")
            assert await anext(aiter(device)) == b"to all"
            assert await anext(aiter(device)) == b"to lights"
            assert await anext(aiter(device)) == b"\x07 directly"
            async with remote.messages() as messages, anyio.create_task_group() as tg:
                tg.start_soon(device.send, "heard there")
                assert await anext(messages) == b"heard there"
            with pytest.raises(UsageError):
                await remote.send(b"x" * 70_000 if dialect != "D0" else b"\x01")
            assert len(at_a) == len(at_b) == 1


async def test_a_question_at_one_node_is_answered_through_another(environment):
    async with nodes(environment, 2) as (a, b), anyio.create_task_group() as tg:
        device = await plain_device(environment, a)
        await until(lambda: holder_of(b) == "node-0")

        async def answer() -> None:
            await device.read(b"how warm?")
            await device.send(b"21.5")

        tg.start_soon(answer)
        assert await b.manager.fleet[UUID].request("how warm?") == b"21.5"


async def test_a_device_is_asked_from_another_node(environment):
    async with nodes(environment, 2) as (a, b):
        port = a.own_port
        async with device_at(environment, port, dialect="structiot") as device:
            await until(lambda: holder_of(b) == "node-0")
            remote = b.manager.fleet[UUID]
            assert 0 <= await remote.heartbeat() < 1
            device.describe({"room": "hall"})
            assert (await remote.refresh_info()).data == {"room": "hall"}
            assert remote.data.data == {"room": "hall"}
            await anyio.sleep(5)
            device.describe({"room": "attic"})
            await a.manager.clients[UUID].refresh_info()
            await until(lambda: remote.data.data == {"room": "attic"}, 5)
            a.manager.clients[UUID].end_now("gone meanwhile")
            with pytest.raises(ConnectionEnd, match="nothing was sent"):
                await remote.heartbeat()
        deaf = await plain_device(environment, a)
        await until(lambda: holder_of(b) == "node-0")
        remote = b.manager.fleet[UUID]
        with pytest.raises(FateUnknown):
            await remote.heartbeat()
        assert await deaf.read_to_the_end() == b"\x02end\n"


async def test_a_connection_is_ended_from_another_node(environment):
    async with nodes(environment, 2) as (a, b):
        device = await plain_device(environment, a)
        await until(lambda: holder_of(b) == "node-0")
        remote = b.manager.fleet[UUID]
        await remote.end("enough")
        assert await device.read_to_the_end() == b"end\n"
        await until(lambda: not b.manager.fleet)
        assert remote.end_reason == "enough"
        with pytest.raises(ConnectionEnd, match="enough"):
            await remote.end()


async def test_a_device_that_moves_is_replaced_on_the_old_node(environment):
    async with nodes(environment, 3) as (a, b, c), c.manager.events() as events:
        old = await plain_device(environment, a)
        await until(lambda: holder_of(b) == "node-0")
        former = a.manager.clients[UUID]
        new = await plain_device(environment, b)
        assert await old.read_to_the_end() == b"end\n"
        await until(lambda: holder_of(a) == holder_of(c) == "node-1")
        assert former.end_reason == "replaced by a newer connection to another node"
        assert not a.manager.clients
        assert await kinds(events, 4) == [
            ClientConnected,
            ClientDisconnected,
            ClientReplaced,
            ClientConnected,
        ]
        assert await a.manager.send(UUID, "found")
        await new.read(b"found")
        # And back, with the clock of neither asked.
        again = await plain_device(environment, a)
        assert await new.read_to_the_end() == b"end\n"
        await until(lambda: holder_of(b) == holder_of(c) == "node-0")
        assert await c.manager.send(UUID, "again")
        await again.read(b"again")


async def test_of_two_nodes_that_claim_a_device_the_newer_is_right(environment):
    async with nodes(environment, 2) as (a, b):
        device = await plain_device(environment, a)
        await until(lambda: holder_of(b) == "node-0")
        await b.client.publish(PRESENCE, elsewhere(), 1)
        await anyio.sleep(1)
        assert [holder_of(node) for node in (a, b)] == ["here", "node-0"]
        # The clock of that node is an hour ahead.
        turn = int(environment.now_utc().timestamp() * 1000) + 3_600_000
        await b.client.publish(PRESENCE, elsewhere(turn), 1)
        assert await device.read_to_the_end() == b"end\n"
        await until(lambda: holder_of(a) == holder_of(b) == "node-9")
        await plain_device(environment, a)
        await until(lambda: holder_of(b) == "node-0")


async def test_a_node_that_dies_has_its_devices_gone_by_its_will(environment):
    async with nodes(environment, 2) as (a, b), b.manager.events() as events:
        device = await plain_device(environment, a)
        await until(lambda: holder_of(b) == "node-0")
        a.lose_broker()
        await until(lambda: not b.manager.fleet)
        assert await kinds(events, 1) == [ClientConnected]
        gone = await anext(events)
        assert isinstance(gone, ClientDisconnected)
        assert gone.reason == "its node has lost its connection to the broker"
        assert b.manager.nodes == ()
        with pytest.raises(LinkLost, match="is not connected"):
            raise (await b.manager.send(UUID, "x")).failed[UUID]
        # It was not dead: it comes again with what it has.
        a.find_broker()
        await until(lambda: holder_of(b) == "node-0")
        assert await b.manager.send(UUID, "x")
        await device.read(b"x")


async def test_events_are_told_with_the_time_at_which_they_happen_here():
    begin = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def clock() -> datetime:
        return begin + timedelta(seconds=anyio.current_time())

    environment = Environment(network=MemoryNetwork(), clock=clock)
    async with nodes(environment, 2) as (a, b), b.manager.events() as events:
        await plain_device(environment, a)
        await until(lambda: holder_of(b) == "node-0")
        connected_at_utc = b.manager.fleet[UUID].connected_at_utc
        await anyio.sleep(50)
        a.lose_broker()
        await until(lambda: not b.manager.fleet)
        a.find_broker()
        await until(lambda: holder_of(b) == "node-0")
        seen = [await anext(events) for _ in range(3)]
        assert list(map(type, seen)) == [
            ClientConnected,
            ClientDisconnected,
            ClientConnected,
        ]
        times = [one.at_utc for one in seen]
        assert times == sorted(times)
        assert times[2] - times[0] > timedelta(seconds=50)
        assert b.manager.fleet[UUID].connected_at_utc == connected_at_utc
        # Who comes to listen is told since when those are connected who are there,
        # in that order, whatever the clocks of other nodes say.
        ahead = int((clock() + timedelta(hours=1)).timestamp() * 1000)
        async with open_mqttclient(BROKER, environment=environment) as other:
            await other.publish(PRESENCE, elsewhere(turn=ahead, uuid=OTHER), 1)
            await until(lambda: OTHER in b.manager.fleet)
        await plain_device(environment, b, info(THIRD))
        await until(lambda: THIRD in b.manager.fleet)
        async with b.manager.events() as later:
            seen = [await anext(later) for _ in range(3)]
        assert all(isinstance(one, ClientConnected) for one in seen)
        told = {getattr(one, "client", None): one.at_utc for one in seen}
        fleet = b.manager.fleet
        assert list(told) == [fleet[UUID], fleet[THIRD], fleet[OTHER]]
        assert told[fleet[UUID]] == connected_at_utc
        assert told[fleet[OTHER]] <= clock()


async def test_a_node_that_ends_says_so(environment):
    async with nodes(environment, 1) as (a,), a.manager.events() as events:
        async with node_of(environment, 1) as b:
            await plain_device(environment, b)
            await until(lambda: holder_of(a) == "node-1")
            await anext(events)
        gone = await anext(events)
        assert isinstance(gone, ClientDisconnected)
        assert gone.reason == "its node has ended"
        assert a.manager.nodes == ()


async def test_a_node_that_falls_silent_is_gone_even_without_its_will(environment):
    async with (
        nodes(environment, 1) as (a,),
        open_mqttclient(BROKER, environment=environment) as other,
    ):
        for _ in range(5):
            await other.publish(PRESENCE, elsewhere(), 1)
            await anyio.sleep(60)
            assert holder_of(a) == "node-9"
        await until(lambda: not a.manager.fleet, within_s=200)


async def test_what_cannot_be(environment):
    async with open_broker(BROKER, environment=environment):
        with pytest.raises(ConfigError, match="a name has 1 to 64"):
            async with open_backplane(BROKER, node="a/b", environment=environment):
                pass
        will = {"topic": "x", "message": "y"}
        with pytest.raises(ConfigError, match="will"):
            async with open_backplane(
                BROKER, node="a", config={"will": will}, environment=environment
            ):
                pass
        async with open_mqttclient(BROKER, environment=environment) as client:
            with pytest.raises(ConfigError, match="opened by open_backplane"):
                async with open_manager(backplane=client, environment=environment):
                    pass


async def test_a_node_without_devices_of_its_own_leaves_nothing_behind(environment):
    async with nodes(environment, 1) as (a,):
        device = await plain_device(environment, a)
        for protocol in ("3.1.1", "5.0"):
            async with (
                open_backplane(
                    BROKER, config={"protocol": protocol}, environment=environment
                ) as client,
                open_manager(
                    port=None, backplane=client, environment=environment
                ) as guest,
            ):
                await until(lambda: UUID in guest.fleet)
                assert (guest.addresses, guest.host, guest.port) == ((), "", 0)
                assert await guest.send(UUID, "from nowhere")
                await device.read(b"from nowhere")
                client_id = client.client_id
            await until(lambda: not a.manager.nodes)
            # Whoever has its id finds no session.
            lasting = {"cleansession": False, "protocol": protocol}
            async with (
                open_mqttclient(
                    BROKER, client_id, lasting, environment=environment
                ) as other,
                other.events() as events,
            ):
                connected = await anext(events)
                assert isinstance(connected, Connected)
                assert not connected.session_present
