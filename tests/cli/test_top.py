"""`structiot top`: what a running gateway's devices draw."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from structiot.cli.main import run_program
from structiot.cli.top.house import House, flow_in
from structiot.cli.top.screen import drawn
from structiot.errors import LinkLost
from structiot.gateway import Gateway, load_config, open_gateway
from structiot.gateway.drivers import with_driver
from structiot.model import DeviceInfo, Entity, Sensor, Switch
from structiot.mqtt import open_mqttclient
from tests._support.interpreter import PYTHON
from tests._support.ports import free_port
from tests._support.terminal import terminal
from tests.gateway.scripted_driver import ScriptedDriver, scripted, source_of, stay
from tests.gateway.support import ScriptedDevice

RELAY = Switch(key="relay")


def power(key: str = "power", unit: str = "W") -> Sensor:
    return Sensor(key=key, unit=unit, device_class="power", state_class="measurement")


def page(*devices: dict[str, Any], number: int = 1, pages: int = 1) -> bytes:
    told = {"page": number, "pages": pages, "devices": devices}
    return json.dumps(told).encode()


def listed(slug: str, *powers: str, unit: str = "W") -> dict[str, Any]:
    entities: list[dict[str, Any]] = [
        {"key": key, "platform": "sensor", "device_class": "power", "unit": unit}
        for key in powers
    ]
    entities.append({"key": "relay", "platform": "switch", "takes_commands": True})
    return {"device": slug, "name": slug.title(), "system": "toy", "entities": entities}


def told(**topics: bytes) -> House:
    house = House("structiot", "mqtt://broker")
    house.take("structiot/gateway/availability", b"online")
    for topic, payload in topics.items():
        house.take(f"structiot/{topic.replace('__', '/')}", payload)
    return house


def picture(house: House, sort: str = "power", rows: int | None = None) -> str:
    out = io.StringIO()
    console = Console(file=out, width=120, force_terminal=False)
    console.print(drawn(house, sort, blocks=True, rows=rows))
    return out.getvalue()


def test_the_one_that_draws_most_is_first():
    house = told(
        gateway__devices=page(listed("lamp", "power"), listed("oven", "power")),
        lamp__availability=b"online",
        oven__availability=b"online",
        lamp__state=b'{"power": 7.5, "relay": "ON"}',
        oven__state=b'{"power": 1900, "relay": "OFF"}',
    )
    assert [one.name for one in house.devices()] == ["Oven", "Lamp"]
    assert [one.name for one in house.devices("name")] == ["Lamp", "Oven"]
    flow = flow_in(house.devices())
    assert flow is not None
    assert (flow.drawn_w, flow.produced_w) == (1907.5, 0)
    shown = picture(house)
    assert "1.91 kW drawn, 2 devices" in shown
    assert "relay on" in shown
    assert "and 1 more" in picture(house, rows=1)


@pytest.mark.parametrize(
    ("keys", "states", "unit", "expected"),
    [
        (["power"], {"power": 5}, "W", 5.0),
        (["power"], {"power": 5}, "kW", 5000.0),
        (["port_1_power", "port_2_power"], {"port_1_power": 5, "port_2_power": 6}, "W", 11),
        (["power", "power_1", "power_2"], {"power": 11, "power_1": 5, "power_2": 6}, "W", 11),
        (["power"], {"power": None}, "W", None),
        (["power"], {"power": "much"}, "W", None),
        (["power"], {"power": True}, "W", None),
        (["power"], {}, "W", None),
        (["power"], {"power": 5}, "furlong", None),
    ],
)  # fmt: skip
def test_what_a_device_draws(keys, states, unit, expected):
    house = told(
        gateway__devices=page(listed("desk", *keys, unit=unit)),
        desk__availability=b"online",
        desk__state=json.dumps(states).encode(),
    )
    (desk,) = house.devices()
    assert desk.power_w == expected


def test_what_is_produced_is_told_apart_and_circuits_are_not_counted_twice():
    circuits = listed("fuse_box", "power_1", "power_2", "power_3")
    circuits["entities"].pop()
    solar = listed("roof", "power_w")
    solar["entities"][0]["name"] = "Solar power"
    house = told(
        gateway__devices=page(listed("oven", "power"), circuits, solar),
        oven__availability=b"online",
        fuse_box__availability=b"online",
        roof__availability=b"online",
        oven__state=b'{"power": 1900}',
        fuse_box__state=b'{"power_1": 1900, "power_2": 300, "power_3": -760}',
        roof__state=b'{"power_w": 590}',
    )
    head = (
        "1.90 kW drawn, 590.0 W produced (in meters of circuits 2.20 kW drawn, 760.0 W"
    )
    assert head in picture(house)


def test_what_is_away_draws_nothing_that_is_known():
    house = told(
        gateway__devices=page(listed("desk", "power")),
        desk__availability=b"offline",
        desk__state=b'{"power": 5}',
    )
    (desk,) = house.devices()
    assert (desk.is_away, desk.power_w, flow_in([desk])) == (True, None, None)
    assert "1 away" in picture(house)


def test_what_is_stale_is_marked():
    health = {"at": "2026-01-01T00:00:00+00:00", "devices": {"stale": ["desk"]}}
    house = told(
        gateway__devices=page(listed("desk", "power"), listed("lamp", "power")),
        desk__availability=b"online",
        lamp__availability=b"online",
        gateway__health=json.dumps(health).encode(),
    )
    assert {one.name: one.is_stale for one in house.devices()} == {
        "Desk": True,
        "Lamp": False,
    }
    assert "1 stale" in picture(house)


def test_all_of_a_gateway_that_does_not_run_is_old():
    house = told(gateway__devices=page(listed("desk")), desk__availability=b"online")
    house.take("structiot/gateway/availability", b"offline")
    assert house.devices()[0].is_stale
    assert "the gateway does not run: this is old" in picture(house)


def test_a_system_that_is_not_served_says_why():
    driver = b'{"state": "parked", "reason": "wrong password"}'
    house = told(gateway__drivers__toy=driver, gateway__devices=page())
    assert "toy parked: wrong password" in picture(house)
    house.take("structiot/gateway/drivers/toy", b"")
    assert "toy" not in picture(house)


@pytest.mark.parametrize("text", ["\x1b[2J", "a\nb", "\u202e", "\ud800"])
def test_nothing_that_somebody_says_is_an_order_to_the_screen(text):
    entity = {"key": text, "platform": "switch", "takes_commands": True}
    desk = {"device": "desk", "name": text, "system": text, "entities": [entity]}
    house = told(
        gateway__devices=page(desk),
        desk__availability=b"online",
        desk__state=json.dumps({text: text}).encode(),
    )
    driver = json.dumps({"state": text, "reason": text}).encode()
    house.take(f"structiot/gateway/drivers/{text}", driver)
    shown = picture(house)
    assert shown.replace("\n", "").isprintable()
    assert len(shown.splitlines()) == 4


@pytest.mark.parametrize("figure", ["9" * 4000, "1e999", "1e300", "true", "[1]"])
def test_a_figure_that_cannot_be_is_none(figure):
    house = told(
        gateway__devices=page(listed("desk", "power")),
        desk__availability=b"online",
        desk__state=f'{{"power": {figure}}}'.encode(),
    )
    assert "no power known, 1 device\n" in picture(house)


def test_however_many_pages_there_are_the_devices_are_so_many():
    house = told()
    for number in range(1, 13):
        topic = f"structiot/gateway/devices/{number}"
        house.take(topic, page(*[{"device": "d"}] * 1000, number=number))
    assert len(house.devices()) == 10_000


def test_devices_come_on_several_pages_and_go():
    house = told(gateway__devices=page(listed("desk"), pages=2))
    whole = [house.is_whole]
    house.take("structiot/gateway/devices/2", page(listed("lamp"), number=2, pages=2))
    assert [*whole, house.is_whole] == [False, True]
    assert len(house.devices()) == 2
    house.take("structiot/gateway/devices", page(listed("desk")))
    house.take("structiot/gateway/devices/2", b"")
    assert [one.name for one in house.devices()] == ["Desk"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "gateway/devices",
                    "gateway/devices/2",
                    "gateway/devices/x",
                    "gateway/health",
                    "gateway/drivers/toy",
                    "gateway/availability",
                    "desk/state",
                    "desk/availability",
                ]
            ),
            st.one_of(
                st.binary(max_size=40),
                st.recursive(
                    st.one_of(st.none(), st.integers(), st.text(max_size=5)),
                    lambda one: st.one_of(
                        st.lists(one, max_size=3),
                        st.dictionaries(
                            st.sampled_from(
                                [
                                    "devices",
                                    "pages",
                                    "device",
                                    "entities",
                                    "stale",
                                    "key",
                                ]
                            ),
                            one,
                            max_size=4,
                        ),
                    ),
                    max_leaves=8,
                ).map(lambda one: json.dumps(one).encode()),
            ),
        ),
        max_size=6,
    )
)
def test_whoever_writes_nonsense_is_passed_over(messages):
    house = House("structiot", "mqtt://broker")
    for topic, payload in messages:
        house.take(f"structiot/{topic}", payload)
    assert picture(house)


# ---------------------------------------------------------------- with a real gateway


class Toys:
    def __init__(self, gateway: Gateway, driver: ScriptedDriver) -> None:
        self.gateway = gateway
        self.registry = driver.registry

    @property
    def uri(self) -> str:
        assert self.gateway.broker is not None
        return self.gateway.broker.uri

    async def add(self, name: str, *entities: Entity, **states: Any) -> ScriptedDevice:
        info = DeviceInfo(id=name, system="toy", name=name, serial=name)
        one = ScriptedDevice(info, entities)
        one.stale_s = None
        self.registry.add(source_of(one, name=name))
        while name not in self.gateway.devices:  # noqa: ASYNC110 - nothing tells of it
            await anyio.sleep(0.01)
        await anyio.sleep(0.1)
        for key, state in states.items():
            one.tell_state(key, state)
        await anyio.sleep(0.4)
        return one


@asynccontextmanager
async def toys() -> AsyncIterator[Toys]:
    holder: list[ScriptedDriver] = []

    async def run(driver: ScriptedDriver) -> None:
        holder.append(driver)
        await stay(driver)

    made = scripted(run)
    with with_driver("toy", made):
        listen = ["mqtt://127.0.0.1:0"]
        config = load_config({"toy": {}, "broker": {"listen": listen}})
        async with open_gateway(config) as gateway:
            while not holder:  # noqa: ASYNC110 - nothing tells of it
                await anyio.sleep(0.01)
            yield Toys(gateway, holder[0])


async def call(*arguments: str, status: int = 0) -> str:
    command = [*PYTHON, "-m", "structiot", "top", *arguments]
    done = await anyio.run_process(command, check=False)
    assert done.returncode == status, done.stderr.decode()
    return (done.stderr if status else done.stdout).decode()


@pytest.mark.e2e
async def test_a_gateway_is_shown_once():
    async with toys() as home:
        await home.add("desk", RELAY, power(), relay=True, power=12.5)
        gone = await home.add("hall", RELAY, power(), power=3.0)
        gone.open_error = LinkLost("no answer")
        gone.end_events(LinkLost("it hung up"))
        await anyio.sleep(0.3)
        found = json.loads(await call("-L", home.uri, "--once", "--json"))
        text = await call("-L", home.uri, "--once", "--sort", "name")
    assert found["gateway"] == "online"
    assert found["power_w"] == 12.5
    assert found["systems"]["toy"]["state"] == "running"
    assert found["devices"] == [
        {
            "name": "desk",
            "system": "toy",
            "power_w": 12.5,
            "is_away": False,
            "is_stale": False,
            "states": {"relay": "on"},
        },
        {
            "name": "hall",
            "system": "toy",
            "power_w": None,
            "is_away": True,
            "is_stale": False,
            "states": {},
        },
    ]
    assert "12.5 W drawn, 2 devices, 1 away" in text
    assert text.index("desk") < text.index("hall")


@pytest.mark.e2e
async def test_a_terminal_shows_it_live_until_q():
    async with toys() as home:
        one = await home.add("desk", RELAY, power(), relay=True, power=12.5)

        def sit() -> int:
            with terminal("top", "-L", home.uri, "--every", "0.2") as screen:
                screen.wait_for("12.5 W drawn")
                anyio.from_thread.run_sync(one.tell_state, "power", 1500.0)
                screen.wait_for("1.50 kW drawn")
                screen.type("q")
                return screen.ended()

        assert await anyio.to_thread.run_sync(sit) == 0


@pytest.mark.e2e
async def test_without_a_gateway_there_is_nothing_to_show():
    async with toys() as home:
        said = await call("-L", home.uri, "--base-topic", "nowhere", "--once", status=1)
    assert "no gateway has its topics below 'nowhere'" in said


@pytest.mark.e2e
async def test_what_a_gateway_has_left_is_shown_as_old(mosquitto):
    """The broker still has its words; nobody stands for them."""
    base = "left_behind"
    async with open_mqttclient(mosquitto.uri) as client:
        for topic, payload in {
            "gateway/availability": b"offline",
            "gateway/devices": page(listed("desk", "power")),
            "desk/availability": b"online",
            "desk/state": b'{"power": 5}',
        }.items():
            await client.publish(f"{base}/{topic}", payload, qos=1, retain=True)
    text = await call("-L", mosquitto.uri, "--base-topic", base, "--once")
    assert "the gateway does not run: this is old" in text
    assert "stale" in text


def test_a_broker_that_is_not_there_is_said(capsys, monkeypatch):
    monkeypatch.delenv("STRUCTIOT_MQTT_URI", raising=False)
    port = free_port()
    uri = f"mqtt://127.0.0.1:{port}"
    assert run_program(["top", "-L", uri, "--once", "--retries", "0"]) == 1
    assert str(port) in capsys.readouterr().err
