"""What a device says of itself becomes names, topics and lines only as far as it may."""

from __future__ import annotations

import json
import logging
from typing import Any

import anyio
import pytest

from structiot.errors import LinkLost
from structiot.model import (
    DeviceInfo,
    Entity,
    Event,
    Number,
    Occurrence,
    Select,
    Sensor,
    StateChange,
    Switch,
    Text,
)
from tests.gateway.memory_house import House, retained
from tests.gateway.scripted_driver import (
    ScriptedDriver,
    of_gateway,
    plug,
    scripted,
    source_of,
    stay,
)
from tests.gateway.support import AT, ScriptedDevice

pytestmark = pytest.mark.virtual_time

NASTY = "\x1b]0;x\x07\x1b[2J\n\0\ud800/+#" + "A" * 60_000
CONFIG = "homeassistant/device/structiot_toy_P1/config"


def device_of(*entities: Entity, **info: Any) -> ScriptedDevice:
    known = {"id": "P1", "system": "toy", "name": "Plug", **info}
    return ScriptedDevice(DeviceInfo(**known), entities or (Switch(key="relay"),))


def serving(
    *devices: ScriptedDevice, name: str | None = "Desk"
) -> type[ScriptedDriver]:
    async def serve(driver: ScriptedDriver) -> None:
        for number, device in enumerate(devices):
            named = name if number == 0 else f"Other {number}"
            driver.registry.add(source_of(device, key=str(number), name=named))
        await stay(driver)

    return scripted(serve)


async def test_who_it_is_is_announced_cut_and_printable(caplog):
    caplog.set_level(logging.DEBUG, "structiot.gateway")
    texts = ("name", "manufacturer", "model", "firmware", "hardware", "serial")
    device = device_of(
        **dict.fromkeys(texts, NASTY), mac="x", url=f"http://{NASTY}", via=NASTY
    )
    house = House()
    async with house.broker(), house.client() as client:
        async with house.gateway(serving(device)) as gateway:
            await anyio.sleep(5)
            told = json.loads((await retained(client, CONFIG))[CONFIG])
            for text in told["device"].values():
                assert isinstance(text, list) or (
                    text.isprintable() and len(text) < 200
                )
            assert not {"connections", "configuration_url"} & set(told["device"])
            info = gateway.devices["desk"].info
            assert info is not None
            assert info.name.isprintable()
    for line in caplog.messages:
        assert line.isprintable()
        assert len(line) < 1000


@pytest.mark.parametrize(
    "id_", [NASTY, "", "a\n", "i" * 129], ids=["nasty", "", "\n", "long"]
)
@pytest.mark.parametrize("name", ["Desk", None])
async def test_an_id_that_is_none_is_said_and_costs_the_device(id_, name, caplog):
    bad, good = device_of(id=id_), plug("P2")
    house = House()
    async with house.broker(), house.gateway(serving(bad, good, name=name)) as gateway:
        await anyio.sleep(120)
        assert gateway.devices["other_1"].is_available
        available = [slug for slug, one in gateway.devices.items() if one.is_available]
        assert available == ["other_1"]
    (line,) = [line for line in of_gateway(caplog) if "an id has 1 to 128" in line]
    assert line.isprintable()
    assert len(line) < 300


async def test_entities_that_are_too_much_or_no_json_are_left_out(caplog):
    odd = [
        Switch(key="named", name=NASTY),
        Select(key="long", options=("o" * 70_000,)),
        Event(key="event", event_types=tuple(map(str, range(10_000)))),
        Number(key="nan", minimum=float("nan"), maximum=1),
        Number(key="step", minimum=0, maximum=1, step="x"),  # type: ignore[arg-type]
        Text(key="text", pattern="a" * 70_000),
        Sensor(key=NASTY),
        Sensor(key="fine"),
    ]
    house = House()
    async with house.broker(), house.client() as client:
        async with house.gateway(serving(device_of(*odd))) as gateway:
            await anyio.sleep(5)
            payload = (await retained(client, CONFIG))[CONFIG]
            assert set(json.loads(payload)["components"]) == {"named", "fine"}
            assert json.loads(payload)["components"]["named"]["name"].isprintable()
            assert len(payload) < 3000
            assert gateway.devices["desk"].is_available
    for line in of_gateway(caplog):
        assert line.isprintable()
        assert len(line) < 500


async def test_states_and_occurrences_that_are_too_long_are_left_out(caplog):
    device = device_of(
        Sensor(key="word"),
        Event(key="bell", event_types=("ring",)),
        Switch(key="relay"),
    )
    house = House()
    async with house.broker(), house.client() as client:
        async with house.gateway(serving(device)) as gateway:
            await anyio.sleep(5)
            data = {"x": "y" * 10_000_000}
            device.tell(
                StateChange(key="word", state="w" * 10_000_000, at_utc=AT),
                StateChange(key=NASTY, state=True, at_utc=AT),
                Occurrence(key="bell", event_type="ring", at_utc=AT, data=data),
                StateChange(key="relay", state=True, at_utc=AT),
            )
            await anyio.sleep(5)
            found = await retained(client, "structiot/desk/#")
            assert found["structiot/desk/relay/state"] == "ON"
            assert "structiot/desk/word/state" not in found
            assert gateway.devices["desk"].is_available
    said = [line for line in of_gateway(caplog) if "nonsense" in line]
    assert len(said) == 3
    assert all(line.isprintable() and len(line) < 500 for line in said)


async def test_a_configured_device_that_has_never_dialled_in_is_unavailable(caplog):
    absent = plug("P1")
    absent.open_error = LinkLost("it has not dialled in yet")

    async def wait_for_calls(driver: ScriptedDriver) -> None:
        source = source_of(absent, name="Desk", comes_by_itself=True)
        driver.desk = driver.registry.add(source)  # type: ignore[attr-defined]
        driver.registry.started()
        await anyio.sleep(3600)
        absent.open_error = None
        driver.desk.reopen()  # type: ignore[attr-defined]
        await anyio.sleep_forever()

    house = House()
    async with house.broker(), house.client() as client:
        async with house.gateway(scripted(wait_for_calls)) as gateway:
            await anyio.sleep(1800)
            desk = gateway.devices["desk"]
            assert (desk.is_available, absent.opened) == (False, 1)
            assert desk.availability.reason == "it has not dialled in yet"
            topic = "structiot/desk/availability"
            assert await retained(client, topic) == {topic: "offline"}
            await client.publish("structiot/desk/relay/set", b"ON", qos=1)
            await anyio.sleep(1800)
            assert gateway.devices["desk"].is_available
            assert await retained(client, topic) == {topic: "online"}
    # That it is absent is no failure; that it was told something is said.
    (line,) = [line for line in of_gateway(caplog) if "Desk" in line]
    assert line.startswith("desk: command relay refused")
