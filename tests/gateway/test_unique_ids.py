"""No two entities have one unique id, and no device's changes without need."""

from __future__ import annotations

from collections import Counter

import anyio
import pytest

from structiot.gateway import load_config, open_gateway
from structiot.gateway.drivers import with_driver
from structiot.gateway.entities.components import platform_of
from structiot.model import DeviceInfo, Switch
from tests.gateway.houses import URI, House, house
from tests.gateway.scripted_driver import ScriptedDriver, scripted, source_of, stay
from tests.gateway.support import ScriptedDevice

pytestmark = pytest.mark.virtual_time


def device(id_: str, *keys: str) -> ScriptedDevice:
    info = DeviceInfo(id=id_, system="toy", name=id_, serial=id_)
    return ScriptedDevice(info, tuple(Switch(key=key) for key in keys))


def unique_ids(home: House) -> list[str]:
    return sorted(
        component["unique_id"]
        for one in home.announcements.values()
        for component in one["components"].values()
    )


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("pause_s", [0, 10])
async def test_the_device_with_the_longer_id_gives_way(order, pause_s, caplog):
    devices = [
        device("P", "left_relay", "other"),
        device("P_left", "relay", "power"),
        device("X_1", "relay"),
    ]

    async def serve(driver: ScriptedDriver) -> None:
        for one in devices[::order]:
            driver.registry.add(source_of(one))
            await anyio.sleep(pause_s)
        await stay(driver)

    async with house() as home:
        with with_driver("toy", scripted(serve)):
            config = load_config({"mqtt": {"uri": URI}, "toy": {}})
            async with open_gateway(config, environment=home.environment):
                await anyio.sleep(60)
                found = unique_ids(home)
        assert home.doubled == []
    assert max(Counter(found).values()) == 1
    plain = {
        "structiot_toy_P_left_relay",
        "structiot_toy_P_other",
        "structiot_toy_P_left_power",
        "structiot_toy_X_1_relay",
    }
    (other,) = set(found) - plain
    assert other.startswith("structiot_toy_P_left_relay_")
    line = "relay of P_left would have the unique id of another device's entity"
    assert len([one for one in caplog.messages if one.startswith(line)]) == 1


def test_a_kind_of_a_switch_is_announced_as_a_switch():
    class PlugSwitch(Switch):
        pass

    assert platform_of(PlugSwitch(key="relay")) == "switch"
