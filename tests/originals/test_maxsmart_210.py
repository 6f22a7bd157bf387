"""The original maxsmart 2.1.0 finds, meters and switches simulated strips.

One test a row of the acceptance run in the protocol reference. Defects of the package
are expected as they are: they show that it is the original that runs here.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from structiot.sim import FAMILIES, Fault, FaultKind, sim_maxsmart, sim_maxsmart_fleet
from tests.originals.conftest import Original

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(100)]

STRIP = "127.0.0.2"
WATTS = [5.2, 0, 0, 0, 61.4, 0]
HTTP_FAMILIES = [name for name, family in FAMILIES.items() if family.has_http]
V3_ONLY = [name for name in FAMILIES if name not in HTTP_FAMILIES]
DEFAULT_NAMES = [f"Port {port}" for port in range(1, 7)]


# ---------------------------------------------------------------- discovery


async def test_row_1_a_strip_is_discovered_by_its_address(v210: Original):
    async with sim_maxsmart(STRIP, name="Desk") as sim:
        (record,) = await v210.do("discover", ip=STRIP)
    assert record == {
        "sn": sim.serial,
        "name": "Desk",
        "pname": DEFAULT_NAMES,
        "ip": STRIP,
        "ver": "1.30",
        "mac": "",
        "protocol": "http",
        "nr_of_ports": 6,
    }
    assert v210.seconds < 0.5


@pytest.mark.parametrize(("port_names", "pname"), [("absent", []), ("null", None)])
async def test_row_2_a_plug_has_one_port_and_no_names(
    v210: Original, port_names: Any, pname: Any
):
    family = replace(FAMILIES["mh_plug_130"], port_names=port_names)
    async with sim_maxsmart(STRIP, family=family):
        (record,) = await v210.do("discover", ip=STRIP)
    assert (record["nr_of_ports"], record["pname"]) == (1, pname)


@pytest.mark.parametrize("family", V3_ONLY)
async def test_row_3_devices_without_http_are_found_by_v3(v210: Original, family: str):
    async with sim_maxsmart(STRIP, family=family) as sim:
        (record,) = await v210.do("discover", ip=STRIP)
    assert (record["protocol"], record["sn"]) == ("udp_v3", sim.serial)
    assert record["nr_of_ports"] == sim.family.ports


@pytest.mark.parametrize("family", HTTP_FAMILIES)
async def test_row_4_http_is_preferred_even_where_v3_answers(
    v210: Original, family: str
):
    async with sim_maxsmart(STRIP, family=family) as sim:
        (record,) = await v210.do("discover", ip=STRIP)
    assert (record["protocol"], record["ver"]) == ("http", sim.family.firmware)


@pytest.mark.parametrize(
    ("arguments", "least_s", "most_s"), [({}, 6, 7), ({"timeout": 0.5}, 1.5, 3)]
)
async def test_row_5_a_broadcast_finds_every_strip_once(
    v210: Original, arguments: Any, least_s: float, most_s: float
):
    families = list(FAMILIES)
    async with sim_maxsmart_fleet(
        len(families), family=families, first_host=STRIP, broadcast=True
    ) as fleet:
        found = await v210.do("discover", **arguments)
        asked = [[r.channel for r in sim.requests] for sim in fleet.sims]
    assert {record["ip"]: record["sn"] for record in found} == {
        sim.host: sim.serial for sim in fleet.sims
    }
    assert len(found) == len(families)
    assert [channels.count("discovery") for channels in asked] == [3] * len(families)
    assert least_s <= v210.seconds <= most_s


# ---------------------------------------------------------------- initialising


@pytest.mark.parametrize("family", HTTP_FAMILIES)
async def test_row_6_a_device_with_http_initialises(v210: Original, family: str):
    async with sim_maxsmart(STRIP, family=family, name="Desk") as sim:
        await v210.start(STRIP)
        known = await v210.do(
            "get", "protocol", "strip_name", "port_names", "_watt_format",
            "sn", "name", "version",
        )  # fmt: skip
    assert known["protocol"] == "http"
    assert known["strip_name"] == "Desk"
    assert known["port_names"] == DEFAULT_NAMES
    is_text = sim.family.watts == "text_w"
    assert known["_watt_format"] == ("float_watt" if is_text else "int_milliwatt")
    # A defect (D1): these are never learned.
    assert [known[key] for key in ("sn", "name", "version")] == [None, None, None]


async def test_row_7_a_v3_device_without_a_hint_is_taken_for_http(v210: Original):
    async with sim_maxsmart(STRIP, family="revogi_511"):
        await v210.do("new", STRIP)
        # A defect (D1): auto-detection ends in "http".
        error, _ = await v210.error_of("call", "initialize_device")
    assert error == "ConnectionError"
    assert 6 < v210.seconds < 12


@pytest.mark.parametrize("family", V3_ONLY)
async def test_row_8_a_v3_device_with_hints_initialises(v210: Original, family: str):
    async with sim_maxsmart(STRIP, family=family) as sim:
        await v210.start(STRIP, protocol="udp_v3", sn=sim.serial)
        known = await v210.do("get", "_watt_format", "port_names")
    assert known == {"_watt_format": "int_milliwatt", "port_names": DEFAULT_NAMES}


# ---------------------------------------------------------------- switching, metering


def hints(family: str, serial: str) -> dict[str, str]:
    return {"protocol": "udp_v3", "sn": serial} if family in V3_ONLY else {}


@pytest.mark.parametrize("family", [n for n, f in FAMILIES.items() if f.ports == 6])
async def test_row_9_ports_are_switched_and_read(v210: Original, family: str):
    async with sim_maxsmart(STRIP, family=family) as sim:
        sim.ports[2] = False
        await v210.start(STRIP, **hints(family, sim.serial))
        for method, port in [
            ("turn_on", 2),
            ("turn_off", 0),
            ("turn_on", 0),
            ("turn_off", 3),
        ]:
            sim.requests.clear()
            await v210.call(method, port)
            is_on = method == "turn_on"
            assert {
                sim.ports[number] for number in (range(1, 7) if port == 0 else [port])
            } == {is_on}
            set_number, data_number = (20, 90) if family in V3_ONLY else (200, 511)
            assert [r.number for r in sim.requests] == [set_number, data_number]
        assert await v210.call("check_state") == [1, 1, 0, 1, 1, 1]
        assert await v210.call("check_state", 3) == 0


async def test_row_9_a_plug_is_switched(v210: Original):
    async with sim_maxsmart(STRIP, family="mh_plug_130") as sim:
        await v210.start(STRIP)
        await v210.call("turn_off", 1)
        assert not sim.ports[1]
        assert await v210.call("check_state") == [0]


@pytest.mark.parametrize("family", [n for n, f in FAMILIES.items() if f.ports == 6])
async def test_row_10_power_is_in_watts_whatever_the_family_writes(
    v210: Original, family: str
):
    async with sim_maxsmart(STRIP, family=family, loads=WATTS) as sim:
        for port in (2, 3, 4, 6):
            sim.ports[port] = False
        await v210.start(STRIP, **hints(family, sim.serial))
        data = await v210.call("get_data")
        assert data["switch"] == [1, 0, 0, 0, 1, 0]
        assert data["watt"] == pytest.approx(WATTS)
        assert await v210.call("get_power_data", 1) == {"watt": pytest.approx(5.2)}


async def test_row_11_clock_and_identifiers(v210: Original):
    async with sim_maxsmart(STRIP):
        await v210.start(STRIP)
        time = (await v210.call("get_device_time"))["time"]
        ids = await v210.call("get_device_identifiers")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d,\d\d:\d\d:\d\d", time)
    assert re.fullmatch(r"[0-9A-F]{24}", ids["cpuid"])
    assert ids["server"] == "www.maxsmart.ch"


@pytest.mark.parametrize(
    ("stat_type", "length", "name"),
    [(0, 24, "Hourly"), (1, 31, "Daily"), (2, 12, "Monthly")],
)
async def test_row_12_statistics(
    v210: Original, stat_type: int, length: int, name: str
):
    async with sim_maxsmart(STRIP, loads=[100] * 6, history=timedelta(days=500)) as sim:
        sim.set_tariff("0.30", 0)
        await v210.start(STRIP)
        await v210.do("set", version="1.30")
        one = await v210.call("get_statistics", 1, stat_type)
        total = await v210.call("get_statistics", 0, stat_type)
        local = sim.local_time()
    assert (one["type"], one["cost"], one["currency"]) == (name, 0.3, "€")
    assert (one["year"], one["month"]) == (local.year, local.month)
    assert len(one["watt"]) == length
    full = {0: [100], 1: [2400], 2: [2400 * days for days in (28, 29, 30, 31)]}
    assert set(one["watt"][:-1]) <= set(full[stat_type])
    assert total["watt"][:-1] == [6 * energy_wh for energy_wh in one["watt"][:-1]]
    assert 0 <= one["watt"][-1] <= max(full[stat_type])


async def test_row_13_names_are_changed_and_read_back(v210: Original):
    async with sim_maxsmart(STRIP) as sim:
        await v210.start(STRIP)
        await v210.do("set", version="1.30")
        assert await v210.call("change_port_name", 1, "TV é") is True
        assert await v210.call("change_port_name", 0, "Bar") is True
        names = await v210.call("retrieve_port_names")
        assert (sim.name, sim.port_names[0]) == ("Bar", "TV é")
    assert names == {"Port 0": "Bar", "Port 1": "TV é"} | {
        name: name for name in DEFAULT_NAMES[1:]
    }


async def test_row_14_without_a_version_neither_works(v210: Original):
    async with sim_maxsmart(STRIP):
        await v210.start(STRIP)
        # Defects (D1, D3).
        statistics, _ = await v210.error_of("call", "get_statistics", 1, 0)
        rename, _ = await v210.error_of("call", "change_port_name", 1, "TV")
    assert (statistics, rename) == ("AttributeError", "FirmwareError")


async def test_row_15_a_strip_is_healthy(v210: Original):
    async with sim_maxsmart(STRIP):
        await v210.start(STRIP)
        health = await v210.call("health_check")
    assert health["status"] == "healthy"
    assert health["response_time"] < 100


# ---------------------------------------------------------------- polling


async def test_row_16_polling_every_5_s_and_every_2_s_in_a_burst(v210: Original):
    async with sim_maxsmart(STRIP):
        await v210.start(STRIP)
        polls = await v210.do("poll", 25, 5.7)
    assert [mode for _, mode in polls] == ["normal"] * 2 + ["burst"] * 4 + [
        "normal"
    ] * 2
    expected_s = [0, 5, 10, 12, 14, 16, 18, 23]
    assert [at_s for at_s, _ in polls] == pytest.approx(expected_s, abs=0.5)


async def test_row_17_changes_are_noticed_once(v210: Original):
    async with sim_maxsmart(STRIP, loads=[10] * 6) as sim:
        await v210.start(STRIP)
        await v210.do("monitor", 0.3)
        assert await v210.do("changes", 1) == []
        sim.set_load(1, 11.5)
        ((kind, change),) = await v210.do("changes", 1)
        assert (kind, change["port"], change["change"]) == (
            "power",
            1,
            pytest.approx(1.5),
        )
        await sim.press(2)
        told = await v210.do("changes", 1)
    assert [(kind, change["port"]) for kind, change in told] == [
        ("power", 2),
        ("state", 2),
    ]
    assert told[1][1]["state_text"] == "OFF"


# ---------------------------------------------------------------- failures


@pytest.mark.parametrize("is_stuck", [True, False])
async def test_row_18_a_stuck_or_late_relay_is_noticed(v210: Original, is_stuck: bool):
    async with sim_maxsmart(STRIP) as sim:
        await v210.start(STRIP)
        if is_stuck:
            sim.faults.stuck_ports.add(1)
        else:
            sim.faults.relay_lag_s = 30
        # A defect (D3): it is a StateError that cannot be made.
        error, _ = await v210.error_of("call", "turn_off", 1)
    assert error == "AttributeError"


async def test_row_19_a_refusal_by_http_is_an_error_at_once(v210: Original):
    async with sim_maxsmart(STRIP) as sim:
        await v210.start(STRIP)
        sim.faults.refuse_next(on="200")
        error, _ = await v210.error_of("call", "turn_off", 1)
        assert sim.ports[1]
    assert error == "CommandError"
    assert v210.seconds < 1


async def test_row_19_a_refusal_by_v3_is_repeated_for_7_s(v210: Original):
    async with sim_maxsmart(STRIP, family="revogi_511") as sim:
        await v210.start(STRIP, protocol="udp_v3", sn=sim.serial)
        sim.faults.always(Fault(kind=FaultKind.REFUSE, on="20"))
        # A defect (D20).
        error, _ = await v210.error_of("call", "turn_off", 1)
    assert error == "ConnectionError"
    assert 6.5 < v210.seconds < 9


async def test_row_20_three_lost_requests_cost_a_second(v210: Original):
    async with sim_maxsmart(STRIP, loads=WATTS) as sim:
        await v210.start(STRIP)
        sim.faults.hang_up_next(3, on="511")
        data = await v210.call("get_data")
    assert data["watt"] == pytest.approx(WATTS)
    assert 0.9 < v210.seconds < 2


# ---------------------------------------------------------------- several at once


async def test_two_strips_of_different_firmware_are_driven_side_by_side(v210: Original):
    async with sim_maxsmart_fleet(
        2, family=["mh_strip_130", "mh_strip_211"], first_host=STRIP
    ) as fleet:
        for sim in fleet.sims:
            await v210.start(sim.host)
            await v210.call("turn_off", 4)
        assert [sim.ports[4] for sim in fleet.sims] == [False, False]
