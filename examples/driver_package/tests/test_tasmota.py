"""The plug by itself, and its driver by the tests that every driver passes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from structiot_tasmota import open_plug
from structiot_tasmota.driver import TasmotaDriver
from structiot_tasmota.simulator import TasmotaSim

from structiot import ConfigError, Environment, ProtocolViolation, load_config
from structiot.testing import DriverConformance


class TestTasmotaDriver(DriverConformance):
    driver = TasmotaDriver


@pytest.mark.usefixtures("virtual_time")
async def test_a_plug_is_switched_and_metered(environment: Environment) -> None:
    async with (
        TasmotaSim("10.0.0.5", load_w=60, environment=environment) as sim,
        open_plug(sim.host, port=sim.http_port, environment=environment) as plug,
        plug.readings() as readings,
    ):
        assert plug.info.mac == "020000000001"
        await plug.command("relay", True)
        async for reading in readings:
            if reading.power_w:
                break
        assert (sim.outlet.is_on, reading.power_w) == (True, 60)


@pytest.mark.usefixtures("virtual_time")
async def test_what_is_no_tasmota_is_refused(environment: Environment) -> None:
    async with TasmotaSim("10.0.0.5", environment=environment) as sim:
        sim.faults.garble_next()
        with pytest.raises(ProtocolViolation):
            async with open_plug(sim.host, port=sim.http_port, environment=environment):
                pass


def test_the_demonstration_shows_it() -> None:
    program = [sys.executable, "-m", "structiot", "demo", "--seconds", "6"]
    demo = subprocess.run(program, capture_output=True, text=True, check=True)
    assert "plug_1 relay on" in demo.stdout


def test_a_slip_in_the_section_is_said_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "structiot.toml"
    file.write_text('[tasmota]\npoll_s = 5\n[[tasmota.devices]]\nhostt = "10.0.0.5"\n')
    with pytest.raises(ConfigError, match=r":4:1: .*did you mean 'host'"):
        load_config(file)
