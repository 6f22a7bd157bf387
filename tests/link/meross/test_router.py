"""A device is reached by the ways that the policy allows, and nothing is done twice."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from structiot._kit.net.memory import MemoryNetwork
from structiot.errors import ConnectFailed, LinkLost, ReplyTimeout
from structiot.meross.account_state import open_account_state
from structiot.meross.budget import Budget
from structiot.meross.errors import CallDropped, MerossRefused
from structiot.meross.link.brokers import BrokerPlace, open_brokers
from structiot.meross.link.lan import LanLink
from structiot.meross.link.route import Route
from structiot.meross.link.router import Router
from structiot.meross.rate_limiter import RateLimitChecker
from structiot.meross.stats import Stats
from structiot.meross.wire.envelope import Method
from structiot.mqtt.broker import open_broker
from structiot.testing import cancel_sweep
from tests.link.meross.scripted import (
    HOST,
    KEY,
    RUNTIME,
    TOGGLE,
    UUID,
    ScriptedDevice,
    environment_of,
)

pytestmark = pytest.mark.virtual_time

PLACE = BrokerPlace("127.0.0.1", 1883)
URI = "mqtt://127.0.0.1:1883"
SET = (Method.SET, TOGGLE, {"togglex": {"onoff": 1}})


@dataclass
class House:
    """One device, once in the local network and once on a broker."""

    at_lan: ScriptedDevice
    at_broker: ScriptedDevice
    router: Router
    route: Route
    budget: Budget
    stats: Stats
    network: MemoryNetwork
    lost: list[str]

    async def get(self, **options: Any) -> str | None:
        await self.router.request(self.route, Method.GET, RUNTIME, **options)
        return self.route.last_transport


@asynccontextmanager
async def house(
    *,
    is_on_lan: bool = True,
    has_cloud: bool = True,
    limiter: RateLimitChecker | None = None,
    **options: Any,
) -> AsyncGenerator[House]:
    network, stats = MemoryNetwork("10.0.0.1"), Stats()
    network_of_broker = MemoryNetwork()
    environment = environment_of(network)
    at_broker_environment = environment_of(network_of_broker)
    devices = [
        ScriptedDevice(answers={RUNTIME: {"runtime": {}}, TOGGLE: {}}) for _ in "12"
    ]
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        await enter(open_broker(URI, environment=at_broker_environment))
        await enter(devices[1].on_broker(URI, at_broker_environment))
        if is_on_lan:
            await enter(devices[0].on_lan(network))
        brokers = await enter(
            open_brokers(
                "123456",
                KEY,
                "0" * 32,
                on_push=lambda _: None,
                on_connected=lambda _: None,
                on_lost=lambda *_: None,
                is_tls=False,
                environment=at_broker_environment,
            )
        )
        state = await enter(open_account_state(None, environment=environment))
        budget = Budget(state, limiter, stats, environment)
        lost: list[str] = []
        yield House(
            devices[0],
            devices[1],
            Router(
                stats,
                brokers=brokers,
                budget=budget,
                on_lan_failed=lost.append,
                environment=environment,
            ),
            Route(
                UUID,
                broker=PLACE if has_cloud else None,
                lan=LanLink(HOST, key=KEY, uuid=UUID, environment=environment),
                environment=environment,
                **options,
            ),
            budget,
            stats,
            network,
            lost,
        )


async def test_the_local_network_is_first_and_costs_nothing():
    async with house() as home:
        assert await home.get() == "lan"
        await home.router.request(home.route, *SET)
        assert home.at_broker.requests == []
        assert home.budget.of(UUID).used == 0
        assert home.stats().performed.by_transport == {"lan": 2}


async def test_the_policy_of_the_call_the_route_and_the_router_says_which_way():
    async with house() as home:
        home.router.policy = "cloud_only"
        assert await home.get() == "cloud"
        home.route.policy = "lan_only"
        assert await home.get() == "lan"
        assert await home.get(policy="cloud_only") == "cloud"
        assert home.budget.of(UUID).used == 2


async def test_without_any_way_it_is_said():
    async with house(has_cloud=False) as home:
        home.route.lan = None
        with pytest.raises(ConnectFailed, match="no way"):
            await home.get()
        with pytest.raises(ConnectFailed, match="no way"):
            await home.get(policy="lan_only")


async def test_a_dead_address_is_left_alone_for_a_while_and_tried_again_later():
    async with house(is_on_lan=False) as home:
        stats = home.stats
        assert [await home.get() for _ in range(6)] == ["cloud"] * 6
        assert stats().performed.by_transport == {"lan": 2, "cloud": 6}
        assert isinstance(home.route.health.error, ConnectFailed)
        await anyio.sleep(29.9 * 0.75 - anyio.current_time())
        await home.get()
        assert stats().performed.by_transport["lan"] == 2
        await anyio.sleep(31)
        await home.get()
        assert stats().performed.by_transport["lan"] == 1 + 2
        async with home.at_lan.on_lan(home.network):
            await anyio.sleep(61)
            assert [await home.get() for _ in range(3)] == ["lan"] * 3
        assert home.route.health.error is None


async def test_it_is_told_once_that_a_device_is_not_where_it_was():
    async with house(is_on_lan=False) as home:
        for _ in range(40):
            await home.get()
            await anyio.sleep(30)
        assert home.lost == [UUID]
        async with home.at_lan.on_lan(home.network):
            await anyio.sleep(600)
            assert await home.get() == "lan"
        assert await home.get() == "cloud"
        assert home.lost == [UUID] * 2


async def test_a_new_address_begins_without_failures():
    async with house(is_on_lan=False) as home:
        for _ in range(3):
            await home.get()
        lan = home.route.lan
        async with home.at_lan.on_lan(home.network):
            assert await home.get() == "cloud"
            home.route.lan = lan
            assert await home.get() == "lan"


async def test_the_local_network_alone_is_always_tried():
    async with house(is_on_lan=False) as home:
        for _ in range(5):
            with pytest.raises(ConnectFailed):
                await home.get(policy="lan_only")
        async with home.at_lan.on_lan(home.network):
            assert await home.get(policy="lan_only") == "lan"


@pytest.mark.parametrize("is_repeatable", [True, False])
async def test_what_may_be_done_already_is_repeated_only_if_it_does_no_harm(
    is_repeatable,
):
    async with house() as home:
        home.at_lan.delay_s = 60.0
        if is_repeatable:
            await home.router.request(home.route, *SET)
        else:
            with pytest.raises(ReplyTimeout):
                await home.router.request(home.route, *SET, is_repeatable=False)
        assert home.at_broker.asked == ["ToggleX"] * is_repeatable
        assert home.stats().timed_out.by_transport == {"lan": 1}


async def test_what_cannot_be_done_already_goes_through_the_cloud():
    async with house(is_on_lan=False) as home:
        await home.router.request(home.route, *SET, is_repeatable=False)
        assert home.at_broker.asked == ["ToggleX"]


async def test_what_the_device_refuses_is_not_asked_by_another_way():
    async with house() as home:
        with pytest.raises(MerossRefused):
            await home.router.request(home.route, Method.GET, "Appliance.Unknown")
        assert home.at_broker.requests == []
        assert home.route.health.failures == 0


async def test_another_device_at_the_address_is_passed_by():
    async with house() as home:
        home.at_lan.uuid = "f" * 32
        assert await home.get() == "cloud"
        assert home.at_lan.asked == ["Ability"]


async def test_the_error_tells_of_both_ways():
    async with house(is_on_lan=False) as home:
        home.at_broker.garble = lambda _: None
        with pytest.raises(ReplyTimeout) as caught:
            await home.get()
        assert "in the local network: cannot connect" in caught.value.__notes__[0]
        assert home.stats().timed_out.by_transport == {"cloud": 1}


async def test_the_cloud_is_asked_within_the_budget_only():
    limiter = RateLimitChecker(device_messages_per_minute=3)
    async with house(limiter=limiter) as home:
        for _ in range(3):
            await home.get(policy="cloud_only", is_command=True)
        with pytest.raises(CallDropped):
            await home.get(policy="cloud_only", is_command=True)
        assert await home.get() == "lan"
        assert len(home.at_broker.requests) == 3
        assert home.stats().dropped.by_transport == {"cloud": 1}


async def test_no_message_is_spent_while_there_is_no_connection():
    async with house() as home:
        home.route.broker = BrokerPlace("127.0.0.1", 1999)
        with pytest.raises(ConnectFailed):
            await home.get(policy="cloud_only")
        assert home.budget.of(UUID).used == 0


async def test_a_clock_that_differs_costs_one_more_message_once():
    async with house() as home:
        home.at_broker.clock_s = -7_200
        for _ in range(3):
            await home.get(policy="cloud_only")
        assert home.budget.of(UUID).used == 4


async def test_a_device_that_hangs_up_is_asked_through_the_cloud():
    async with house() as home:
        home.at_lan.garble = lambda _: None
        assert await home.get() == "cloud"
        with pytest.raises(LinkLost):
            await home.get(policy="lan_only")


async def test_nothing_is_left_wherever_a_request_is_cancelled():
    async with house() as home:
        home.at_lan.garble = lambda _: None
        # The connection to the broker stays.
        await home.get()

        async def flow() -> None:
            home.route.lan = home.route.lan
            await home.get()
            assert home.route.last_transport == "cloud"

        assert await cancel_sweep(flow) > 5
        home.at_lan.garble = None
        home.route.lan = home.route.lan
        assert await home.get() == "lan"
