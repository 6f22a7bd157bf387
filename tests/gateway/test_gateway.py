"""A gateway between real strips, simulated on loopback, and a real Mosquitto."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import anyio
import anyio.to_thread
import pytest

from structiot.gateway import (
    BrokerConnected,
    CommandDone,
    CommandFailed,
    DeviceUpdate,
    DriverUpdate,
    GatewayEvent,
    open_gateway,
)
from structiot.model import Availability, StateChange
from tests.gateway.broker_watch import BrokerWatch, watching
from tests.gateway.serving import HOST, config_of, section_of, served, strips

pytestmark = pytest.mark.e2e

_numbers = itertools.count(1)
AT = datetime(2024, 5, 1, tzinfo=UTC)


@pytest.fixture
def base() -> str:
    """The topics of one test on the broker that all share."""
    return f"gw{next(_numbers)}"


async def test_two_strips_of_different_firmware_are_on_the_broker(mosquitto, base):
    async with served(mosquitto, base, 2) as (gateway, watch, sims):
        for name, sim in zip(("kitchen", "desk"), sims, strict=True):
            assert watch.latest[f"{base}/{name}/port_1/state"] == "ON"
            assert watch.latest[f"{base}/{name}/port_1_power/state"] == "40.0"
            identifier = f"structiot_maxsmart_{sim.serial}"
            topic = f"ha-{base}/device/{identifier}/config"
            config = json.loads(await watch.until_there(topic))
            assert config["device"]["name"] == name.title()
            assert config["device"]["sw_version"] == sim.family.firmware
            assert config["device"]["serial_number"] == sim.serial
            port = config["components"]["port_1"]
            assert port["state_topic"] == f"{base}/{name}/port_1/state"
            assert port["command_topic"] == f"{base}/{name}/port_1/set"
            assert config["availability"][1]["topic"] == f"{base}/{name}/availability"
        assert watch.latest[f"{base}/gateway/availability"] == "online"
        assert set(gateway.devices) == {"kitchen", "desk"}
        assert gateway.devices["desk"].states["port_1"] is True
        # A subscriber that comes later gets the same.
        assert await watch.retained(f"{base}/#") == {
            topic: payload
            for topic, payload in watch.latest.items()
            if topic.startswith(f"{base}/")
        }


async def test_a_command_switches_a_port_and_shows_within_a_second(mosquitto, base):
    async with served(mosquitto, base, 2) as (_, watch, (kitchen, desk)):
        await watch.client.publish(f"{base}/desk/port_1/set", b"OFF", qos=1)
        await watch.until_is(f"{base}/desk/port_1/state", "OFF", within_s=1)
        assert (desk.ports[1], kitchen.ports[1]) == (False, True)
        await watch.client.publish(f"{base}/desk/port_1/set", b"ON", qos=1)
        await watch.until_is(f"{base}/desk/port_1/state", "ON", within_s=1)
        await watch.until_is(f"{base}/desk/port_1_power/state", "40.0")
        assert desk.ports[1] is True


async def test_a_button_pressed_on_the_strip_shows(mosquitto, base):
    async with served(mosquitto, base) as (_, watch, (sim,)):
        await sim.press(6)
        await watch.until_is(f"{base}/kitchen/port_6/state", "OFF")


async def test_a_strip_that_goes_is_unavailable_and_only_it(mosquitto, base):
    async with served(mosquitto, base, 2) as (gateway, watch, (kitchen, _)):
        await kitchen.unplug()
        await watch.until_is(f"{base}/kitchen/availability", "offline")
        assert not gateway.devices["kitchen"].is_available
        await watch.client.publish(f"{base}/desk/port_2/set", b"OFF", qos=1)
        await watch.until_is(f"{base}/desk/port_2/state", "OFF", within_s=1)
        assert watch.latest[f"{base}/desk/availability"] == "online"
        await kitchen.plug_in()
        await watch.until_is(f"{base}/kitchen/availability", "online", within_s=15)
        assert ("desk", "offline") not in [
            (topic.split("/")[1], payload)
            for topic, payload in watch.seen[5:]
            if topic.endswith("/availability")
        ]


async def test_a_strip_that_was_away_at_the_start_is_served_when_it_comes(
    mosquitto, base, caplog
):
    async with strips(2) as sims, watching(mosquitto.uri, f"{base}/#") as watch:
        await sims[0].unplug()
        config = config_of(mosquitto.uri, base, section_of(*sims))
        async with open_gateway(config) as gateway:
            await watch.until_is(f"{base}/desk/availability", "online")
            kitchen = gateway.devices["kitchen"]
            await watch.until(lambda: kitchen.availability.reason != "not reached yet")
            assert watch.latest[f"{base}/kitchen/availability"] == "offline"
            reason = kitchen.availability.reason
            await sims[0].plug_in()
            await watch.until_is(f"{base}/kitchen/availability", "online")
    said = [m for m in caplog.messages if m.startswith("Kitchen")]
    assert len(said) == 1
    assert reason in said[0]
    assert f"{HOST}:{sims[0].http_port}" in said[0]


async def test_leaving_shows_everything_as_offline(mosquitto, base):
    async with served(mosquitto, base, 2) as (_, watch, _):
        pass
    states = {k: v for k, v in watch.latest.items() if k.endswith("/availability")}
    assert states == {
        f"{base}/gateway/availability": "offline",
        f"{base}/kitchen/availability": "offline",
        f"{base}/desk/availability": "offline",
    }
    # The gateway goes last, and its will is not needed.
    assert watch.seen[-1] == (f"{base}/gateway/availability", "offline")


async def test_leaving_by_an_error_of_the_block_shows_everything_as_offline(
    mosquitto, base
):
    seen = None
    with pytest.raises(ZeroDivisionError):
        async with served(mosquitto, base) as (_, seen, _):
            1 / 0  # noqa: B018 - it raises
    assert seen is not None
    assert seen.latest[f"{base}/kitchen/availability"] == "offline"


async def test_a_gateway_may_take_everything_off_the_broker(mosquitto, base):
    forgetful = {"forget_on_exit": True}
    async with served(mosquitto, base, gateway=forgetful) as (_, watch, _):
        pass
    async with watching(mosquitto.uri) as watch:
        assert await watch.retained(f"{base}/#") == {}
        assert await watch.retained(f"ha-{base}/#") == {}


# ----------------------------------------------------------------- commands that fail


@pytest.mark.parametrize(
    ("topic", "payload", "error"),
    [
        (
            "kitchen/port_7",
            "ON",
            (
                "Kitchen (strip at 127.0.0.1) has no 'port_7'; there are port_1, port_2, "
                "port_3, port_4, port_5, port_6"
            ),
        ),
        ("kitchen/port_1", "perhaps", "port_1 takes ON or OFF, not 'perhaps'"),
        (
            "kitchen/port_1_power",
            "5",
            "port_1_power takes no commands: it is only read",
        ),
        ("kitchn/port_1", "ON", "there is no device 'kitchn'; devices: kitchen"),
    ],
)
async def test_a_command_that_cannot_be_is_answered_on_the_error_topic(
    mosquitto, base, topic, payload, error
):
    async with served(mosquitto, base) as (_, watch, _):
        watch.seen.clear()
        full = f"{base}/{topic}/set"
        await watch.client.publish(full, payload.encode(), qos=1)
        told = await watch.until_told(f"{base}/{topic.split('/')[0]}/error")
        assert told.pop("at").endswith("+00:00")
        assert told == {"error": error, "topic": full, "payload": payload}
        assert await watch.retained(f"{base}/+/error") == {}


async def test_a_retained_command_is_not_obeyed(mosquitto, base):
    async with watching(mosquitto.uri) as early:
        topic = f"{base}/kitchen/port_1/set"
        await early.client.publish(topic, b"OFF", qos=1, retain=True)
        async with served(mosquitto, base) as (_, watch, (sim,)):
            await watch.until(lambda: f"{base}/kitchen/error" in watch.latest)
            told = json.loads(watch.latest[f"{base}/kitchen/error"])
            assert told["error"].startswith("a retained command is not obeyed")
            assert sim.ports[1] is True
        await early.client.publish(topic, b"", qos=1, retain=True)


async def test_a_command_to_a_strip_that_is_away_is_answered(mosquitto, base):
    async with served(mosquitto, base) as (_, watch, (sim,)):
        await sim.unplug()
        watch.seen.clear()
        await watch.client.publish(f"{base}/kitchen/port_1/set", b"OFF", qos=1)
        told = await watch.until_told(f"{base}/kitchen/error")
        assert f"{HOST}:{sim.http_port}" in told["error"]


async def test_a_strip_that_accepts_and_says_nothing_disturbs_nobody(mosquitto, base):
    async with served(mosquitto, base, 2) as (_, watch, (kitchen, desk)):
        kitchen.faults.delay_s = 3600.0
        await watch.client.publish(f"{base}/kitchen/port_1/set", b"OFF", qos=1)
        await watch.client.publish(f"{base}/desk/port_1/set", b"OFF", qos=1)
        await watch.until_is(f"{base}/desk/port_1/state", "OFF", within_s=1)
        assert desk.ports[1] is False
        await watch.until_is(f"{base}/kitchen/availability", "offline")
        assert watch.latest[f"{base}/desk/availability"] == "online"


# ---------------------------------------------------------------- more than one of all


async def leave_behind(watch: BrokerWatch, base: str, **changes: Any) -> None:
    """Publish what a gateway that was killed leaves on the broker."""
    config = {
        "device": {"identifiers": ["structiot_maxsmart_OLD"]},
        "origin": {"name": "structiot"},
        "availability": [
            {"topic": f"{base}/gateway/availability"},
            {"topic": f"{base}/old/availability"},
        ],
        "components": {"port_1": {"platform": "switch", "name": "Old"}},
    }
    for topic, payload in (
        (
            f"ha-{base}/device/structiot_maxsmart_OLD/config",
            json.dumps(config | changes),
        ),
        (f"{base}/old/availability", "online"),
        (f"{base}/old/port_1/state", "ON"),
    ):
        await watch.client.publish(topic, payload.encode(), qos=1, retain=True)


async def test_what_an_earlier_run_left_is_taken_away(mosquitto, base):
    async with watching(mosquitto.uri) as early:
        await leave_behind(early, base)
        async with served(mosquitto, base) as (_, watch, _):
            await watch.until_is(f"ha-{base}/device/structiot_maxsmart_OLD/config", "")
            await watch.until_is(f"{base}/old/port_1/state", "")
            assert await watch.retained(f"{base}/old/#") == {}


async def test_what_may_still_turn_up_is_shown_as_offline(mosquitto, base):
    async with watching(mosquitto.uri, f"{base}/#") as watch:
        await leave_behind(watch, base)
        section = {"discover": True, "broadcast": [HOST], "udp_port": 9}
        async with open_gateway(config_of(mosquitto.uri, base, section)):
            await watch.until_is(f"{base}/old/availability", "offline")
            retained = await watch.retained(f"ha-{base}/#")
            assert f"ha-{base}/device/structiot_maxsmart_OLD/config" in retained


async def test_announcements_go_when_they_are_no_longer_wanted(mosquitto, base):
    async with watching(mosquitto.uri, f"ha-{base}/#") as watch:
        await leave_behind(watch, base)
        section = {"discover": True, "broadcast": [HOST], "udp_port": 9}
        config = config_of(mosquitto.uri, base, section, discovery=False)
        async with open_gateway(config):
            await watch.until_is(f"ha-{base}/device/structiot_maxsmart_OLD/config", "")


async def test_what_others_announced_stays(mosquitto, base):
    async with watching(mosquitto.uri, f"{base}/#") as watch:
        await leave_behind(watch, base, origin={"name": "zigbee2mqtt"})
        before = await watch.retained(f"ha-{base}/#")
        section = {"discover": False, "devices": []}
        async with open_gateway(config_of(mosquitto.uri, base, section)):
            await watch.until_is(f"{base}/gateway/availability", "online")
            await anyio.sleep(2.5)
            assert await watch.retained(f"ha-{base}/#") == before
            assert watch.latest[f"{base}/old/availability"] == "online"


async def test_strips_are_found_and_a_listed_one_keeps_its_name(mosquitto, base):
    async with strips(1) as (sim,), watching(mosquitto.uri, f"{base}/#") as watch:
        section = {
            "discover": True,
            "broadcast": [HOST],
            "http_port": sim.http_port,
            "udp_port": sim.udp_port,
            "poll_s": 0.5,
            "devices": [{"host": "localhost", "name": "Kitchen"}],
        }
        await sim.unplug()
        async with open_gateway(config_of(mosquitto.uri, base, section)) as gateway:
            await sim.plug_in()
            await watch.until_is(f"{base}/kitchen/availability", "online")
            await watch.until(lambda: set(gateway.devices) == {"kitchen"})


async def test_a_strip_that_is_listed_nowhere_is_called_by_its_serial(mosquitto, base):
    async with strips(1) as (sim,), watching(mosquitto.uri, f"{base}/#") as watch:
        section = {
            "broadcast": [HOST],
            "http_port": sim.http_port,
            "udp_port": sim.udp_port,
            "poll_s": 0.5,
        }
        async with open_gateway(config_of(mosquitto.uri, base, section)):
            slug = f"maxsmart_{sim.serial.lower()}"
            await watch.until_is(f"{base}/{slug}/availability", "online")


async def test_a_device_that_is_listed_twice_is_kept_once(mosquitto, base, caplog):
    async with strips(1) as (sim,), watching(mosquitto.uri, f"{base}/#") as watch:
        section = section_of(sim)
        again = {**section["devices"][0], "host": "localhost", "name": "Twice"}
        section["devices"].append(again)
        async with open_gateway(config_of(mosquitto.uri, base, section)):
            await watch.until(
                lambda: any("it is the same device as" in m for m in caplog.messages)
            )
            states = (
                watch.latest.get(f"{base}/kitchen/availability"),
                watch.latest.get(f"{base}/twice/availability"),
            )
            assert sorted(map(str, states)) != ["online", "online"]


async def test_the_holder_of_a_gateway_sees_what_is_and_what_happens(mosquitto, base):
    async with (
        served(mosquitto, base) as (gateway, watch, _),
        gateway.events() as events,
    ):
        first = await anext(aiter(events))
        second = await anext(aiter(events))
        third = await anext(aiter(events))
        assert first == BrokerConnected()
        assert isinstance(second, DriverUpdate)
        assert (second.system, second.state) == ("maxsmart", "running")
        assert isinstance(third, DeviceUpdate)
        assert isinstance(third.event, Availability)
        await watch.client.publish(f"{base}/kitchen/port_2/set", b"OFF", qos=1)
        await watch.client.publish(f"{base}/kitchen/port_9/set", b"OFF", qos=1)
        seen: list[GatewayEvent] = []
        failures: list[CommandFailed] = []
        changed = DeviceUpdate(
            device="kitchen",
            event=StateChange(key="port_2", state=False, at_utc=AT),
        )
        done = CommandDone(device="kitchen", entity="port_2", payload="OFF")
        with anyio.fail_after(5):
            async for event in events:
                seen.append(at(event, AT))
                failures = [e for e in seen if isinstance(e, CommandFailed)]
                if changed in seen and done in seen and failures:
                    break
        failed = failures[0]
        assert (failed.device, failed.entity) == ("kitchen", "port_9")


def at(event: GatewayEvent, at_utc: datetime) -> GatewayEvent:
    """Give an event the time of the test."""
    if isinstance(event, DeviceUpdate):
        return replace(event, event=replace(event.event, at_utc=at_utc))
    return event
