"""`structiot sim`: devices for the shell."""

from __future__ import annotations

import json
import resource
import signal

import pytest

from structiot.cli.main import run_program
from structiot.maxsmart import maxsmart_device
from structiot.sim import FAMILIES, NAMED_FAULTS
from tests.e2e.processes import running, structiot

SIM = ("sim", "maxsmart", "--http-port=0", "--udp-port=0", "--json")


def test_families_and_faults_are_listed(capsys):
    assert run_program(["sim", "families", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in listed] == list(FAMILIES)
    assert listed[0]["statistics"] is True
    assert run_program(["sim", "families"]) == 0
    shown = capsys.readouterr().out
    assert "mh2_plug" in shown
    assert "True" not in shown
    assert "False" not in shown
    assert run_program(["sim", "faults", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {row["name"]: row["what"] for row in listed} == NAMED_FAULTS


def test_a_fault_that_does_not_exist_is_a_wrong_argument(capsys):
    assert run_program([*SIM, "--fault", "sulk"]) == 2
    assert "no fault 'sulk'; there are drop" in capsys.readouterr().err


@pytest.mark.e2e
async def test_any_mix_of_families_with_faults(anyio_backend_name):
    mix = ("--family=mh_strip_211", "--family=mh2_plug", "--count=20")
    faults = ("--fault=watt_null@511*1", "--fault=corrupt_serial")
    command = structiot(*SIM, *mix, *faults, f"--backend={anyio_backend_name}")
    async with running(*command) as program:
        rows = json.loads(await program.until(lambda: "".join(program.lines)))
        assert [row["family"] for row in rows[:3]] == [
            "mh_strip_211",
            "mh2_plug",
            "mh_strip_211",
        ]
        assert len({row["host"] for row in rows}) == len(rows) == 20
        strip, plug = rows[0], rows[1]
        async with maxsmart_device(
            strip["host"], http_port=strip["http_port"], udp_port=strip["udp_port"]
        ) as one:
            assert one.info.serial is None
            assert (await one.get_data()).power_w[0] is not None
        async with maxsmart_device(
            plug["host"], http_port=9, udp_port=plug["udp_port"]
        ) as one:
            assert one.info.port_count == 1
        program.signal(signal.SIGTERM)
        assert await program.ended() == 0


@pytest.mark.e2e
async def test_a_history_fills_the_statistics(anyio_backend_name):
    options = ("--history=400", f"--backend={anyio_backend_name}")
    async with running(*structiot(*SIM, *options)) as program:
        (row,) = json.loads(await program.until(lambda: "".join(program.lines)))
        ports = {"http_port": row["http_port"], "udp_port": row["udp_port"]}
        async with maxsmart_device(row["host"], **ports) as strip:
            months = await strip.get_statistics(0, "monthly")
        assert all((point.energy_wh or 0) > 1000 for point in months.points[:-1])


@pytest.mark.e2e
async def test_every_family_at_once(anyio_backend_name):
    command = structiot(*SIM, "--family=all", f"--backend={anyio_backend_name}")
    async with running(*command) as program:
        rows = json.loads(await program.until(lambda: "".join(program.lines)))
        assert [row["family"] for row in rows] == list(FAMILIES)


@pytest.mark.e2e
async def test_more_strips_than_files_are_allowed(anyio_backend_name):
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, before[1]))
    try:
        command = structiot(*SIM, "--count=60", f"--backend={anyio_backend_name}")
        async with running(*command) as program:
            rows = json.loads(await program.until(lambda: "".join(program.lines)))
            assert len(rows) == 60
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
