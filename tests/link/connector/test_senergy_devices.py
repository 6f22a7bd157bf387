"""SENERGY: the hub and the devices, made once, compared, and kept in step."""

from __future__ import annotations

import anyio
import pytest

from structiot.connector import Device, DevicePool
from structiot.sim import SenergyRules
from tests.link.connector.senergy_house import (
    changes_of,
    config_file,
    connector_of,
    lamp,
    pool,
    senergy,
    until_ready_again,
)
from tests.sim.connector.raw_senergy import logged_in

pytestmark = pytest.mark.virtual_time

BOTH_HASH = "65761e24934f1b6053f7c76492e3ae03cbdf6b88"


def only_hub(platform):
    (hub,) = platform.hubs.values()
    return hub


async def test_devices_and_hub_are_made_once_and_then_only_compared(tmp_path):
    async with senergy() as platform:
        path = config_file(tmp_path, platform)
        async with connector_of(platform, config=path):
            assert sorted(changes_of(platform)) == [
                "POST /hubs",
                "POST /local-devices",
                "POST /local-devices",
                f"PUT /hubs/{only_hub(platform).id.replace(':', '%3A')}",
            ]
            assert platform.online == {"dev1", "dev2"}
            assert platform.broker.clients == [only_hub(platform).id]
        hub = only_hub(platform)
        assert (hub.name, hub.hash) == ("structiot", BOTH_HASH)
        assert hub.device_local_ids == ["dev1", "dev2"]
        assert platform.devices["dev1"].attributes == [
            {"key": "room", "value": "kitchen", "origin": "structiot"}
        ]
        assert f"gid = {hub.id}" in path.read_text("utf-8")
        assert platform.online == set()
        async with connector_of(platform, config=path):
            assert changes_of(platform) == []
            assert platform.online == {"dev1", "dev2"}


async def test_what_has_changed_meanwhile_is_changed_and_nothing_else(tmp_path):
    async with senergy() as platform:
        path = config_file(tmp_path, platform)
        async with connector_of(platform, config=path):
            pass
        foreign = {"key": "nickname", "value": "x", "origin": "web-ui"}
        platform.devices["dev1"].attributes.append(foreign)
        only_hub(platform).name = "My house"
        changes_of(platform)
        devices = pool(lamp(room="cellar"), lamp("dev2", "Fan"), lamp("dev3", "New"))
        async with connector_of(platform, devices, config=path):
            assert sorted(changes_of(platform)) == [
                "POST /local-devices",
                f"PUT /hubs/{only_hub(platform).id.replace(':', '%3A')}",
                "PUT /local-devices/dev1",
            ]
        assert platform.devices["dev1"].attributes == [
            foreign,
            {"key": "room", "value": "cellar", "origin": "structiot"},
        ]
        # People may call the hub what they like, and our mark stays on it.
        assert only_hub(platform).name == "My house"
        assert [one["origin"] for one in only_hub(platform).attributes] == ["structiot"]


async def test_devices_are_added_changed_disconnected_and_deleted():
    async with senergy() as platform, connector_of(platform) as connector:
        third = lamp("dev3", "Third")
        assert await connector.add(third)
        assert platform.online == {"dev1", "dev2", "dev3"}
        assert only_hub(platform).device_local_ids == ["dev1", "dev2", "dev3"]
        third.name = "Other"
        third.remove_tag("room")
        assert await connector.update(third)
        assert platform.devices["dev3"].name == "Other"
        assert platform.devices["dev3"].attributes == []
        assert await connector.disconnect(third)
        assert platform.online == {"dev1", "dev2"}
        assert "dev3" in platform.devices
        assert await connector.delete("dev1")
        assert set(platform.devices) == {"dev2", "dev3"}
        assert only_hub(platform).device_local_ids == ["dev2"]
        assert not await connector.disconnect("unknown")
        assert not await connector.delete("unknown")
        assert connector.is_ready


async def test_a_device_that_the_platform_refuses_does_not_hold_up_the_others():
    async with senergy(device_types={"lamp": []}) as platform:
        devices = pool(lamp(), Device("dev2", "kettle", "Kettle"))
        async with connector_of(platform, devices) as connector:
            assert platform.online == {"dev1"}
            (refusal,) = connector.refused.values()
            assert refusal.status == 400
            assert "unknown device type" in refusal.text
            assert not await connector.add(Device("dev3", "oven", "Oven"))
            assert await connector.add(lamp("dev4"))
            assert platform.online == {"dev1", "dev4"}


@pytest.mark.parametrize("bad", ["a/b", "iot#1", "a+"])
async def test_ids_that_can_be_in_no_topic_are_refused_in_words(bad):
    async with senergy() as platform:
        async with connector_of(platform, pool(lamp(bad), lamp())) as connector:
            assert platform.online == {"dev1"}
            assert bad in connector.refused
            assert "stands for something in a topic" in connector.refused[bad].text
            assert not await connector.add(lamp(f"{bad}2"))
            assert connector.is_ready
        assert set(platform.devices) == {"dev1"}


async def test_a_refused_subscription_is_a_refused_device():
    async with senergy() as platform:
        platform.faults.refuse_next(on="dev1")
        async with connector_of(platform) as connector:
            assert platform.online == {"dev2"}
            assert connector.refused["dev1"].status == 128
            await anyio.sleep(60)
            assert platform.online == {"dev1", "dev2"}
            assert not connector.refused


async def test_commas_and_other_odd_ids_are_found_again(tmp_path):
    ids = ["a,b", "urn:x:ü", "with blank", "%2F", "a?b&c=d"]
    async with senergy() as platform:
        path = config_file(tmp_path, platform)
        for _ in range(2):
            devices = pool(*map(lamp, ids))
            async with connector_of(platform, devices, config=path):
                assert platform.online == set(ids)
        assert set(platform.devices) == set(ids)
        assert len([one for one in changes_of(platform) if "POST" in one]) == 6


async def test_hundreds_of_devices_are_compared_in_few_calls(tmp_path):
    devices = pool(*(lamp(f"dev{number}") for number in range(230)))
    async with senergy() as platform:
        path = config_file(tmp_path, platform)
        async with connector_of(platform, devices, config=path):
            assert len(platform.online) == 230
        platform.calls.clear()
        async with connector_of(platform, devices, config=path):
            assert len(platform.online) == 230
        assert len(platform.calls) == 1 + 1 + 5


async def test_no_devices_are_an_empty_hub():
    async with senergy() as platform, connector_of(platform, DevicePool()):
        assert only_hub(platform).device_local_ids == []
        assert platform.online == set()


# ---------------------------------------------------------------- the hub


@pytest.mark.parametrize("kind", ["lose_reply", "cut"])
async def test_a_lost_answer_makes_no_second_hub(kind):
    async with senergy() as platform:
        getattr(platform.faults, f"{kind}_next")(on="/device-manager/hubs")
        async with connector_of(platform):
            assert len(platform.hubs) == 1


async def test_a_second_hub_is_made_where_hubs_cannot_be_listed():
    async with senergy(rules=SenergyRules(lists_hubs=False)) as platform:
        platform.faults.lose_reply_next(on="/device-manager/hubs")
        async with connector_of(platform):
            assert len(platform.hubs) == 2


async def test_a_hub_that_is_used_is_nobody_elses():
    async with (
        senergy() as platform,
        connector_of(platform, pool(lamp())),
        connector_of(platform, pool(lamp("dev2"))),
    ):
        assert len(platform.hubs) == 2
        assert platform.online == {"dev1", "dev2"}


async def test_a_hub_without_devices_is_nobody_elses_either():
    async with (
        senergy() as platform,
        connector_of(platform, DevicePool()),
        connector_of(platform, DevicePool()),
    ):
        assert len(platform.hubs) == len(platform.broker.clients) == 2


async def test_what_is_made_is_waited_for():
    async with (
        senergy(rules=SenergyRules(visible_after_s=60)) as platform,
        connector_of(platform) as connector,
    ):
        assert platform.online == {"dev1", "dev2"}
        assert await connector.add(lamp("dev3"))
        assert platform.broker.connections == 1


async def test_a_hub_that_is_gone_is_made_again(tmp_path):
    async with senergy() as platform:
        path = config_file(tmp_path, platform)
        async with connector_of(platform, config=path) as connector:
            first = only_hub(platform).id
            async with logged_in(platform) as raw:
                await raw.call("DELETE", "hubs", first)
            assert not await connector.add(lamp("dev3"))
            await until_ready_again(connector)
            assert only_hub(platform).id != first
            assert platform.online == {"dev1", "dev2", "dev3"}
        assert only_hub(platform).id in path.read_text("utf-8")


async def test_an_address_without_the_api_is_no_news_of_the_hub(tmp_path):
    async with senergy() as platform:
        path = config_file(tmp_path, platform)
        async with connector_of(platform, config=path):
            pass
        platform.refusal_status = 404
        for on in ("hubs", "devices"):
            platform.faults.refuse_next(on=on)
        async with connector_of(platform, config=path):
            assert len(platform.hubs) == 1


# ---------------------------------------------------------------- what others do


async def test_a_device_that_somebody_has_removed_comes_again():
    async with senergy() as platform, connector_of(platform) as connector:
        async with logged_in(platform) as raw:
            await raw.call("DELETE", "local-devices", "dev1")
        hub = only_hub(platform)
        assert hub.device_local_ids == ["dev2"]
        # The hub that we change would have a device that there is not.
        assert not await connector.add(lamp("dev3"))
        await until_ready_again(connector)
        assert set(platform.devices) == {"dev1", "dev2", "dev3"}
