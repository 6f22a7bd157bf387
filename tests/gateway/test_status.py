"""How a gateway says that it is: what runs in it, its links, budgets and queues."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest

from structiot import Environment
from structiot.dashboard.metrics import metrics_text
from structiot.errors import AuthRefused, LinkLost
from structiot.gateway import load_config, open_gateway, status_of
from structiot.gateway.drivers import with_driver
from structiot.gateway.status import (
    BudgetStatus,
    DriverStatus,
    GatewayStatus,
    LinkStatus,
    MailboxStatus,
    TaskStatus,
)
from structiot.testing import MemoryNetwork
from tests.gateway.scripted_driver import (
    ScriptedDriver,
    plug,
    scripted,
    serving,
    source_of,
    stay,
)

pytestmark = pytest.mark.virtual_time


def below(task: TaskStatus) -> dict[str, TaskStatus]:
    return {one.name: one for one in task.children}


def system(status: GatewayStatus, name: str = "toy") -> TaskStatus:
    return below(status.tasks[0])[name]


async def test_what_runs_is_nested():
    shared, alone = plug("A"), plug("B")

    @asynccontextmanager
    async def hub():
        yield "a hub"

    async def run(driver: ScriptedDriver) -> None:
        parent = driver.registry.share("hub", hub)
        driver.registry.add(source_of(shared, name="desk", parent=parent))
        driver.registry.add(source_of(alone, name="hall"))
        await stay(driver)

    async with serving(scripted(run)) as gateway:
        await anyio.sleep(5)
        status = status_of(gateway)
    (root,) = status.tasks
    assert (root.name, root.state, root.since_utc) == (
        "gateway",
        "running",
        status.started_utc,
    )
    assert [*below(root)] == ["broker connection", "toy"]
    broker = below(root)["broker connection"]
    assert [(one.name, one.state) for one in broker.children] == [
        ("publisher", "running"),
        ("announcer", "running"),
    ]
    toy = below(root)["toy"]
    assert (toy.state, toy.restarts) == ("running", 0)
    assert [*below(toy)] == ["hub", "hall"]
    assert [(one.name, one.state) for one in below(toy)["hub"].children] == [
        ("desk", "running")
    ]


async def test_what_fails_says_why_since_when_and_how_often():
    device = plug()

    async def run(driver: ScriptedDriver) -> None:
        driver.registry.add(source_of(device, name="desk"))
        await stay(driver)

    async with serving(scripted(run)) as gateway:
        await anyio.sleep(2)
        lost_at = gateway.environment.now_utc()
        device.open_error = LinkLost("no answer")
        device.end_events(LinkLost("it hung up"))
        await anyio.sleep(10)
        desk = below(system(status_of(gateway)))["desk"]
        assert (desk.state, desk.reason) == ("failing", "no answer")
        assert desk.restarts > 1
        assert desk.since_utc is not None
        assert abs((desk.since_utc - lost_at).total_seconds()) < 5
        device.open_error = None
        await anyio.sleep(60)
        desk = below(system(status_of(gateway)))["desk"]
        assert (desk.state, desk.reason) == ("running", "")


async def test_a_device_that_dials_in_is_absent_and_one_that_is_refused_parked():
    away, refused = plug("A"), plug("B")
    away.open_error = LinkLost("not there")
    refused.open_error = AuthRefused("wrong key")

    async def run(driver: ScriptedDriver) -> None:
        driver.registry.add(source_of(away, name="away", comes_by_itself=True))
        driver.registry.add(source_of(refused, name="refused"))
        await stay(driver)

    async with serving(scripted(run)) as gateway:
        await anyio.sleep(2)
        toy = below(system(status_of(gateway)))
    # What was never opened has no place in topics yet, and is told of all the same.
    assert {name: one.state for name, one in toy.items()} == {
        "away": "absent",
        "refused": "parked",
    }
    assert toy["refused"].reason == "wrong key"


async def test_a_driver_that_is_started_again_is_counted():
    async def run(driver: ScriptedDriver) -> None:
        raise LinkLost("nothing there")

    async with serving(scripted(run)) as gateway:
        await anyio.sleep(20)
        toy = system(status_of(gateway))
    assert (toy.state, toy.reason) == ("failing", "nothing there")
    assert toy.restarts >= 2


async def test_a_shared_connection_that_is_lost_is_a_link_that_is_down():
    @asynccontextmanager
    async def hub():
        raise LinkLost("no route to it")
        yield  # type: ignore[unreachable]

    async def run(driver: ScriptedDriver) -> None:
        driver.registry.share("hub", hub)
        await stay(driver)

    async with serving(scripted(run)) as gateway:
        await anyio.sleep(20)
        status = status_of(gateway)
    assert LinkStatus(name="hub", is_up=False, reason="no route to it") in status.links
    hub_task = below(system(status))["hub"]
    assert (hub_task.state, hub_task.reason) == ("failing", "no route to it")
    assert hub_task.restarts >= 2


async def test_the_broker_is_named_without_its_credentials():
    uri = "wss://me:hunter2@broker.test:9001/mqtt?token=hunter3"
    config = load_config({"mqtt": {"uri": uri}})
    async with open_gateway(
        config, environment=Environment(network=MemoryNetwork())
    ) as gateway:
        await anyio.sleep(1)
        status = status_of(gateway)
    (link,) = status.links
    assert (link.name, link.is_up) == ("broker wss://broker.test:9001", False)
    assert link.reason
    assert "hunter" not in str(status)
    broker = below(status.tasks[0])["broker connection"]
    assert (broker.state, broker.reason) == ("failing", link.reason)
    assert [one.state for one in broker.children] == ["absent", "absent"]


async def test_what_the_client_may_hold_and_what_waits_is_told():
    async with serving(scripted(stay)) as gateway:
        await anyio.sleep(1)
        async with gateway.events(), gateway.events():
            status = status_of(gateway)
    (memory,) = status.budgets
    assert (memory.name, memory.unit) == ("memory of the broker connection", "bytes")
    assert 0 < memory.left <= memory.most == 64 * 1024 * 1024
    assert [(one.name, one.most) for one in status.mailboxes] == [
        ("outbox of what is told once", 1000),
        ("gateway events", 4096),
    ]


async def test_links_from_device_to_device_are_told_of():
    lamp, button = plug("A"), plug("B")

    async def run(driver: ScriptedDriver) -> None:
        driver.registry.add(source_of(lamp, name="lamp"))
        driver.registry.add(source_of(button, name="button"))
        await stay(driver)

    made = scripted(run)
    links = [
        {"from": "button/relay", "to": "lamp/relay"},
        {"from": "nobody/relay", "to": "lamp/relay"},
    ]
    with with_driver(made.system, made):
        config = load_config({"toy": {}, "links": links})
        async with open_gateway(
            config, environment=Environment(network=MemoryNetwork())
        ) as gateway:
            await anyio.sleep(60)
            linked = below(status_of(gateway).tasks[0])["links"]
    states = {one.name: (one.state, bool(one.reason)) for one in linked.children}
    assert list(states.values()) == [("running", False), ("failing", True)]


async def test_links_with_equal_ends_are_told_apart_in_words_and_in_figures(caplog):
    links = [
        {"from": "a/relay", "to": "b/relay", "on": on, "set": "ON"}
        for on in ("ON", "OFF")
    ]
    made = scripted(stay)
    with with_driver(made.system, made):
        config = load_config({"toy": {}, "links": links})
        async with open_gateway(
            config, environment=Environment(network=MemoryNetwork())
        ) as gateway:
            await anyio.sleep(60)
            names = [one.name for one in status_of(gateway).links[1:]]
            text = await metrics_text(gateway)
    assert names == ["a/relay -> b/relay", "a/relay -> b/relay (2)"]
    up = [line for line in text.splitlines() if line.startswith("structiot_link_up{")]
    assert [line.rpartition(" ")[2] for line in up] == ["1.0", "0.0", "0.0"]
    assert "link a/relay -> b/relay (2): " in caplog.text


async def test_a_device_that_floods_is_short_of_its_budget():
    device = plug()

    async def run(driver: ScriptedDriver) -> None:
        driver.registry.add(source_of(device, name="desk"))
        await stay(driver)

    async with serving(scripted(run)) as gateway:
        await anyio.sleep(2)
        for number in range(600):
            device.tell_state("relay", bool(number % 2))
            await anyio.lowlevel.checkpoint()
        await anyio.sleep(1)
        budgets = {one.name: one for one in status_of(gateway).budgets}
        assert budgets["events of desk"].left < 250
        assert budgets["events of desk"].most == 500
        await anyio.sleep(60)
        assert "events of desk" not in {one.name for one in status_of(gateway).budgets}


TOLD = DriverStatus(
    links=(LinkStatus(name="sky", is_up=True),),
    budgets=(BudgetStatus(name="words", left=3, most=5, unit="words"),),
    mailboxes=(MailboxStatus(name="letters", waiting=1, most=9, dropped=0),),
)


class Telling(ScriptedDriver):
    """A driver that has more to tell."""

    def status(self) -> DriverStatus:
        return TOLD


class Lying(ScriptedDriver):
    """A driver that cannot say it."""

    def status(self) -> object:
        raise RuntimeError("oh dear")


class Nonsense(ScriptedDriver):
    """A driver that says something else."""

    def status(self) -> object:
        return DriverStatus(links=("sky",))  # type: ignore[arg-type]


def told_by(base: type[ScriptedDriver]) -> type[ScriptedDriver]:
    members = {"does": staticmethod(stay), "starts": []}
    return type("Made", (base,), members)


async def test_a_driver_may_tell_of_more():
    async with serving(told_by(Telling)) as gateway:
        await anyio.sleep(1)
        status = status_of(gateway)
    assert TOLD.links[0] in status.links
    assert TOLD.budgets[0] in status.budgets
    assert TOLD.mailboxes[0] in status.mailboxes


@pytest.mark.parametrize("base", [Lying, Nonsense])
async def test_a_driver_that_cannot_tell_costs_its_own_word_alone(base, caplog):
    async with serving(told_by(base)) as gateway:
        await anyio.sleep(1)
        status = [status_of(gateway) for _ in range(3)][-1]
    assert [one.name.partition(" ")[0] for one in status.links] == ["broker"]
    said = [one for one in caplog.messages if "cannot say how it is" in one]
    assert len(said) <= 1


async def test_a_gateway_without_systems_has_its_broker_connection():
    driver = scripted(stay)
    async with open_gateway(
        load_config({}), environment=Environment(network=MemoryNetwork())
    ) as gateway:
        await anyio.sleep(1)
        status = status_of(gateway)
    assert [*below(status.tasks[0])] == ["broker connection"]
    assert status.store is None
    with with_driver(driver.system, driver):
        assert status.started_utc <= gateway.environment.now_utc()
