"""Two gateways on one broker that serve one device after another, or at a time.

And brokers and lines that do not keep what they were told.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from structiot import Environment
from structiot.gateway import Gateway, load_config, open_gateway
from structiot.gateway.drivers import with_driver
from structiot.mqtt import Message
from structiot.mqtt.wire.messages import Pingreq, Pingresp
from tests._support.fake_broker import FakeConnection, fake_broker
from tests.gateway.houses import URI, House, house
from tests.gateway.shelf import Shelf, toy
from tests.gateway.test_strangers import announcement, retain

pytestmark = pytest.mark.virtual_time

CONFIG = "homeassistant/device/structiot_toy_P1/config"
MIGRATE = '{"migrate_discovery": true}'


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "a.json"


def sections(base: str, *names: str, **mqtt: Any) -> dict[str, Any]:
    return {
        "mqtt": {"uri": URI, "base_topic": base} | mqtt,
        "gateway": {"id": base},
        "toy": toy(*names),
    }


@asynccontextmanager
async def gateway_with(
    home: House, base: str, *names: str, state_file: Path | None = None, **mqtt: Any
) -> AsyncIterator[Gateway]:
    async with AsyncExitStack() as stack:
        with with_driver("toy", Shelf().driver):
            config = load_config(sections(base, *names, **mqtt))
            opened = open_gateway(
                config, state_file=state_file, environment=home.environment
            )
            gateway = await stack.enter_async_context(opened)
        await anyio.sleep(10)
        yield gateway


async def test_a_device_that_moves_to_another_gateway_is_announced_there():
    async with house() as home:
        async with gateway_with(home, "a", "P1", "P2") as first:
            async with gateway_with(home, "b", "P1") as second:
                assert home.announced[CONFIG] == "a/p1"
                with with_driver("toy", Shelf().driver):
                    await first.reload(load_config(sections("a", "P2")))
                await anyio.sleep(10)
                assert home.announced[CONFIG] == "b/p1"
                assert second.devices["p1"].is_available
        assert home.doubled == []


async def test_an_announcement_that_only_changes_its_place_is_left_to_its_gateway():
    async with house() as home, gateway_with(home, "b", "P2"):
        await retain(home.client, "a/gateway/availability", b"online")
        await retain(home.client, CONFIG, announcement("p1", "P1", base="a"))
        async with gateway_with(home, "c", "P1"):
            await retain(home.client, CONFIG, MIGRATE.encode())
            await retain(home.client, CONFIG, b"")
            part = "homeassistant/switch/structiot_toy_P1/relay/config"
            one = announcement("p1", "P1", base="a")
            await retain(home.client, part, one)
            await anyio.sleep(30)
            assert CONFIG not in home.retained
            await retain(home.client, part, b"")
            await anyio.sleep(30)
            assert home.announced[CONFIG] == "c/p1"


async def test_a_restart_leaves_alone_what_another_gateway_has_announced(kept):
    async with house() as home:
        async with gateway_with(home, "a", "P1", "P2", state_file=kept) as first:
            with with_driver("toy", Shelf().driver):
                await first.reload(load_config(sections("a", "P2")))
            await anyio.sleep(10)
            assert CONFIG not in home.retained
        async with gateway_with(home, "b", "P1"):
            assert home.announced[CONFIG] == "b/p1"
            async with gateway_with(home, "a", "P2", state_file=kept):
                assert home.announced[CONFIG] == "b/p1"
        # The same while that one is offline.
        async with gateway_with(home, "a", "P2", state_file=kept):
            assert home.announced[CONFIG] == "b/p1"


@pytest.mark.parametrize("is_up", [True, False])
@pytest.mark.parametrize(
    "other", [{}, {"discovery": False}, {"discovery_prefix": "ha"}], ids=str
)
async def test_one_that_comes_back_otherwise_leaves_it_alone_too(kept, other, is_up):
    async with house() as home:
        async with gateway_with(home, "a", "P1", state_file=kept):
            assert home.announced[CONFIG] == "a/p1"
        async with gateway_with(home, "b", "P1"):
            assert home.announced[CONFIG] == "b/p1"
            if is_up:
                async with gateway_with(home, "a", "P2", state_file=kept, **other):
                    assert home.announced[CONFIG] == "b/p1"
        if not is_up:
            async with gateway_with(home, "a", "P2", state_file=kept, **other):
                assert home.announced[CONFIG] == "b/p1"


async def test_one_that_was_cut_off_does_not_announce_over_the_one_that_took_over():
    async with house() as home, gateway_with(home, "a", "P1") as first:
        await retain(home.client, "b/gateway/availability", b"online")
        await retain(home.client, CONFIG, announcement("p1", "P1", base="b"))
        await home.break_down()
        await anyio.sleep(30)
        assert first.is_connected
        await anyio.sleep(30)
        assert home.announced[CONFIG] == "b/p1"


async def test_a_broker_that_forgot_that_something_was_cleared_is_told_again(kept):
    left = {
        CONFIG: announcement("p1", "P1"),
        "structiot/p1/availability": b"online",
        "structiot/p1/relay/state": b"ON",
    }
    async with house() as home:
        async with gateway_with(home, "structiot", "P1", "P2", state_file=kept) as one:
            with with_driver("toy", Shelf().driver):
                await one.reload(load_config(sections("structiot", "P2")))
            await anyio.sleep(10)
            assert not left.keys() & home.retained.keys()
            for _ in range(2):
                for topic, payload in left.items():
                    await retain(home.client, topic, payload)
                await home.break_down()
                await anyio.sleep(60)
                assert not left.keys() & home.retained.keys()


async def test_two_announcements_of_old_whose_names_were_swapped_are_both_replaced():
    old = {name: f"homeassistant/device/structiot_home_{name}/config" for name in "ab"}
    async with house() as home:
        await retain(home.client, old["a"], announcement("p1", "P2"))
        await retain(home.client, old["b"], announcement("p2", "P1"))
        for _ in range(2):
            async with gateway_with(home, "structiot", "P1", "P2"):
                assert not set(old.values()) & home.retained.keys()
                assert home.announced[CONFIG] == "structiot/p1"
        assert all(home.of(topic)[-2:] == [MIGRATE, ""] for topic in old.values())


async def test_what_comes_late_has_been_waited_for():
    """The line stalls between the SUBACK and what is retained."""
    retained = {
        "other/gateway/availability": b"online",
        CONFIG: announcement("p1", "P1", base="other"),
    }
    async with fake_broker() as broker:

        def nothing(_connection: FakeConnection, _packet: Pingreq) -> list[Pingresp]:
            return []

        broker.answer(Pingreq, nothing)
        environment = Environment(network=broker.network)
        async with AsyncExitStack() as stack:
            stack.enter_context(with_driver("toy", Shelf().driver))
            config = load_config(sections("a", "P1", uri=broker.uri))
            await stack.enter_async_context(
                open_gateway(config, environment=environment)
            )
            for payload_of in (CONFIG, "other/gateway/availability"):
                await anyio.sleep(3)
                message = Message(payload_of, retained[payload_of], retain=True)
                await broker.connection.send(message)
                for _ in range(2):
                    await broker.connection.send(Pingresp())
                    await anyio.sleep(1)
            await anyio.sleep(30)
            topics = [one.topic for one in broker.connection.of(Message)]
            assert "a/p1/availability" in topics
            assert CONFIG not in topics
