"""The energy that the power of a meter has come to."""

from __future__ import annotations

from datetime import timedelta

from structiot.meross.features.energy_count import EnergyCount
from structiot.model import Sensor
from tests.wire.meross.features import NOW, about, keys


def told(power_mw: int, channel: int = 0) -> dict[str, object]:
    item = {"channel": channel, "current": 0, "voltage": 2304, "power": power_mw}
    return {"electricity": item}


def test_power_over_time_is_energy_in_whole_watt_hours():
    meter = EnergyCount(about("Control.Electricity"))
    (entity,) = meter.entities
    assert isinstance(entity, Sensor)
    assert (entity.key, entity.unit, entity.device_class, entity.state_class) == (
        "energy",
        "kWh",
        "energy",
        "total_increasing",
    )
    assert not entity.is_periodic
    seen = []
    for minute in range(61):
        at_utc = NOW + timedelta(minutes=minute)
        update = meter.take("Appliance.Control.Electricity", told(1_200_500), at_utc)
        seen.append(update.states["energy"])
    assert seen[0] == 0
    assert (seen[1], seen[-1]) == (0.020, 1.2)


def test_what_is_fed_back_or_was_not_read_is_not_counted():
    meter = EnergyCount(about("Control.Electricity"))
    readings = ((0, -900_000), (60, -900_000), (120, 600_000), (3720, 600_000))
    seen = []
    for second, power_mw in readings:
        at_utc = NOW + timedelta(seconds=second)
        update = meter.take("Appliance.Control.Electricity", told(power_mw), at_utc)
        seen.append(update.states)
    # Half a minute of 600 W, as the power rises from none.
    assert seen == [{"energy": 0.0}] * 2 + [{"energy": 0.005}] * 2


def test_each_circuit_is_counted_by_itself():
    meter = EnergyCount(about("Control.ElectricityX", model="em06"))
    assert meter.entities == ()
    updates = []
    for second in (0, 60):
        at_utc = NOW + timedelta(seconds=second)
        items = [
            {"channel": channel, "voltage": 230_000, "current": 0, "power": power_mw}
            for channel, power_mw in ((1, 60_000), (2, 600_000))
        ]
        updates.append(
            meter.take("Appliance.Control.ElectricityX", {"electricity": items}, at_utc)
        )
    assert [one.entities_changed for one in updates] == [True, False]
    assert keys(meter) == ["energy_1", "energy_2"]
    assert updates[-1].states == {"energy_1": 0.001, "energy_2": 0.01}
