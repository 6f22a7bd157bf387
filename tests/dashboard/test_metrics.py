"""What Prometheus is told, read by its own parser."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from prometheus_client.parser import text_string_to_metric_families

from structiot.dashboard.measures import measure_of
from structiot.model import Availability, BinarySensor, Sensor, Switch, Text
from tests.dashboard.house import House, device, house
from tests.gateway.support import AT

pytestmark = pytest.mark.virtual_time

METER = (
    Switch(key="relay"),
    BinarySensor(key="window", device_class="window"),
    Sensor(key="power", unit="kW", device_class="power", state_class="measurement"),
    Sensor(
        key="energy", unit="kWh", device_class="energy", state_class="total_increasing"
    ),
    Sensor(key="today", unit="Wh", device_class="energy", state_class="total"),
    Sensor(key="warmth", unit="°F", device_class="temperature"),
    Sensor(key="odd", unit="smoots"),
    Sensor(key="word", device_class="enum"),
    Text(key="pin", is_secret=True),
)

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples_in(text: str) -> Samples:
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            key = one.name, frozenset(one.labels.items())
            assert key not in found
            found[key] = one.value
    return found


async def asked(home: House) -> Samples:
    answer = await home.browser.get("/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return samples_in(answer.text)


def at(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


def of_entity(samples: Samples, name: str, entity: str, **more: str) -> float | None:
    labels = {"device": "desk", "system": "toy", "entity": entity, **more}
    return at(samples, name, **labels)


async def told(home: House, states: Mapping[str, Any]):
    one = device("desk", METER)
    home.add(one)
    await home.until("desk")
    for key, state in states.items():
        one.tell_state(key, state)
    await anyio.sleep(1)
    return one


async def test_each_figure_is_in_one_unit(environment):
    async with house(environment) as home:
        states = {
            "relay": True,
            "window": False,
            "power": 1.25,
            "energy": 3.5,
            "today": 12.0,
            "warmth": 212.0,
            "odd": 5.0,
            "word": "hello",
            "pin": "hunter2",
        }
        await told(home, states)
        found = await asked(home)
        text = (await home.browser.get("/metrics")).text
    assert of_entity(found, "structiot_on", "relay") == 1
    assert of_entity(found, "structiot_on", "window") == 0
    assert of_entity(found, "structiot_power_watts", "power") == 1250
    assert of_entity(found, "structiot_energy_watt_hours_total", "energy") == 3500
    assert of_entity(found, "structiot_energy_watt_hours", "today") == 12
    assert of_entity(found, "structiot_temperature_celsius", "warmth") == pytest.approx(
        100
    )
    assert of_entity(found, "structiot_value", "odd", unit="smoots") == 5
    assert not [labels for _, labels in found if ("entity", "word") in labels]
    assert "hunter2" not in text
    assert "hello" not in text


async def test_what_a_house_draws_counts_nothing_twice(environment):
    keys = ("port_1_power", "port_2_power", "total_power")
    figures = [Sensor(key=key, unit="W", device_class="power") for key in keys]
    strip = device("strip", (Switch(key="port_1"), *figures))
    circuits = device(
        "fuse_box",
        [Sensor(key=f"power_{n}", unit="W", device_class="power") for n in (1, 2)],
    )
    async with house(environment) as home:
        for one in (strip, circuits):
            home.add(one)
        await home.until("strip")
        await home.until("fuse_box")
        for key, watts in zip(keys, (40.0, 2.5, 42.5), strict=True):
            strip.tell_state(key, watts)
        circuits.tell_state("power_1", 42.5)
        circuits.tell_state("power_2", -700.0)
        await anyio.sleep(1)
        found = await asked(home)
    drawn = {
        dict(labels)["meters"]: value
        for (name, labels), value in found.items()
        if name == "structiot_device_drawn_watts"
    }
    assert drawn == {"itself": 42.5, "circuits": 42.5}
    of_circuits = {"device": "fuse_box", "system": "toy", "meters": "circuits"}
    assert at(found, "structiot_device_produced_watts", **of_circuits) == 700


async def test_a_device_that_is_away_has_no_figures(environment):
    async with house(environment) as home:
        one = await told(home, {"power": 1.0})
        found = await asked(home)
        here = {"device": "desk", "system": "toy"}
        assert at(found, "structiot_device_available", **here) == 1
        one.tell(Availability(is_available=False, at_utc=AT, reason="gone"))
        await anyio.sleep(1)
        found = await asked(home)
        assert at(found, "structiot_device_available", **here) == 0
        assert of_entity(found, "structiot_power_watts", "power") is None


async def test_a_value_that_is_old_is_left_out(environment):
    async with house(environment) as home:
        await told(home, {"power": 1.0})
        heard = "structiot_device_heard_timestamp_seconds"
        here = {"device": "desk", "system": "toy"}
        before = at(await asked(home), heard, **here)
        await anyio.sleep(31)
        found = await asked(home)
        assert of_entity(found, "structiot_power_watts", "power") is None
        assert at(found, "structiot_device_available", **here) == 1
        assert at(found, heard, **here) == pytest.approx(before, abs=0.1)


async def test_the_gateway_tells_of_itself(environment):
    async with house(environment, device("desk")) as home:
        found = await asked(home)
    names = {name for name, _ in found}
    assert at(found, "structiot_task_up", task="broker connection") == 1
    assert at(found, "structiot_task_up", task="toy") == 1
    assert at(found, "structiot_task_restarts_total", task="toy") == 0
    assert at(found, "structiot_mqtt_connections_total") == 1
    assert (at(found, "structiot_mqtt_published_total") or 0) > 3
    box = {"mailbox": "outbox of what is told once"}
    assert at(found, "structiot_mailbox_waiting", **box) == 0
    assert at(found, "structiot_mailbox_dropped_total", **box) == 0
    assert "structiot_build_info" in names
    assert "structiot_link_up" in names
    assert {"structiot_budget_left", "structiot_budget_limit"} <= names


async def test_names_are_as_prometheus_wants_them(environment):
    async with house(environment) as home:
        await told(home, {"power": 1.0, "energy": 1.0})
        text = (await home.browser.get("/metrics")).text
    for family in text_string_to_metric_families(text):
        assert re.fullmatch(r"[a-z][a-z0-9_]*[a-z0-9]", family.name)
        assert family.documentation or family.name.startswith("process_")
        for one in family.samples:
            if family.type == "counter":
                assert one.name.endswith("_total")
            elif family.type == "gauge":
                assert not one.name.endswith("_total")


async def test_how_many_series_there_are_hangs_on_devices_and_entities_alone(
    environment,
):
    async with house(environment) as home:
        one = await told(home, {})
        one.tell_state("power", 0.0)
        await anyio.sleep(0.5)
        few = len(await asked(home))
        for number in range(1, 50):
            one.tell_state("power", float(number))
            await anyio.sleep(0.5)
            # Somebody who listens more than once is still one.
            async with home.gateway.events(), home.gateway.events():
                await anyio.lowlevel.checkpoint()
        async with home.gateway.events(), home.gateway.events():
            assert len(await asked(home)) == few


async def test_it_takes_the_token_where_others_can_ask(environment):
    page: dict[str, Any] = {
        "listen": ["http://0.0.0.0:0"],
        "token": "correct horse battery staple",
    }
    async with house(environment, device("desk"), **page) as home:
        assert (await home.browser.get("/metrics")).status == 401
        allowed = {"Authorization": "Bearer correct horse battery staple"}
        assert (await home.browser.get("/metrics", **allowed)).status == 200


def test_an_unknown_unit_or_class_is_a_label_and_no_name():
    for unit in ("furlong", "", None, 'W"} 1\n'):
        for kind in ("power", "nonsense", None):
            entity = Sensor(key="x", unit=unit, device_class=kind)
            assert measure_of(entity)[0].name == "structiot_value"


async def test_a_unit_that_means_harm_stays_in_its_label(environment):
    bad = Sensor(key="x", unit='"} 1\nevil 2')
    async with house(environment) as home:
        one = device("desk", (bad,))
        home.add(one)
        await home.until("desk")
        one.tell_state("x", 1.0)
        await anyio.sleep(1)
        found = await asked(home)
    assert "evil" not in {name for name, _ in found}


async def test_the_time_that_is_told_is_the_gateways(environment):
    async with house(environment) as home:
        await told(home, {"power": 1.0})
        heard = at(
            await asked(home),
            "structiot_device_heard_timestamp_seconds",
            device="desk",
            system="toy",
        )
        now = home.gateway.environment.now_utc()
    assert heard is not None
    assert timedelta(seconds=now.timestamp() - heard) < timedelta(seconds=5)
