"""What is plugged in in the house: energy is the integral of power, and a day's is believable."""

from __future__ import annotations

import pytest

from structiot.sim.house.appliances import APPLIANCES, DailyLoad, SolarPanel, at_hours
from structiot.sim.house.cloud import MEROSS, meross_residents
from structiot.sim.house.dialled import dialled_residents
from structiot.sim.house.residents import USUAL, named_on, shares
from structiot.sim.house.strips import STRIPS, strip_residents

DAY_S = 86_400
STEP_S = 20
# Somewhere, and not at midnight.
BEGIN_S = 19_000 * DAY_S + 23_456


@pytest.mark.parametrize("name", APPLIANCES)
def test_energy_is_the_integral_of_power(name: str):
    load = APPLIANCES[name]
    times = range(BEGIN_S, BEGIN_S + DAY_S, STEP_S)
    summed_wh = sum(load.power_w(at + STEP_S / 2) * STEP_S / 3600 for at in times)
    energy_wh = load.energy_wh(BEGIN_S, BEGIN_S + DAY_S)
    assert energy_wh == pytest.approx(summed_wh, rel=0.03, abs=3)
    half_s = BEGIN_S + DAY_S / 2
    halves = load.energy_wh(BEGIN_S, half_s), load.energy_wh(half_s, BEGIN_S + DAY_S)
    assert sum(halves) == pytest.approx(energy_wh)


def test_a_day_takes_what_a_household_takes():
    strips = {name for plan in STRIPS for name in plan.plugged}
    circuits = {name for plan in MEROSS for name in plan.metered} - strips
    kwh = {
        name: load.energy_wh(BEGIN_S, BEGIN_S + DAY_S) / 1000
        for name, load in APPLIANCES.items()
    }
    used = sum(kwh[name] for name in strips | circuits if name != "Solar")
    assert 10 < used < 30
    assert -8 < kwh["Solar"] < -4
    assert 0.5 < kwh["Fridge"] < 1.2
    assert 1 < kwh["Washing machine"] < 2
    assert min(power for name, power in kwh.items() if name != "Solar") > 0


def test_loads_that_overlap_add_up():
    load = at_hours((1, 3, 100), (2, 4, 50), idle_w=2, ripple=0)
    assert [load.power_w(hour * 3600) for hour in (0, 1, 2, 3, 4)] == [
        2,
        102,
        152,
        52,
        2,
    ]
    assert load.energy_wh(0, DAY_S) == pytest.approx(200 + 100 + 48)
    assert DailyLoad(parts=()).power_w(5) == 0


def test_the_sun_gives_nothing_at_night():
    panel = SolarPanel(peak_w=1000, sunrise=6, sunset=18)
    assert panel.power_w(5 * 3600) == panel.power_w(19 * 3600) == 0
    assert panel.power_w(12 * 3600) == -1000
    assert panel.energy_wh(20 * 3600, 28 * 3600) == 0


def on_the_page(devices: int) -> dict[str, int]:
    """Count the devices of a house by system, as its gateway has them."""
    counts = shares(devices)
    account = 1
    return {
        "maxsmart": len(strip_residents(counts["maxsmart"])),
        "meross": len(meross_residents(counts["meross"])) + account,
        "manager": len(dialled_residents(counts["manager"])),
    }


@pytest.mark.parametrize("devices", [*range(4, 130), 300, 1000])
def test_a_house_of_any_size_has_just_that_many_devices(devices: int):
    found = on_the_page(devices)
    assert sum(found.values()) == devices
    assert min(found.values()) >= 1
    if devices >= 50:
        for system, count in USUAL.items():
            assert found[system] == pytest.approx(count * devices / 50, abs=7)


def test_the_usual_house_has_fifty():
    assert on_the_page(sum(USUAL.values())) == USUAL
    assert shares(50) == {"maxsmart": 3, "meross": 10, "manager": 30}


def test_names_go_on_with_numbers():
    assert [named_on("ab", number) for number in range(4)] == [
        ("a", ""),
        ("b", ""),
        ("a", " 2"),
        ("b", " 2"),
    ]
