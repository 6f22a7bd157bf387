"""The original maxsmart 2.0.4, the better client for what firmware 1.30 can do."""

from __future__ import annotations

from datetime import timedelta

import pytest

from structiot.sim import sim_maxsmart, sim_maxsmart_fleet
from tests.originals.conftest import Original

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(100)]

STRIP = "127.0.0.2"


async def test_row_21_discovery_tells_the_hardware_identifiers(v204: Original):
    async with sim_maxsmart(STRIP) as sim:
        (record,) = await v204.do("discover", ip=STRIP)
    assert record["sn"] == record["primary_id"] == sim.serial
    assert record["unique_id"] == f"cpu_{record['cpuid']}"
    assert len(record["cpuid"]) == 24
    # A defect: it reads misspelt names.
    assert [record[key] for key in ("pclmac", "pcldak", "cloud_server")] == ["", "", ""]


async def test_row_21_a_strip_without_identifiers_is_discovered_too(v204: Original):
    async with sim_maxsmart(STRIP, family="revogi_349"):
        (record,) = await v204.do("discover", ip=STRIP)
    assert record["hw_ids"] == {}
    assert record["unique_id"] == "ip_127_0_0_2"


async def test_row_21_a_broadcast_finds_every_strip_once(v204: Original):
    async with sim_maxsmart_fleet(
        3,
        family=["mh_strip_130", "mh_strip_211", "mh_plug_130"],
        first_host=STRIP,
        broadcast=True,
    ) as fleet:
        found = await v204.do("discover", timeout=0.5)
    assert {record["ip"]: record["sn"] for record in found} == {
        sim.host: sim.serial for sim in fleet.sims
    }


async def test_row_22_a_device_learns_who_it_is(v204: Original):
    async with sim_maxsmart(STRIP, name="Desk") as sim:
        await v204.start(STRIP)
        known = await v204.do("get", "sn", "name", "version", "_watt_format")
    assert known == {
        "sn": sim.serial,
        "name": "Desk",
        "version": "1.30",
        "_watt_format": "float_watt",
    }


async def test_row_22_statistics_and_rename_need_no_help(v204: Original):
    async with sim_maxsmart(STRIP, loads=[100] * 6, history=timedelta(days=2)) as sim:
        await v204.start(STRIP)
        hours = await v204.call("get_statistics", 1, 0)
        assert hours["watt"][:-1] == [100] * 23
        assert await v204.call("change_port_name", 1, "TV é") is True
        assert sim.port_names[0] == "TV é"


@pytest.mark.parametrize(
    ("family", "watt_format"),
    [("mh_strip_130", "float_watt"), ("mh_strip_211", "int_milliwatt")],
)
async def test_a_strip_is_metered_and_switched(
    v204: Original, family: str, watt_format: str
):
    async with sim_maxsmart(STRIP, family=family, loads=[5.2, 0, 0, 0, 61.4, 0]) as sim:
        await v204.start(STRIP)
        assert (await v204.do("get", "_watt_format"))["_watt_format"] == watt_format
        assert (await v204.call("get_data"))["watt"] == pytest.approx(
            [5.2, 0, 0, 0, 61.4, 0]
        )
        await v204.call("turn_off", 5)
        assert list(sim.ports.values()) == [True] * 4 + [False, True]
        await v204.call("turn_on", 5)
        assert all(sim.ports.values())
        assert await v204.call("check_state") == [1] * 6
