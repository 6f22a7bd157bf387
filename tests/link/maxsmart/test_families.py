"""Every command on every firmware family: works, is not supported, or is refused.

What the devices say and what shall come of it stands in `golden/maxsmart/families`,
written from the reference.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from structiot import Environment
from structiot.errors import UnsupportedDevice, UsageError
from structiot.maxsmart import (
    Capability,
    MaxSmartRefused,
    MaxSmartStrip,
    PowerChanged,
    StripChange,
    StripStatistics,
    maxsmart_device,
)
from structiot.sim import FAMILIES, sim_maxsmart
from structiot.testing import MemoryNetwork
from tests._support.golden import golden_json
from tests.link.maxsmart.golden_strip import golden_strip
from tests.link.maxsmart.strips import HOST, WallClock

pytestmark = pytest.mark.virtual_time

NAME = "Büro & Co"


def sample_of(family: str) -> dict[str, Any]:
    sample: dict[str, Any] = golden_json(f"maxsmart/families/{family}")
    return sample


async def info(strip: MaxSmartStrip) -> object:
    said = strip.info
    names = ("id", "serial", "name", "firmware", "mac", "port_count")
    return {
        **{name: getattr(said, name) for name in names},
        "port_names": list(said.port_names),
    }


async def data(strip: MaxSmartStrip) -> object:
    found = await strip.get_data()
    return {"is_on": list(found.is_on), "power_w": list(found.power_w)}


def loaded_port(strip: MaxSmartStrip) -> int:
    return 1 if strip.info.port_count == 1 else 5


async def power(strip: MaxSmartStrip) -> object:
    return (await strip.get_power_data(loaded_port(strip))).power_w


async def readings(strip: MaxSmartStrip) -> object:
    async with strip.readings() as box:
        found = [await anext(box) for _ in range(strip.info.port_count)]
    return [[reading.port, reading.power_w] for reading in found]


async def changes(strip: MaxSmartStrip) -> object:
    async with strip.changes() as box:
        await anyio.sleep(1)
        await strip.turn_off(loaded_port(strip))
        return [in_words(await anext(box)) for _ in range(2)]


def in_words(change: StripChange) -> list[object]:
    if isinstance(change, PowerChanged):
        return ["power", change.port, change.previous_w, change.power_w]
    return ["state", change.port, change.previous, change.is_on]


def statistics(period: Any) -> Callable[[MaxSmartStrip], Awaitable[object]]:
    async def ask(strip: MaxSmartStrip) -> object:
        found: StripStatistics = await strip.get_statistics(0, period)
        return {
            "newest": found.points[-1].start.isoformat(),
            "points": len(found.points),
            "energy_wh": found.energy_wh,
            "currency": found.currency,
        }

    return ask


async def names(strip: MaxSmartStrip) -> object:
    return list(await strip.retrieve_port_names())


async def time(strip: MaxSmartStrip) -> object:
    return (await strip.get_device_time()).isoformat()


async def set_time(strip: MaxSmartStrip) -> object:
    shown = await strip.set_device_time()
    return None if shown is None else shown.isoformat()


async def identifiers(strip: MaxSmartStrip) -> object:
    return [one.value for one in (await strip.get_device_identifiers()).ranked]


async def health(strip: MaxSmartStrip) -> object:
    found = await strip.health_check()
    assert found.is_reachable
    assert found.latency_s is not None
    return found.transport


COMMANDS: dict[str, Callable[[MaxSmartStrip], Awaitable[object]]] = {
    "info": info,
    "turn_off": lambda strip: strip.turn_off(loaded_port(strip)),
    "turn_on": lambda strip: strip.turn_on(),
    "turn_on no such port": lambda strip: strip.turn_on(7),
    "check_state": lambda strip: strip.check_state(),
    "get_data": data,
    "get_power_data": power,
    "readings": readings,
    "changes": changes,
    "statistics hourly": statistics("hourly"),
    "statistics daily": statistics("daily"),
    "statistics monthly": statistics("monthly"),
    "retrieve_port_names": names,
    "rename device": lambda strip: strip.change_port_name(0, NAME),
    "rename port": lambda strip: strip.change_port_name(1, NAME),
    "get_device_time": time,
    "set_device_time": set_time,
    "get_device_identifiers": identifiers,
    "health_check": health,
}
FAILURES: dict[str, type[Exception]] = {
    "unsupported": UnsupportedDevice,
    "unsupported unasked": UnsupportedDevice,
    "refused": MaxSmartRefused,
    "usage": UsageError,
}


def test_every_family_says_what_comes_of_every_command():
    for family in FAMILIES:
        assert set(sample_of(family)["outcomes"]) == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("family", FAMILIES)
async def test_command(family, command):
    sample = sample_of(family)
    expected = sample["outcomes"][command]
    network = MemoryNetwork()
    async with (
        golden_strip(sample, HOST, network) as device,
        maxsmart_device(
            HOST,
            environment=Environment(network=network, clock=WallClock()),
        ) as strip,
    ):
        asked_before = len(device.sent)
        failure = FAILURES.get(expected["outcome"])
        if failure is None:
            assert await COMMANDS[command](strip) == expected.get("value")
        else:
            with pytest.raises(failure):
                await COMMANDS[command](strip)
        sent = device.sent[asked_before:]
        if "sent" in expected:
            assert expected["sent"] in sent
        if expected["outcome"] in {"usage", "unsupported unasked"}:
            assert sent == []
        # Whatever came of it, the next command is none the worse for it.
        assert await strip.check_state(1) is not None


@pytest.mark.parametrize("family", FAMILIES)
async def test_what_is_known_of_a_family_agrees_with_what_it_does(family):
    """Nothing that works is said not to; what is said to work does."""
    sample = sample_of(family)
    network = MemoryNetwork()
    shown: dict[Capability, str] = {
        "statistics": "statistics daily",
        "rename": "rename device",
        "clock": "get_device_time",
    }
    async with (
        golden_strip(sample, HOST, network),
        maxsmart_device(
            HOST,
            environment=Environment(network=network, clock=WallClock()),
        ) as strip,
    ):
        for capability, command in shown.items():
            works = sample["outcomes"][command]["outcome"] == "works"
            assert strip.supports(capability) in {works, None}


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_strip_is_said_to_be_by_who_has_made_it(family):
    environment = Environment(network=MemoryNetwork())
    made_by = "Max Hauri" if family.startswith("mh_") else "Revogi"
    async with (
        sim_maxsmart(HOST, family=family, environment=environment),
        maxsmart_device(HOST, environment=environment) as strip,
    ):
        assert strip.info.manufacturer == made_by
