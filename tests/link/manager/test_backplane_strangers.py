"""Several nodes that are one manager: who lies to them, has their name, or says too much."""

from __future__ import annotations

import logging
import uuid
from contextlib import suppress
from functools import partial

import anyio
import pytest

from structiot import Environment
from structiot.errors import ConfigError, UsageError
from structiot.manager import (
    ClientConnected,
    ClientDisconnected,
    Info,
    InvalidInfo,
    ManagerClient,
    open_backplane,
    open_manager,
)
from structiot.manager.wire.dialects import Dialect
from structiot.manager.wire.envelopes import (
    Came,
    Envelope,
    Gone,
    Here,
    Listed,
    Member,
    decode,
    encode,
)
from structiot.mqtt import MqttClient, open_broker, open_mqttclient
from structiot.testing import MemoryNetwork
from tests.link.manager.devices import OTHER, UUID, info
from tests.link.manager.nodes import (
    BROKER,
    PRESENCE,
    STRANGER,
    Node,
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
def environment() -> Environment:
    return Environment(network=MemoryNetwork())


def member(number: int, turn: int = 7) -> Member:
    told = Info(uuid=str(uuid.UUID(int=number)), type="light")
    return Member(info=told, dialect=Dialect.D0, address=("10.0.0.9", 1), turn=turn)


async def tell(stranger: MqttClient, *envelopes: Envelope) -> None:
    for envelope in envelopes:
        await stranger.publish(PRESENCE, encode(envelope), 1)


def warnings_of(caplog: pytest.LogCaptureFixture, about: str) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.WARNING and about in record.getMessage()
    ]


# ------------------------------------------------------- what is no news, or too much


async def test_what_is_retained_is_passed_over(environment):
    async with (
        open_broker(BROKER, environment=environment),
        open_mqttclient(BROKER, environment=environment) as stranger,
    ):
        await stranger.publish(PRESENCE, elsewhere(), 1, retain=True)
        async with node_of(environment, 0) as a:
            await anyio.sleep(5)
            assert (a.manager.nodes, dict(a.manager.fleet)) == ((), {})


@pytest.mark.parametrize("years", [-50, 50])
async def test_a_node_whose_clock_is_wrong_is_a_node_like_others(environment, years):
    """One that has no clock begins in 1970: all others are far ahead of it."""
    turn = int((environment.now_utc().timestamp() + years * 31_557_600) * 1000)
    asked = 0
    async with (
        nodes(environment, 1) as (a,),
        open_mqttclient(BROKER, environment=environment) as stranger,
        stranger.subscription(PRESENCE, 1, "noop") as told,
    ):
        await tell(stranger, Listed(STRANGER, (member(1, turn),), True, True))
        await until(lambda: a.manager.fleet)
        for _ in range(10):
            await tell(stranger, Here(STRANGER, 1))
            await anyio.sleep(30)
        with anyio.move_on_after(1):
            async for published in told:
                heard = decode(published.payload)
                asked += isinstance(heard, Here) and heard.asks
        assert asked <= 1
        assert list(a.manager.fleet) == [str(uuid.UUID(int=1))]


async def test_more_nodes_than_there_can_be_are_said_once(environment, caplog):
    async with (
        nodes(environment, 1) as (a,),
        open_mqttclient(BROKER, environment=environment) as stranger,
    ):
        many = [Here(f"ghost-{number}.{number:016x}", 0) for number in range(300)]
        await tell(stranger, *many)
        await anyio.sleep(1)
        assert len(a.manager.nodes) == 256
    assert len(warnings_of(caplog, "256 nodes are there: ghost-256 is not heard")) == 1
    (counted,) = warnings_of(caplog, "nodes too many were not heard")
    assert "43 more" in counted


async def test_who_asks_without_end_gets_few_answers(environment):
    async with (
        nodes(environment, 3),
        open_mqttclient(BROKER, environment=environment) as stranger,
        stranger.subscription(PRESENCE, 0, "noop") as told,
    ):
        await anyio.sleep(10)
        await tell(stranger, *[Here(STRANGER, 0, asks=True)] * 500)
        await anyio.sleep(10)
        answers = [decode((await anext(aiter(told))).payload) for _ in range(len(told))]
        ours = [one for one in answers if one is not None and one.node != STRANGER]
        assert 3 <= len(ours) < 60


async def test_a_device_that_tells_another_type_is_ended_everywhere(environment):
    async with (
        nodes(environment, 2) as (a, b),
        b.manager.events("light") as events,
        own_device(environment, a) as device,
        anyio.create_task_group() as tg,
    ):
        await until(lambda: holder_of(b) == "node-0")
        client = a.manager.clients[UUID]

        async def refresh() -> None:
            with pytest.raises(InvalidInfo, match="now that it is of type 'door'"):
                await client.refresh_info()

        tg.start_soon(refresh)
        await device.event()
        await device.send(device.side.tell_info(Info(uuid=UUID, type="door")))
        assert b"of type 'door'" in await device.read_to_the_end()
        # Who listens to one type is told of the end as well.
        assert await kinds(events, 2) == [ClientConnected, ClientDisconnected]


async def test_another_type_from_elsewhere_is_not_believed(environment):
    async with (
        nodes(environment, 1) as (a,),
        open_mqttclient(BROKER, environment=environment) as stranger,
    ):
        await tell(stranger, Came(STRANGER, (member(1),)))
        await until(lambda: a.manager.fleet)
        changed = Info(uuid=str(uuid.UUID(int=1)), type="door")
        other = Member(info=changed, dialect=Dialect.D0, address=("", 1), turn=7)
        await tell(stranger, Came(STRANGER, (other,)))
        await anyio.sleep(1)
        (client,) = a.manager.fleet.values()
        assert client.type == "light"


@pytest.mark.thorough
async def test_a_node_that_dies_with_many_devices_holds_up_nobody(
    environment, watched_loop
):
    """Neither those who listen, nor the loop if they do not."""
    count = 10_000
    portions = [
        tuple(member(number) for number in range(begin, min(begin + 32, count)))
        for begin in range(0, count, 32)
    ]
    listed = [
        Listed(STRANGER, portion, portion is portions[0], portion is portions[-1])
        for portion in portions
    ]
    gone = 0

    async def count_gone(events) -> None:
        nonlocal gone
        async for event in events:
            gone += isinstance(event, ClientDisconnected)

    async with (
        nodes(environment, 1) as (a,),
        open_mqttclient(BROKER, environment=environment) as stranger,
        a.manager.events(max_items=4096) as events,
        a.manager.events(max_items=4096),
        anyio.create_task_group() as tg,
    ):
        tg.start_soon(count_gone, events)
        for last in (
            Gone(STRANGER, "dead"),
            Listed(STRANGER, (), True, True),
        ):
            await tell(stranger, *listed)
            await until(lambda: len(a.manager.fleet) == count)
            async with watched_loop(0.05):
                await tell(stranger, last)
                await until(lambda: not a.manager.fleet)
        await until(lambda: gone == 2 * count)
        assert events.dropped == 0
        tg.cancel_scope.cancel()


async def test_what_others_could_not_be_told_is_listed(environment):
    """One that went and one that came, and neither was heard: the count is the same."""
    async with (
        open_broker(BROKER, environment=environment),
        node_of(environment, 0, outbox_items=10) as a,
        node_of(environment, 1) as b,
        own_device(environment, a) as device,
    ):
        await until(lambda: list(b.manager.fleet) == [UUID])
        # All that begins with a list has ended.
        await anyio.sleep(10)
        a.way.stall()
        with suppress(anyio.BrokenResourceError):
            for number in range(1, 8000):
                await device.send(device.side.write(b"x", number))
        await until(lambda: not a.manager.clients)
        await plain_device(environment, a, info(OTHER))
        await until(lambda: list(a.manager.clients) == [OTHER])
        a.way.flow()
        await until(lambda: list(b.manager.fleet) == [OTHER], within_s=10)


# ------------------------------------------------------- who is who


async def test_a_client_serves_one_manager_at_a_time(environment):
    async with (
        open_broker(BROKER, environment=environment),
        open_backplane(BROKER, node="one", environment=environment) as client,
    ):
        for _ in range(2):
            async with open_manager(backplane=client, environment=environment):
                with pytest.raises(UsageError, match="serves another manager"):
                    async with open_manager(
                        port=8596, backplane=client, environment=environment
                    ):
                        pass


async def test_of_two_nodes_of_one_name_the_newcomer_ends(environment, caplog):
    settings = {"protocol": "3.1.1", "reconnect_max_interval": 1}
    async with (
        open_broker(BROKER, environment=environment),
        node_of(environment, 0) as a,
    ):
        begun = anyio.current_time()
        with pytest.raises(ConfigError, match="a node named 'node-0', too"):
            async with (
                open_backplane(
                    BROKER, node="node-0", config=settings, environment=environment
                ) as client,
                open_manager(port=8596, backplane=client, environment=environment),
            ):
                await anyio.sleep(600)
        assert anyio.current_time() - begun < 60
        await anyio.sleep(10)
        assert a.client.is_connected
        await plain_device(environment, a)
    assert len(warnings_of(caplog, "a node named 'node-0', too")) <= 1


async def test_a_node_whose_session_is_taken_says_whose_it_was(environment):
    """MQTT 5.0 tells who is thrown out; it would throw out the other one."""
    settings = {"protocol": "5.0"}
    async with open_broker(BROKER, environment=environment):
        with pytest.raises(ConfigError, match="a node named 'node-0', too"):
            async with (
                node_of(environment, 0, **settings),
                open_backplane(
                    BROKER, node="node-0", config=settings, environment=environment
                ),
            ):
                await anyio.sleep(600)


async def test_so_it_says_if_the_client_hears_of_it_first(environment):
    def node():
        return open_backplane(BROKER, node="one", environment=environment)

    async with open_broker(BROKER, environment=environment):
        with pytest.raises(ConfigError, match="a node named 'one', too"):
            async with node(), node():
                await anyio.sleep(600)


async def nothing(client: ManagerClient) -> None:
    """Do nothing with a device."""


async def test_other_nodes_may_take_types_that_this_one_does_not(environment):
    async with (
        open_broker(BROKER, environment=environment),
        open_backplane(BROKER, environment=environment) as client,
        open_manager(["lamp"], backplane=client, environment=environment) as manager,
        manager.events("light"),
    ):
        report = await manager.send_type("light", "on")
        assert (report.delivered, report.failed) == ((), {})
        with pytest.raises(UsageError, match="no type 'light' is taken"):
            await manager.serve(nothing, "light")


def has_lost_broker(node: Node) -> bool:
    return not node.client.is_connected


async def test_a_node_that_is_started_again_is_no_rival(environment, caplog):
    async with open_broker(BROKER, environment=environment):
        for _ in range(5):
            async with node_of(environment, 0) as a:
                await anyio.sleep(1)
                # It dies: the next one hears its will.
                a.lose_broker()
                await until(partial(has_lost_broker, a))
        async with node_of(environment, 0) as a:
            for _ in range(5):
                a.lose_broker()
                await anyio.sleep(3)
                a.find_broker()
                await until(lambda: a.client.is_connected)
    assert not warnings_of(caplog, "too")


async def test_who_reads_nothing_but_warnings_learns_of_the_broker(environment, caplog):
    async with nodes(environment, 2) as (a, b):
        await plain_device(environment, a)
        await until(lambda: holder_of(b) == "node-0")
        a.lose_broker()
        await until(lambda: not b.manager.fleet)
        await anyio.sleep(5)
        assert len(warnings_of(caplog, "no MQTT broker: ")) == 1
        said = "gone with node-0, 1 device: its node has lost its connection"
        assert len(warnings_of(caplog, said)) == 1
        a.find_broker()
        await until(lambda: b.manager.fleet)
        caplog.clear()
    assert not warnings_of(caplog, "")
