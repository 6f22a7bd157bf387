"""Whatever a driver or a device tells costs itself: the value, the command or the device."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest

from structiot import Environment
from structiot.errors import RateLimited, UsageError
from structiot.gateway import (
    CommandFailed,
    Gateway,
    GatewayEvent,
    load_config,
    open_gateway,
)
from structiot.gateway.drivers import with_driver
from structiot.gateway.entities.patterns import check_pattern
from structiot.gateway.entities.typed import settled
from structiot.model import (
    Climate,
    DeviceInfo,
    EntitiesChanged,
    Entity,
    Fan,
    Light,
    Number,
    Select,
    Sensor,
    StateChange,
    Text,
)
from structiot.mqtt import open_broker, open_mqttclient
from structiot.testing import MemoryNetwork
from tests.gateway.scripted_driver import (
    ScriptedDriver,
    plug,
    scripted,
    source_of,
    stay,
)
from tests.gateway.support import ScriptedDevice

pytestmark = pytest.mark.virtual_time

AT = datetime(2026, 1, 1, tzinfo=UTC)
METER = Sensor(
    key="energy", device_class="energy", unit="kWh", state_class="total_increasing"
)


def other(entity: Any, **fields: Any) -> Any:
    """Make an entity as a driver does that nobody has checked."""
    made = entity.__new__(entity)
    given = {"key": "k", **fields}
    for field in dataclasses.fields(entity):
        object.__setattr__(made, field.name, given.get(field.name, field.default))
    return made


ODD = {
    "figures for texts": other(Select, options=(1, 2)),
    "nothing for texts": other(Select, options=(None,)),
    "one text for texts": other(Select, options="abc"),
    "no limits": other(Number, minimum=None, maximum=None),
    "texts for limits": other(Number, minimum="0", maximum="5"),
    "limits without an end": other(Number, minimum=0, maximum=10**400),
    "text for a temperature": other(Climate, modes=("heat",), min_target_c="5"),
    "figures for modes": other(Climate, modes=(1,)),
    "text for a length": other(Text, min_length="0"),
    "figures for effects": other(Light, effects=(1,)),
    "no color mode": other(Light, color_modes=frozenset({"infrared"})),
    "figures for presets": other(Fan, presets=(1,)),
}
COMMANDS = (b"x", b"1", b'{"target_c": 7}', b'{"mode": "heat"}', b'{"effect": "a"}')


def device_of(id_: str, *entities: Entity) -> ScriptedDevice:
    info = DeviceInfo(id=id_, system="toy", name=id_, serial=id_)
    return ScriptedDevice(info, entities)


def named(*devices: ScriptedDevice) -> type[ScriptedDriver]:
    async def does(driver: ScriptedDriver) -> None:
        for device in devices:
            driver.registry.add(source_of(device, name=device.info.id))
        await stay(driver)

    return scripted(does)


@asynccontextmanager
async def serving(
    driver: type[ScriptedDriver], *, state_file: Any = None
) -> AsyncIterator[tuple[Gateway, Environment]]:
    environment = Environment(network=MemoryNetwork())
    with with_driver("toy", driver):
        async with open_gateway(
            load_config({"toy": {}}), state_file=state_file, environment=environment
        ) as gateway:
            await anyio.sleep(2)
            yield gateway, environment


def tell_energy(device: ScriptedDevice, state: Any, at_utc: Any = AT) -> None:
    device.tell(StateChange(key="energy", state=state, at_utc=at_utc))


@pytest.mark.parametrize("entity", ODD.values(), ids=ODD)
async def test_an_entity_of_other_types_is_left_out_and_said(entity, caplog):
    bad = device_of("bad", entity)
    async with serving(named(bad, plug("good"))) as (gateway, environment):
        assert dict(gateway.devices["bad"].entities) == {}
        assert len([m for m in caplog.messages if "tells nonsense" in m]) == 1
        uri = "mqtt://127.0.0.1/"
        async with open_mqttclient(uri, environment=environment) as client:
            for command in COMMANDS:
                await client.publish("structiot/bad/k/set", command, qos=1)
        await anyio.sleep(1)
        assert gateway.devices["good"].is_available


@pytest.mark.parametrize(
    "pattern",
    ["([A-Za-z0-9]+ ?)*", "(a|a)+", "(?:(x?))*", r"(\\[)]*){2,}", "((a+){9}){2}", "("],
)
def test_a_pattern_that_may_take_for_ever_is_refused(pattern):
    with pytest.raises(UsageError):
        check_pattern("k", pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        r"([0-9]{1,3}\.){3}[0-9]{1,3}",
        "[0-9]{4}",
        r"[(a+)*]+",
        r"\(a+\)*",
        "(ab)*c+",
        "(on|off)",
    ],
)
def test_a_simple_pattern_is_taken(pattern):
    check_pattern("k", pattern)


def test_what_a_driver_changes_later_is_no_longer_ours():
    options: Any = ["a", "b"]
    entity = settled(Select(key="k", options=options))
    options.append(object())
    assert entity.options == ("a", "b")
    same = Select(key="k", options=("a",))
    assert settled(same) is same


ENDLESS = 10**400


@pytest.mark.parametrize(
    ("state", "at_utc"),
    [(ENDLESS, AT), (1e308, AT), (1.0, None), (2.0, datetime(2026, 1, 1))],  # noqa: DTZ001
)
async def test_a_counter_that_cannot_be_added_costs_itself(tmp_path, state, at_utc):
    bad, good = device_of("bad", METER), device_of("good", METER)
    async with serving(named(bad, good), state_file=tmp_path / "s") as (gateway, _):
        tell_energy(bad, 0.5)
        tell_energy(bad, state, at_utc)
        tell_energy(good, 0.0)
        await anyio.sleep(61)
        tell_energy(good, 1.0)
        await anyio.sleep(125)
        assert gateway.devices["good"].states["energy"] == 1.0
        assert gateway.devices["bad"].is_available


class FromHeader(RateLimited):
    def __init__(self, after: Any) -> None:
        Exception.__init__(self, "slow down")
        self.retry_after_s = after


class Forgets(RateLimited):
    def __init__(self) -> None:
        Exception.__init__(self, "slow down")


@pytest.mark.parametrize(
    "error", [FromHeader("30"), FromHeader(float("nan")), Forgets()], ids=repr
)
@pytest.mark.parametrize("where", ["device", "driver"])
async def test_somebodys_own_kind_of_rate_limit_costs_itself(error, where):
    bad, good = plug("bad"), plug("good")
    if where == "device":
        bad.open_error = error

    async def does(driver: ScriptedDriver) -> None:
        for device in (bad, good):
            driver.registry.add(source_of(device, name=device.info.id))
        driver.registry.started()
        if where == "driver":
            raise error
        await anyio.sleep_forever()

    async with serving(scripted(does)) as (gateway, _):
        assert error.retry_after_s is None
        assert gateway.devices["good"].is_available


async def test_an_identity_that_changes_in_place_takes_nobodys():
    one, two = device_of("A", METER), device_of("B", METER)
    async with serving(named(one, two)) as (gateway, _):
        tell_energy(one, 5.0)
        tell_energy(two, 0.5)
        await anyio.sleep(1)
        two.info = one.info
        two.tell(EntitiesChanged(at_utc=AT))
        await anyio.sleep(5)
        kept = gateway.devices["b"]
        assert kept.availability.reason.startswith("it is the same device as A")
        for _ in range(5):
            tell_energy(one, 5.0)
            tell_energy(two, 0.5)
            await anyio.sleep(1)
        assert gateway.devices["a"].states["energy"] == 5.0


@pytest.mark.parametrize("how", ["leaves", "is renamed", "is released"])
async def test_every_command_that_was_taken_ends_in_a_word(how):
    device = plug("desk")
    device.command_takes_s = 5.0
    told: list[GatewayEvent] = []
    names = ["Desk"]

    async def does(driver: ScriptedDriver) -> None:
        kept = driver.registry.add(source_of(device, name=names[0]))
        driver.registry.started()
        await anyio.sleep(4)
        if how == "is released":
            kept.release()
        if how == "is renamed":
            driver.registry.add(source_of(device, name="Lamp"))
        await anyio.sleep_forever()

    async def listen(gateway: Gateway) -> None:
        async with gateway.events() as events:
            async for event in events:
                told.append(event)  # noqa: PERF401 - it is cancelled, never over

    async with anyio.create_task_group() as tasks:
        async with serving(scripted(does)) as (gateway, environment):
            tasks.start_soon(listen, gateway)
            uri = "mqtt://127.0.0.1/"
            async with open_mqttclient(uri, environment=environment) as client:
                for _ in range(6):
                    await client.publish("structiot/desk/relay/set", b"ON", qos=1)
                if how != "leaves":
                    await anyio.sleep(3)
            await anyio.sleep(0.1)
        await anyio.sleep(1)
        tasks.cancel_scope.cancel()
    failed = [event.device for event in told if isinstance(event, CommandFailed)]
    assert failed == ["desk"] * 6
    assert device.commands == []


async def test_a_secret_is_not_repeated_wherever_it_was_sent():
    device = device_of("desk", Text(key="code", is_secret=True, max_length=10))
    told: list[str] = []

    async with serving(named(device)) as (_, environment):
        uri = "mqtt://127.0.0.1/"
        async with (
            open_mqttclient(uri, environment=environment) as client,
            client.subscription("structiot/+/error", qos=1) as errors,
        ):
            for topic in ("desk/code", "desk/cod"):
                await client.publish(
                    f"structiot/{topic}/set", b"hunter2-too-long", qos=1
                )
            async for message in errors:
                told.append(message.payload.decode())
                if len(told) == 2:
                    break
    assert all("hunter2" not in one and '"payload": "***"' in one for one in told)


async def test_a_secret_that_was_retained_is_not_repeated():
    device = device_of("desk", Text(key="code", is_secret=True))
    environment = Environment(network=MemoryNetwork())
    uri = "mqtt://127.0.0.1/"
    told: list[str] = []
    async with (
        open_broker("mqtt://127.0.0.1:1883", environment=environment),
        open_mqttclient(uri, environment=environment) as client,
        client.subscription("structiot/+/error", qos=1) as errors,
    ):
        for topic in ("desk/code", "later/code"):
            await client.publish(
                f"structiot/{topic}/set", b"hunter2", qos=1, retain=True
            )
        with with_driver("toy", named(device)):
            config = load_config({"mqtt": {"uri": uri}, "toy": {}})
            async with open_gateway(config, environment=environment):
                async for message in errors:
                    told.append(message.payload.decode())
                    if len(told) == 2:
                        break
    assert all("hunter2" not in one and '"payload": "***"' in one for one in told)
