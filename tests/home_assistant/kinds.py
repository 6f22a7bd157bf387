"""A system with one device that has every kind of entity of the model."""

from __future__ import annotations

from structiot.model import (
    BinarySensor,
    Button,
    Climate,
    ClimateState,
    Cover,
    CoverMotion,
    CoverState,
    DeviceInfo,
    Entity,
    Event,
    Fan,
    FanDirection,
    FanState,
    Light,
    LightState,
    Lock,
    LockState,
    Number,
    Select,
    Sensor,
    Siren,
    SirenState,
    State,
    StateChange,
    Switch,
    Text,
    Update,
    UpdateState,
)
from tests.gateway.scripted_driver import ScriptedDriver, scripted, source_of, stay
from tests.gateway.support import AT, ScriptedDevice

INFO = DeviceInfo(
    id="K1",
    system="kinds",
    name="Every kind",
    manufacturer="structiot",
    model="All",
    firmware="1",
    hardware="A",
    serial="K1",
    mac="020000000a01",
    url="http://127.0.0.1/",
)
KWH = "kWh"


def kwh(key: str, name: str) -> Sensor:
    return Sensor(
        key=key,
        name=name,
        device_class="energy",
        unit=KWH,
        state_class="total_increasing",
        decimals=3,
    )


# What has no state is beside None.
KINDS: tuple[tuple[Entity, State | None], ...] = (
    (Switch(key="relay", name="Relay", device_class="outlet"), True),
    (kwh("energy", "Energy"), 12.5),
    (kwh("port_1_energy", "Port 1 energy"), 0.125),
    (
        Sensor(
            key="power",
            name="Power",
            device_class="power",
            unit="W",
            state_class="measurement",
            decimals=1,
        ),
        40.0,
    ),
    (Sensor(key="phase", name="Phase", options=("wash", "spin")), "wash"),
    (Sensor(key="word", name="Word", category="diagnostic"), "hello"),
    (BinarySensor(key="leak", name="Leak", device_class="moisture"), False),
    (Button(key="restart", name="Restart", device_class="restart"), None),
    (
        Event(key="bell", name="Bell", device_class="doorbell", event_types=("ring",)),
        None,
    ),
    (
        Number(key="limit", name="Limit", minimum=0, maximum=100, step=0.5, unit="W"),
        20.0,
    ),
    (Select(key="spray", name="Spray", options=("off", "on")), "off"),
    (Text(key="sign", name="Sign", max_length=40), "Open"),
    (Text(key="pin", name="PIN", min_length=4, max_length=4, pattern="[0-9]*"), "0000"),
    (Lock(key="gate", name="Gate", can_open=True), LockState.LOCKED),
    (
        Light(
            key="lamp",
            name="Lamp",
            color_modes=frozenset({"brightness", "color_temp", "rgb"}),
            min_color_temp_k=2700,
            max_color_temp_k=6500,
            effects=("rainbow",),
        ),
        LightState(is_on=True, brightness_percent=50.0, color_temp_k=3000),
    ),
    (Light(key="bulb", name="Bulb"), LightState(is_on=False)),
    (
        Cover(key="blind", name="Blind", has_position=True, has_stop=True),
        CoverState(motion=CoverMotion.STOPPED, position_percent=30),
    ),
    (
        Climate(
            key="valve", name="Valve", modes=("off", "heat"), presets=("eco", "away")
        ),
        ClimateState(mode="heat", target_c=21.0, current_c=20.5, preset="eco"),
    ),
    (
        Fan(
            key="fan",
            name="Fan",
            speed_steps=3,
            presets=("breeze",),
            can_oscillate=True,
            has_direction=True,
        ),
        FanState(
            is_on=True,
            speed_percent=66.0,
            is_oscillating=True,
            direction=FanDirection.FORWARD,
        ),
    ),
    (
        Siren(key="siren", name="Siren", tones=("fire", "1"), has_volume=True),
        SirenState(is_on=False, tone="fire", volume_percent=50.0),
    ),
    (
        Update(key="firmware", name="Firmware", can_install=True),
        UpdateState(installed="1.0", latest="1.1"),
    ),
)


def kinds_device() -> ScriptedDevice:
    """Make the device; it tells all of its states whenever it is opened."""
    device = ScriptedDevice(INFO, [entity for entity, _ in KINDS])
    device.first += [
        StateChange(key=entity.key, state=state, at_utc=AT)
        for entity, state in KINDS
        if state is not None
    ]
    return device


def kinds_driver(device: ScriptedDevice, name: str | None) -> type[ScriptedDriver]:
    """Make the driver that names it."""

    async def name_it(driver: ScriptedDriver) -> None:
        driver.registry.add(source_of(device, name=name))
        await stay(driver)

    return scripted(name_it, system="kinds")
