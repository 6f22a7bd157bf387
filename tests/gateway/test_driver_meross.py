"""A Meross account in the gateway: devices that come, go, move, and an account that is lost."""

from __future__ import annotations

import json
import logging
from typing import Any

import anyio
import pytest

from structiot.gateway import load_config
from structiot.gateway.drivers.meross import MerossDriver
from structiot.gateway.drivers.meross.simulated import SHOWN, simulated_account
from structiot.meross import MemoryStore, open_meross
from structiot.sim.meross.parts.hub import Hub
from structiot.testing.drivers.bench import open_driver_bench
from tests.gateway.meross_house import ACCOUNT, meross_house

pytestmark = pytest.mark.virtual_time

LEAK, SMOKE = "1A00AABBCC03", "1A00AABBCC04"
KEY = "0123456789abcdef0123456789abcdef"


# ------------------------------------------------------------ what is announced


async def test_ten_kinds_of_devices_are_announced(environment):
    """Each with what it is there for, in Home Assistant's words."""
    wanted: dict[str, dict[str, str | None]] = {
        "mss310": {"switch": "outlet", "power_w": "power", "energy": "energy"},
        "mss425f": {"switch_1": "outlet", "switch_5": "outlet"},
        "msl120": {"light": None},
        "msg100": {"garage_door": "garage"},
        "mrs100": {"shutter": "shutter"},
        "mts200": {"thermostat": None},
        "mod100": {"light": None},
        "map100": {"fan": None},
        "em06": {"power_w_1": "power", "energy_6": "energy"},
        "msh300hk": {"hub_radio": None},
    }
    assert wanted.keys() == SHOWN.keys()
    async with (
        simulated_account(environment) as section,
        open_driver_bench(MerossDriver, section, environment=environment) as bench,
    ):
        await anyio.sleep(60)
        found = {}
        for topic, payload in bench.latest.items():
            if topic.startswith("homeassistant/"):
                announced = json.loads(payload)
                found[announced["device"].get("model")] = announced["components"]
        for model, keys in wanted.items():
            for key, device_class in keys.items():
                assert found[model][key].get("device_class") == device_class, (
                    model,
                    sorted(found[model]),
                )
        today = found["mss310"]["energy_today_wh"]
        assert (today["state_class"], today["unit_of_measurement"]) == (
            "total_increasing",
            "Wh",
        )
        assert set(found) - set(SHOWN) == {
            *("mts100v3", "ms100", "ms130", "ms200", "ms405", "gs559"),
            None,
        }


async def test_energy_goes_on_and_today_is_the_devices_own(virtual_time, tmp_path):
    async with (
        meross_house(virtual_time, tmp_path) as house,
        house.device(loads=[1200.0]) as plug,
        house.gateway(seconds=660) as served,
    ):
        assert served.figure(plug.uuid, "energy") == pytest.approx(0.22, abs=0.011)
        # It is asked for every ten minutes.
        assert 190 <= served.figure(plug.uuid, "energy_today_wh") <= 230
        await plug.reboot(30)
        await anyio.sleep(600)
        assert served.figure(plug.uuid, "energy") == pytest.approx(0.42, abs=0.02)


# ------------------------------------------------------------ while it runs


async def test_devices_are_added_renamed_and_removed_while_it_runs(
    virtual_time, tmp_path
):
    async with (
        meross_house(virtual_time, tmp_path) as house,
        house.device(name="Kettle") as plug,
        house.gateway({**house.section, "policy": "cloud_only"}) as served,
    ):
        assert served.available(plug.uuid) == "online"
        assert served.account("devices") == "1"
        house.cloud.rename(plug.uuid, "Tea")
        async with house.device("msl120", "10.0.0.2", name="Lamp") as lamp:
            # The list is asked for once a day at least, in which both stand.
            topic = f"structiot/meross_{lamp.uuid}/availability"
            await served.bench.until(topic, "online", within_s=90_000)
            assert served.announced(plug.uuid)["name"] == "Tea"
            await anyio.sleep(90)
            assert served.account("devices") == "2"
            house.cloud.unbind(plug.uuid)
            await anyio.sleep(90)
            assert not served.announced(plug.uuid)
            assert served.available(plug.uuid) == ""
            assert served.available(lamp.uuid) == "online"
            assert served.account("devices") == "1"


async def test_a_device_that_has_moved_is_switched_at_its_new_address(
    virtual_time, tmp_path
):
    async with (
        meross_house(virtual_time, tmp_path) as house,
        house.device() as plug,
        house.gateway() as served,
    ):
        await served.command(plug.uuid, "switch", "OFF")
        assert [one.transport for one in plug.requests][-1] == "http"
        await plug.move("10.0.0.77")
        await anyio.sleep(1500)
        plug.requests.clear()
        await served.command(plug.uuid, "switch", "ON")
        assert served.state(plug.uuid, "switch") == "ON"
        assert {one.transport for one in plug.requests} == {"http"}
        assert served.available(plug.uuid) == "online"


async def test_what_hangs_on_a_hub_is_announced_through_it_and_comes_and_goes(
    virtual_time, tmp_path
):
    async with (
        meross_house(virtual_time, tmp_path) as house,
        house.device("msh300hk") as hub,
        house.gateway() as served,
    ):
        ids = [sub_id for _, sub_id in hub.model.subdevices]
        for sub_id in ids:
            assert hub.uuid in served.announced(sub_id)["via_device"]
            assert served.available(sub_id) == "online"
        # None was given up in between: Home Assistant would forget what it is called.
        assert "" not in [
            payload
            for topic, payload in served.bench.seen
            if topic.startswith("homeassistant/")
        ]
        (paired,) = hub.device.parts_of(Hub)
        paired.forget(LEAK)
        house.cloud.devices[hub.uuid].subdevices = ()
        await anyio.sleep(60)
        assert not served.announced(LEAK)
        await hub.unplug()
        await anyio.sleep(600)
        assert served.available(hub.uuid) == "offline"
        assert {served.available(one) for one in ids} == {"offline", ""}
        await hub.plug_in()
        await anyio.sleep(600)
        assert served.available(SMOKE) == "online"
        paired.pair("ms405", LEAK)
        await anyio.sleep(120)
        assert served.available(LEAK) == "online"


async def test_smoke_and_water_are_occurrences(virtual_time, tmp_path):
    async with (
        meross_house(virtual_time, tmp_path) as house,
        house.device("msh300hk") as hub,
        house.gateway() as served,
    ):
        water = {"latestWaterLeak": 1, "latestSampleTime": 1}
        hub.set_state("Appliance.Hub.Sensor.WaterLeak", water, LEAK)
        smoke = {"status": 25, "interConn": 1}
        hub.set_state("Appliance.Hub.Sensor.Smoke", smoke, SMOKE)
        await anyio.sleep(30)
        happened = {
            topic.split("/")[1]: json.loads(payload)["event_type"]
            for topic, payload in served.bench.seen
            if topic.endswith(("/leak_event/event", "/smoke_alarm/event"))
        }
        assert happened == {
            f"meross_{LEAK.lower()}": "leak",
            f"meross_{SMOKE.lower()}": "smoke",
        }


# ------------------------------------------------------------ an account in trouble


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ("password", "no account has this e-mail and password; mend them"),
        ("mfa", "structiot meross login"),
        ("tokens", "too many tokens"),
        ("ban", "disabled, banned"),
    ],
)
async def test_a_refused_account_is_parked_and_shown(
    virtual_time, tmp_path, caplog, trouble, said
):
    caplog.set_level(logging.INFO)
    rules: dict[str, Any] = {"mfa": {"mfa_code": "123456"}, "tokens": {"max_tokens": 1}}
    async with meross_house(virtual_time, tmp_path, **rules.get(trouble, {})) as house:
        section = house.section
        if trouble == "password":
            section["password"] = "wrong"
        if trouble == "tokens":
            async with open_meross(
                email=house.cloud.email,
                password=house.cloud.password,
                store=MemoryStore(),
                url=house.cloud.url,
                environment=house.environment,
            ):
                pass
        if trouble == "ban":
            house.cloud.ban()
        before = len(house.cloud.requests)
        async with house.gateway(section, seconds=1800) as served:
            state, reason = served.driver
            assert state == "parked"
            assert said in reason
            assert served.account("account") == "refused"
            assert said in (served.account("trouble") or "")
            assert served.bench.latest[f"{ACCOUNT}/availability"] == "online"
            assert len(house.cloud.requests) == before + 1
            assert section["password"] not in json.dumps(served.bench.latest)
            assert not [m for m in caplog.messages if m.startswith("Meross account is")]


async def test_who_is_not_signed_in_is_told_how_in_the_words_of_the_file(
    virtual_time, tmp_path
):
    async with meross_house(virtual_time, tmp_path) as house:
        nobody = {name: house.section[name] for name in ("url", "store")}
        async with house.gateway(nobody) as served:
            state, reason = served.driver
            assert state == "parked"
            assert "nobody is signed in: give email and password, or a store" in reason
            assert "; `structiot meross login` keeps one" in reason
            assert "=" not in reason


async def test_a_ban_while_it_runs_parks_the_account(virtual_time, tmp_path):
    async with (
        meross_house(virtual_time, tmp_path) as house,
        house.device() as plug,
        house.gateway() as served,
    ):
        assert served.account("account") == "open"
        house.cloud.ban()
        await anyio.sleep(600)
        assert served.driver[0] == "parked"
        assert served.account("account") == "refused"
        assert served.available(plug.uuid) == "offline"
        asked = len(house.cloud.requests)
        await anyio.sleep(1800)
        assert len(house.cloud.requests) == asked


async def test_a_password_that_is_mended_is_taken_up_by_a_reload(
    virtual_time, tmp_path
):
    async with meross_house(virtual_time, tmp_path) as house, house.device() as plug:
        wrong = {**house.section, "password": "wrong"}
        async with house.gateway(wrong) as served:
            assert served.account("account") == "refused"
            uri = served.gateway.config.mqtt.uri
            config = load_config({"mqtt": {"uri": uri}, "meross": house.section})
            await served.gateway.reload(config)
            await anyio.sleep(60)
            assert served.driver == ("running", "")
            assert served.account("account") == "open"
            assert served.account("trouble") == "None"
            assert served.available(plug.uuid) == "online"


async def test_an_hour_without_brokers_heals(virtual_time, tmp_path):
    async with (
        meross_house(virtual_time, tmp_path) as house,
        house.device() as plug,
        house.gateway({**house.section, "policy": "cloud_only"}) as served,
    ):
        assert served.available(plug.uuid) == "online"
        await house.cloud.broker.unplug()
        await anyio.sleep(3600)
        assert served.available(plug.uuid) == "offline"
        await house.cloud.broker.plug_in()
        await anyio.sleep(600)
        assert served.available(plug.uuid) == "online"
        await served.command(plug.uuid, "switch", "OFF")
        assert served.state(plug.uuid, "switch") == "OFF"
        assert house.cloud.sign_ins == 1


async def test_a_start_without_the_internet_serves_what_is_in_the_local_network(
    virtual_time, tmp_path
):
    async with meross_house(virtual_time, tmp_path) as house, house.device() as plug:
        async with house.gateway() as served:
            assert served.available(plug.uuid) == "online"
        await house.cloud.unplug()
        await house.cloud.broker.unplug()
        async with house.gateway() as served:
            assert served.available(plug.uuid) == "online"
            await served.command(plug.uuid, "switch", "OFF")
            assert served.state(plug.uuid, "switch") == "OFF"
            assert served.account("account") == "unreachable"
            assert "10.0.9.9" in (served.account("trouble") or "")
            for host in (house.cloud, house.cloud.broker):
                await host.plug_in()
            await anyio.sleep(600)
            assert served.account("account") == "open"


async def test_the_budget_is_a_diagnostic(virtual_time, tmp_path):
    async with meross_house(virtual_time, tmp_path) as house, house.device() as plug:
        limits = {"device_messages_per_hour": 100}
        section = {**house.section, "policy": "cloud_only", "rate_limiter": limits}
        async with house.gateway(section, seconds=70) as served:
            first = int(served.account("messages_left") or "")
            assert 0 < first < 100
            for payload in ("ON", "OFF", "ON"):
                await served.command(plug.uuid, "switch", payload)
            await anyio.sleep(61)
            assert int(served.account("messages_left") or "") <= first - 3


# ------------------------------------------------------------ without an account


async def test_devices_in_the_local_network_need_no_account(virtual_time, tmp_path):
    alone: dict[str, Any] = {"cloud": None, "key": KEY}
    section = {
        "key": KEY,
        "devices": [
            {"host": "10.0.0.1", "name": "Kettle"},
            {"host": "10.0.0.2", "port": 8080},
            {"host": "10.0.0.3", "name": "Later", "key": "another"},
        ],
    }
    async with (
        meross_house(virtual_time, tmp_path) as house,
        house.device("mss110", **alone) as plug,
        house.device("msh300hk", "10.0.0.2", http_port=8080, **alone) as hub,
        house.gateway(section) as served,
    ):
        latest = served.bench.latest
        assert latest["structiot/kettle/availability"] == "online"
        assert latest["structiot/later/availability"] == "offline"
        await served.bench.client.publish("structiot/kettle/switch/set", b"OFF", qos=1)
        await anyio.sleep(5)
        assert latest["structiot/kettle/switch/state"] == "OFF"
        assert served.available(hub.uuid) == "online"
        assert hub.uuid in served.announced(SMOKE)["via_device"]
        await hub.unplug()
        await anyio.sleep(300)
        assert served.available(SMOKE) == "offline"
        await hub.plug_in()
        later = house.device("mss310", "10.0.0.3", cloud=None, key="another")
        async with later:
            await anyio.sleep(300)
            assert served.available(SMOKE) == "online"
            assert latest["structiot/later/availability"] == "online"
        assert served.driver == ("running", "")
        assert served.announced(plug.uuid)["name"] == "Kettle"
        assert not house.cloud.requests


async def test_a_device_of_the_account_that_is_listed_is_served_as_listed(
    virtual_time, tmp_path
):
    async with meross_house(virtual_time, tmp_path) as house, house.device() as plug:
        listed = {"host": plug.host, "name": "Kettle", "key": plug.key}
        section = {**house.section, "devices": [listed]}
        async with house.gateway(section, seconds=600) as served:
            latest = served.bench.latest
            assert latest["structiot/kettle/availability"] == "online"
            assert served.available(plug.uuid) == ""
            assert served.announced(plug.uuid)["name"] == "Kettle"


async def test_a_device_of_another_key_is_parked_alone(virtual_time, tmp_path):
    devices = [{"host": f"10.0.0.{n}", "name": f"Plug {n}"} for n in (1, 2)]
    async with (
        meross_house(virtual_time, tmp_path) as house,
        house.device(cloud=None, key=KEY),
        house.device("mss310", "10.0.0.2", cloud=None, key="k" * 32) as other,
        house.gateway({"key": KEY, "devices": devices}, seconds=600) as served,
    ):
        latest = served.bench.latest
        assert latest["structiot/plug_1/availability"] == "online"
        assert latest["structiot/plug_2/availability"] == "offline"
        assert "key" in served.gateway.devices["plug_2"].availability.reason
        assert KEY not in json.dumps(latest)
        assert len(other.requests) < 5
