"""What a log tells: everything that was said, by its host, but no key."""

from __future__ import annotations

import json
import logging

import anyio
import pytest

from structiot.maxsmart.wire.messages import HttpNumber, V3Number
from structiot.sim import Fault, FaultKind
from tests.link.maxsmart.strips import HOST, bench

pytestmark = pytest.mark.virtual_time

# Commands that reset, bind, calibrate or move a device to another network.
HARMFUL_HTTP = {1, 2, 3, 5, 120, 121, 122, 125}
HARMFUL_V3 = {30, 73}


@pytest.mark.parametrize("family", ["mh_strip_130", "mh_strip_211", "revogi_511"])
async def test_debug_logging_shows_what_a_device_says_as_it_says_it(family, caplog):
    caplog.set_level(logging.DEBUG, "structiot.maxsmart")
    async with bench(family, sim={"loads": [61.4, 0, 0, 0, 0, 0]}) as b:
        await b.strip.get_data()
    raw = "'61.40'" if family == "mh_strip_130" else "61400"
    assert f"{HOST}: ReadData: 200 {{'data': {{'watt': [{raw}, " in caplog.text


async def test_keys_are_hidden_wherever_a_reply_has_them(caplog):
    caplog.set_level(logging.DEBUG, "structiot")

    def with_key(content: bytes) -> bytes:
        return json.dumps({**json.loads(content), "sak": "00112233AABB"}).encode()

    async with bench() as b:
        b.sim.faults.always(Fault(kind=FaultKind.CHANGE, on="511", change=with_key))
        await b.strip.get_data()
        found = await b.strip.get_device_identifiers()
    assert found.plc_key is not None
    assert "'sak': '***'" in caplog.text
    assert "'plcdak': '***'" in caplog.text
    assert "00112233AABB" not in caplog.text
    assert found.plc_key.reveal() not in caplog.text


async def test_an_hour_of_trouble_without_an_answer_is_two_lines_by_default(caplog):
    caplog.set_level(logging.INFO, "structiot")
    async with bench() as b, b.strip.readings():
        await anyio.sleep(60)
        b.sim.faults.is_silent = True
        await anyio.sleep(3600)
        b.sim.faults.clear()
        await anyio.sleep(120)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert {record.name.partition(".")[0] for record in caplog.records} == {"structiot"}


def test_commands_that_reset_or_bind_a_device_are_not_even_known():
    assert HARMFUL_HTTP.isdisjoint(HttpNumber)
    assert HARMFUL_V3.isdisjoint(V3Number)


def in_milliwatts(*figures: int) -> Fault:
    """Have data tell these figures, beginning with port 1."""

    def change(content: bytes) -> bytes:
        members = json.loads(content)
        watts = members["data"]["watt"]
        members["data"]["watt"] = [*figures, *watts[len(figures) :]]
        return json.dumps(members).encode()

    return Fault(kind=FaultKind.CHANGE, on="511", change=change)


async def test_figures_that_cannot_be_are_said_once_and_not_counted(caplog):
    async with bench("mh_strip_211", sim={"loads": [50.0] * 6}) as b:
        b.sim.faults.always(in_milliwatts(-8_388_608, 4_294_967_295))
        async with b.strip.readings():
            await anyio.sleep(300)
            data = await b.strip.get_data()
        assert data.power_w[:3] == (None, None, 50.0)
        assert data.total_power_w is None
        assert b.strip.states["port_1_power"] is None
        assert b.strip.states["port_1_energy"] == 0
        assert b.strip.states["port_3_energy"] == pytest.approx(0.004)
    lines = [message for message in caplog.messages if "cannot be" in message]
    (line,) = lines
    assert "-8388.61 W at port 1, 4.29497e+06 W at port 2" in line
    assert HOST in line
