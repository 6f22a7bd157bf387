"""Several nodes that are one manager: what is too much, and what is for somebody else."""

from __future__ import annotations

import json
from contextlib import suppress

import anyio
import pytest

from structiot import Environment
from structiot.errors import Overflowed
from structiot.manager.errors import FateUnknown
from structiot.manager.events import ClientDisconnected
from structiot.manager.manager import SendReport
from structiot.manager.wire.envelopes import (
    Listed,
    Outcome,
    Report,
    Send,
    decode,
    encode,
)
from structiot.manager.wire.events import Acknowledged, Data, Left
from structiot.mqtt import MqttClient, open_broker, open_mqttclient
from structiot.testing import MemoryNetwork
from tests.link.manager.devices import UUID
from tests.link.manager.nodes import (
    BROKER,
    PRESENCE,
    STRANGER,
    Node,
    elsewhere,
    holder_of,
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


async def test_a_device_gets_no_more_from_all_nodes_than_it_remembers(environment):
    async with nodes(environment, 3) as (a, b, c), anyio.create_task_group() as tg:
        reports: list[SendReport] = []

        async def send(node: Node) -> None:
            reports.append(await node.manager.send(UUID, "much"))

        async with own_device(environment, a) as device:
            await until(lambda: holder_of(b) == holder_of(c) == "node-0")
            for node in [b] * 20 + [c] * 20:
                tg.start_soon(send, node)
            first = [await device.message() for _ in range(32)]
            await until(lambda: len(reports) == 8)
            errors = [report.failed[UUID] for report in reports]
            assert {type(error) for error in errors} == {Overflowed}
            for message in first:
                await device.send(device.side.acknowledge(message.message_id))
            await until(lambda: len(reports) == 40)
            assert sum(bool(report) for report in reports) == 32


async def test_our_own_dialect_keeps_what_is_too_much_for_the_broker(environment):
    async with (
        open_broker(BROKER, environment=environment),
        node_of(environment, 0, outbox_items=10) as a,
        own_device(environment, a) as device,
    ):
        a.lose_broker()
        await until(lambda: not a.client.is_connected)
        acknowledged, end = 0, None
        with suppress(anyio.BrokenResourceError):
            for number in range(1, 5000):
                await device.send(device.side.write(b"x", number))
        with anyio.fail_after(60):
            while not isinstance(end, Left):
                end = await device.event()
                acknowledged += isinstance(end, Acknowledged)
        assert end == Left("more waits for the other nodes than may")
        assert not acknowledged
        a.find_broker()


async def test_what_a_former_process_was_to_do_is_not_done(environment):
    async with nodes(environment, 2) as (a, b):
        device = await plain_device(environment, a)
        await until(lambda: holder_of(b) == "node-0")
        former = "node-0.0123456789abcdef"
        order = encode(Send(STRANGER, former, UUID, 7, is_own=False, data=b"old"))
        await b.client.publish("structiot/manager/fleet/node/node-0", order, 1)
        await anyio.sleep(1)
        assert await b.manager.send(UUID, "new")
        await device.read(b"new")


async def test_nobody_waits_longer_than_for_a_report(environment):
    """A device that acknowledges nothing costs the sender its patience and no more."""
    async with nodes(environment, 2) as (a, b), own_device(environment, a) as device:
        await until(lambda: holder_of(b) == "node-0")
        report = await b.manager.send_all("unheard")
        assert isinstance(report.failed[UUID], FateUnknown)
        message = await device.event()
        assert isinstance(message, Data)
        await device.send(device.side.acknowledge(message.message_id))
        await anyio.sleep(1)
        assert not b.manager.exchanges.waiting_for(UUID).messages


def delivering() -> int:
    names = [task.name or "" for task in anyio.get_running_tasks()]
    return len([name for name in names if "_deliver" in name])


async def test_what_comes_twice_in_our_own_dialect_is_under_way_once(environment):
    root = "structiot/manager/fleet/node"
    async with (
        nodes(environment, 2) as (a, b),
        own_device(environment, a) as device,
        b.client.subscription(f"{root}/node-9", 1) as reports,
    ):
        await until(lambda: holder_of(b) == "node-0")
        (node,) = b.manager.nodes
        order = encode(Send(STRANGER, node, UUID, 7, is_own=True, data=b"once"))
        for _ in range(2):
            await b.client.publish(f"{root}/node-0", order, 1)
        assert (await device.message()).message_id == 7
        await anyio.sleep(1)
        assert delivering() == 1
        await device.send(device.side.acknowledge(7))
        with anyio.fail_after(60):
            report = decode((await anext(aiter(reports))).payload)
        assert report == Report(node, STRANGER, UUID, 7, Outcome.DELIVERED)
        # What is not acknowledged ends with the connection.
        await b.client.publish(f"{root}/node-0", order, 1)
        assert (await device.message()).message_id == 7
        assert delivering() == 1
        await device.stream.aclose()
        await until(lambda: not b.manager.fleet)
        with anyio.fail_after(60):
            report = decode((await anext(aiter(reports))).payload)
        assert isinstance(report, Report)
        assert report.outcome is Outcome.UNKNOWN
        assert delivering() == 0
        assert not len(reports)


async def test_what_is_on_no_list_of_its_node_is_gone(environment):
    async with nodes(environment, 1) as (a,), a.manager.events() as events:
        for told in (elsewhere(), encode(Listed(STRANGER, (), True, True))):
            await a.client.publish(PRESENCE, told, 1)
        with anyio.fail_after(10):
            await anext(events)
            gone = await anext(events)
        assert isinstance(gone, ClientDisconnected)
        assert gone.reason == "its node does not have it any more"
        assert a.manager.nodes == (STRANGER,)


async def test_the_broker_needs_3_1_1_and_qos_1_and_nothing_that_is_retained(
    environment,
):
    seen = []

    async def watch(observer: MqttClient) -> None:
        async with observer.subscription("#", 2, "noop") as messages:
            async for message in messages:
                seen.append(message)  # noqa: PERF401 - one by one, as they come

    async with (
        nodes(environment, 2) as (a, b),
        open_mqttclient(BROKER, environment=environment) as observer,
        anyio.create_task_group() as tg,
    ):
        tg.start_soon(watch, observer)
        assert {node.client.config.protocol for node in (a, b)} == {"3.1.1"}
        for node in (a, b):
            will = node.client.config.will
            assert will is not None
            assert (will.qos, will.retain) == (1, False)
        device = await plain_device(environment, a)
        await until(lambda: UUID in b.manager.fleet)
        await device.send(b"hello server")
        assert await b.manager.send(UUID, "hello client")
        await device.read(b"hello client")
        await anyio.sleep(60)
        kinds = {json.loads(one.payload.partition(b"\n")[0])["kind"] for one in seen}
        assert {"here", "came", "message", "send", "report"} <= kinds
        assert {one.qos for one in seen} == {1}
        async with observer.subscription("structiot/#", 1, "noop") as retained:
            with anyio.move_on_after(1):
                assert not (await anext(aiter(retained))).retain
        tg.cancel_scope.cancel()
