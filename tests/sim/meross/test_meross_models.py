"""Each model answers every ability it lists, and digests agree with namespaces."""

from __future__ import annotations

from typing import Any

import pytest

from structiot.errors import UsageError
from structiot.meross.wire.envelope import Method
from structiot.sim.meross import MEROSS_MODELS, MerossDeviceSim
from structiot.sim.meross.time_rules import zone_named
from tests.sim.meross.raw_meross import asked

pytestmark = pytest.mark.virtual_time

# Nobody asks for these: they are set, or told.
NOT_ASKED = {
    f"Appliance.{name}"
    for name in [
        "Config.Key",
        "Config.Wifi",
        "Config.WifiX",
        "Control.Bind",
        "Control.Unbind",
        "Control.Upgrade",
        "Control.Multiple",
        "System.Clock",
        "System.Report",
        "Encrypt.ECDHE",
        "Hub.Bind",
        "Hub.Unbind",
        "Hub.SubdeviceList",
        "Hub.Exception",
        "Hub.Report",
        "Hub.ToggleX",
        "Hub.SubDevice.Beep",
        "Hub.SubDevice.MotorAdjust",
    ]
}
KEYS = {
    "ToggleX": "togglex",
    "DNDMode": "DNDMode",
    "ElectricityX": "electricity",
    "ConsumptionH": "consumptionH",
    "ModeC": "control",
    "LatestX": "latest",
    "FilterMaintenance": "filter",
    "PhysicalLock": "lock",
    "MultipleConfig": "config",
    "Smoke": "smokeAlarm",
}
QUERIES = {"Control.FilterMaintenance", "Control.PhysicalLock", "RollerShutter.Adjust"}


def payload_of(device: MerossDeviceSim, name: str, payload: Any = None) -> Any:
    """Ask for something by GET, and give the payload of what comes."""
    if name == "Control.Sensor.LatestX":
        payload = {"latest": [{"channel": 0, "data": ["presence", "light"]}]}
    answer = device.answer(asked("GET", f"Appliance.{name}", payload or {}))
    assert answer is not None
    assert answer.method is Method.GETACK, (name, answer)
    return answer.payload


@pytest.mark.parametrize("model", MEROSS_MODELS)
async def test_every_ability_is_answered(model: str):
    device = MerossDeviceSim(model)
    abilities = payload_of(device, "System.Ability")["ability"]
    for namespace in set(abilities) - NOT_ASKED:
        name = namespace.removeprefix("Appliance.")
        found = payload_of(device, name)
        key = KEYS.get(name.rpartition(".")[2])
        assert key is None or key in found, (name, found)
        if name in QUERIES:
            answer = device.answer(asked("PUSH", namespace, {}))
            assert answer is not None
            assert answer.method is Method.PUSH
            assert answer.payload == found


@pytest.mark.parametrize("model", MEROSS_MODELS)
async def test_the_digest_agrees_with_the_namespaces(model: str):
    device = MerossDeviceSim(model)
    digest = payload_of(device, "System.All")["all"].get("digest", {})
    where = {
        "togglex": "Control.ToggleX",
        "light": "Control.Light",
        "spray": "Control.Spray",
        "fan": "Control.Fan",
        "garageDoor": "GarageDoor.State",
    }
    for key, name in where.items():
        if key in digest:
            told = next(
                v for k, v in payload_of(device, name).items() if k in {key, "state"}
            )
            listed = digest[key]
            assert told in (
                listed,
                listed[0] if isinstance(listed, list) and listed else None,
            )
    if "thermostat" in digest:
        for key, listed in digest["thermostat"].items():
            name = f"Control.Thermostat.{key[0].upper()}{key[1:]}"
            assert payload_of(device, name)[key] == listed
    if "hub" in digest:
        assert payload_of(device, "Digest.Hub")["hub"] == digest["hub"]


async def test_the_abilities_of_a_plug_are_those_of_the_reference():
    abilities = payload_of(MerossDeviceSim("mss310"), "System.Ability")["ability"]
    names = {
        name.removeprefix("Appliance."): given for name, given in abilities.items()
    }
    assert names.pop("Control.Multiple") == {"maxCmdNum": 5}
    assert names.pop("Control.TimerX") == {"sunOffsetSupport": 1}
    assert set(map(str, names.values())) == {"{}"}
    assert set(names) == {
        *(f"Config.{name}" for name in ("Key", "WifiList", "Wifi", "Trace")),
        *(f"System.{name}" for name in ("All", "Hardware", "Firmware", "Debug")),
        *(f"System.{name}" for name in ("Online", "Time", "Clock", "Ability")),
        *(f"System.{name}" for name in ("Runtime", "Report", "Position", "DNDMode")),
        *(f"Control.{name}" for name in ("ToggleX", "TriggerX", "Bind", "Unbind")),
        *(f"Control.{name}" for name in ("Upgrade", "ConsumptionX", "Electricity")),
        "Control.ConsumptionConfig",
        "Digest.TriggerX",
        "Digest.TimerX",
    }


# By the reference, 5.1: type, hardware, firmware, most commands in a batch.
@pytest.mark.parametrize(
    ("model", "hardware", "firmware", "most"),
    [
        ("mss310_hw1", "1.0.0", "1.1.18", None),
        ("mss110", "7.0.0", "7.3.37", 3),
        ("mss305", "8.0.0", "8.3.15", 3),
        ("msl320cpr", "4.0.0", "4.3.8", 3),
        ("msl450", "7.0.0", "7.3.9", 5),
        ("msxh0", "3.0.0", "3.1.5", 5),
        ("mod100", "3.0.0", "3.1.5", 5),
        ("msg100", "4.0.0", "4.2.1", 5),
        ("msg200", "4.0.0", "4.2.8", 5),
        ("mrs100", "7.0.0", "7.6.10", 5),
        ("map100", "7.0.0", "7.2.27", 5),
        ("mfc100", "7.0.0", "7.3.14", 3),
        ("hp110ahk", "4.0.0", "4.1.12", 5),
        ("mts200", "7.0.0", "7.6.7", 3),
        ("mts960", "4.0.0", "4.2.6", 3),
        ("mts300", "9.0.0", "9.1.12", 3),
        ("ms600", "9.0.0", "9.3.22", 3),
        ("em06", "2.0.0", "2.3.8", 3),
        ("msh300hk", "4.0.0", "4.5.32", 5),
    ],
)
async def test_a_model_is_as_it_was_seen(
    model: str, hardware: str, firmware: str, most: int | None
):
    device = MerossDeviceSim(model)
    system = payload_of(device, "System.All")["all"]["system"]
    assert system["hardware"]["type"] == model.partition("_")[0]
    assert system["hardware"]["version"] == hardware
    assert system["firmware"]["version"] == firmware
    abilities = payload_of(device, "System.Ability")["ability"]
    batches = abilities.get("Appliance.Control.Multiple")
    assert batches == (None if most is None else {"maxCmdNum": most})


@pytest.mark.parametrize("model", ["ms600", "mts300", "em06"])
async def test_some_have_an_empty_digest(model: str):
    assert payload_of(MerossDeviceSim(model), "System.All")["all"]["digest"] == {}


async def test_what_is_not_there_is_refused():
    with pytest.raises(UsageError, match="no model 'mss999'; there are mss310, "):
        MerossDeviceSim("mss999")
    with pytest.raises(UsageError, match="mss310 meters 1 loads, not 2"):
        MerossDeviceSim(loads=[1, 2])
    plug = MerossDeviceSim()
    with pytest.raises(UsageError, match="mss310 has no relay 3"):
        plug.press(3)
    with pytest.raises(UsageError, match="mss310 has no door"):
        plug.move_door(is_open=True)
    with pytest.raises(UsageError, match=r"does not know Appliance\.Control\.Light"):
        plug.set_state("Appliance.Control.Light", {"luminance": 1})


def test_a_time_zone_has_to_be_known():
    with pytest.raises(
        UsageError, match="no time zone 'Mars/Olympus' on this computer"
    ):
        zone_named("Mars/Olympus")
