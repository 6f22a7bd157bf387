"""Devices of topics of others over reloads, refusals and cancellations, and many of them."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from structiot.gateway import TopicRefused, load_config
from structiot.mqtt.broker import Permission
from structiot.mqtt.broker.permissions import Permissions
from structiot.testing import cancel_sweep
from tests.gateway.link_house import linked, plug, until
from tests.gateway.memory_house import House, followed, of_kind
from tests.gateway.scripted_driver import of_gateway

pytestmark = pytest.mark.virtual_time


def meter(name: str, **more: Any) -> dict[str, Any]:
    link = {"from": f"mqtt:their/{name}", "to": f"{name}/power", "kind": "sensor"}
    return {**link, "unit": "W", **more}


async def test_a_reload_touches_only_the_devices_that_differ():
    async with linked(links=[meter("one"), meter("two")]) as house:
        await house.say("their/one", "1", retain=True)
        await house.say("their/two", "2", retain=True)
        one = house.gateway.devices["one"]
        since = one.availability.at_utc
        async with followed(house.gateway) as events:
            await house.reload([meter("one"), meter("three"), meter("two", unit="kW")])
            told = {e.device for e in of_kind(events, object) if hasattr(e, "device")}
            assert told >= {"two", "three"}
        assert house.gateway.devices["one"] is one
        assert one.availability.at_utc == since
        await house.say("their/one", "11")
        assert house.state("one", "power") == 11.0
        assert house.state("two", "power") == 2.0
        await house.say("their/three", "3")
        assert house.state("three", "power") == 3.0
        await house.reload([meter("one")])
        assert set(house.gateway.devices) == {"one"}
        assert house.on("structiot/two/power/state")[-1] == ""
        await house.reload([])
        assert set(house.gateway.devices) == set()
        assert "mqtt" not in house.gateway.drivers
        await house.reload([meter("one")])
        assert house.state("one", "power") == 1.0


async def test_a_topic_that_is_refused_is_said_once_and_costs_itself(caplog):
    house = House()
    sent = ("structiot/#", "homeassistant/#")
    ours = Permission(
        publish=sent, subscribe=("structiot/#", "homeassistant/#", "their/two")
    )
    links = [
        meter("one"),
        meter("two"),
        {"from": "two/power", "to": "mqtt:forbidden/power"},
    ]
    async with (
        house.broker(permissions=[ours]) as broker,
        house.gateway(links=links) as gateway,
        followed(gateway) as events,
    ):
        await anyio.sleep(2)
        broker.publish("their/two", "2", retain=True)
        await until(lambda: gateway.devices["two"].states.get("power") == 2.0)
        assert [one.topic for one in of_kind(events, TopicRefused)] == ["their/one"]
        await anyio.sleep(300)
        assert "not authorized" in gateway.link_status[0].reason
        said = of_gateway(caplog)
        assert len([one for one in said if "their/one" in one]) == 1
        assert len([one for one in said if one.startswith("link ")]) == 1
        # Mended at the broker: at the next occasion both are well.
        broker.core.permissions = Permissions(())
        await gateway.reload(load_config(gateway_config(links)))
        broker.publish("their/one", "1", retain=True)
        broker.publish("their/two", "3", retain=True)
        await until(lambda: gateway.devices["one"].states.get("power") == 1.0)
        await until(lambda: not gateway.link_status[0].reason)


def gateway_config(links: list[dict[str, Any]]) -> dict[str, Any]:
    return {"mqtt": {"uri": "mqtt://127.0.0.1/"}, "links": links}


async def test_hundreds_of_links_hold_nobody_up(watched_loop):
    links = [meter(f"m{number}") for number in range(100)]
    links += [
        {"from": f"m{number}/power", "to": f"mqtt:out/{number}"}
        for number in range(100)
    ]
    async with watched_loop(0.05), linked(links=links) as house:
        for number in range(100):
            await house.client.publish(f"their/m{number}", str(number), 0)
        await until(lambda: all(house.on(f"out/{number}") for number in range(100)))
        await anyio.sleep(40)
        assert not any(house.reasons)


async def flow() -> None:
    """A topic becomes a device that a plug follows, and goes out to another one."""
    lamp = plug("plug", level=0.0)
    links = [
        meter("one"),
        {"from": "one/power", "to": "plug/level"},
        {"from": "plug/level", "to": "mqtt:out/level"},
    ]
    async with linked(lamp, links=links) as house:
        await house.say("their/one", "7")
        await until(lambda: house.on("out/level")[-1:] == ["7.0"])
        await house.reload(links[:1])


async def test_it_may_be_cancelled_at_any_step():
    assert await cancel_sweep(flow, finish_within_s=10.0) > 5
