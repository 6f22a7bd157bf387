"""`structiot sim`: devices for the shell."""

from __future__ import annotations

import json
import resource
import signal

import pytest

from structiot.cli.main import run_program
from structiot.maxsmart import maxsmart_device
from structiot.meross import AccountDisabled, open_meross, open_meross_lan
from structiot.meross.wire.payloads import items_of
from structiot.meross.wire.system import read_all
from structiot.sim import (
    DIAL_IN_BEHAVIOURS,
    DIAL_IN_FAULTS,
    FAMILIES,
    MEROSS_MODELS,
    NAMED_FAULTS,
    MerossCloudSim,
    MerossSim,
    SeplPlatformSim,
)
from tests.e2e.processes import running, structiot

SIM = ("sim", "maxsmart", "--http-port=0", "--udp-port=0", "--json")
MEROSS = ("sim", "meross", "--http-port=0", "--json")


def test_families_and_faults_are_listed(capsys):
    assert run_program(["sim", "families", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    by_system = {
        "maxsmart": list(FAMILIES),
        "meross": list(MEROSS_MODELS),
        "manager": list(DIAL_IN_BEHAVIOURS),
    }
    for system, names in by_system.items():
        assert [row["name"] for row in listed if row["system"] == system] == names
    strips = [row for row in listed if row["system"] == "maxsmart"]
    assert strips[0]["statistics"] is True
    assert run_program(["sim", "families"]) == 0
    shown = capsys.readouterr().out
    assert "mh2_plug" in shown
    assert "True" not in shown
    assert "False" not in shown
    assert run_program(["sim", "faults", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)

    def faults_of(system: str) -> dict[str, str]:
        return {r["name"]: r["what"] for r in listed if r["system"] == system}

    assert faults_of("maxsmart") == NAMED_FAULTS
    assert faults_of("manager") == DIAL_IN_FAULTS
    assert faults_of("sepl") == SeplPlatformSim.named_faults
    of_cloud = MerossCloudSim.named_faults.items()
    assert faults_of("meross") == {
        **MerossSim.named_faults,
        **{f"cloud:{name}": what for name, what in of_cloud},
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([*SIM, "--fault", "sulk"], "no fault 'sulk'; there are drop"),
        ([*MEROSS, "--fault", "sulk"], "no fault 'sulk'; there are drop"),
        ([*MEROSS, "--cloud", "--fault", "cloud:sulk"], "no fault 'sulk'; there are"),
        ([*MEROSS, "--fault", "cloud:ban"], "--fault cloud:ban needs a cloud: --cloud"),
        ([*MEROSS, "--host", "nowhere"], "--host is no address: 'nowhere'"),
        ([*MEROSS, "--email", "a@example.com"], "--email goes with --cloud"),
        ([*MEROSS, "--mqtt-port", "0"], "--mqtt-port goes with --cloud"),
        ([*MEROSS, "--cloud", "--key", "x"], "--key goes without --cloud"),
    ],
)
def test_what_cannot_be_simulated_is_a_wrong_argument(capsys, options, said):
    assert run_program(options) == 2
    assert said in capsys.readouterr().err


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


@pytest.mark.e2e
async def test_a_mix_of_meross_models_in_the_local_network(anyio_backend_name):
    options = ("--model=mss310", "--model=msl120", "--count=3", "--key=secret")
    faults = ("--fault=stuck", f"--backend={anyio_backend_name}")
    async with running(*structiot(*MEROSS, *options, *faults)) as program:
        told = json.loads(await program.until(lambda: "".join(program.lines)))
        names = [row["name"] for row in told["devices"]]
        assert (names, told["cloud"]) == (["mss310 1", "msl120", "mss310 2"], None)
        plug = told["devices"][2]
        async with open_meross_lan(
            plug["host"], plug["http_port"], key="secret"
        ) as device:
            assert device.info.id == plug["uuid"]
            await device.turn_off()
            answer = await device.request("Appliance.System.All")
            is_on = items_of(read_all(answer).digest, "togglex")[0]["onoff"]
            assert is_on == 1
        program.signal(signal.SIGTERM)
        assert await program.ended() == 0


@pytest.mark.e2e
async def test_a_meross_cloud_with_every_model(anyio_backend_name):
    account = ("--cloud", "--email=me@example.com", "--password=mine", "--model=all")
    backend = f"--backend={anyio_backend_name}"
    async with running(*structiot(*MEROSS, *account, backend)) as program:
        told = json.loads(await program.until(lambda: "".join(program.lines)))
        assert [row["model"] for row in told["devices"]] == list(MEROSS_MODELS)
        cloud = told["cloud"]
        assert (cloud["email"], cloud["password"]) == ("me@example.com", "mine")
        opened = open_meross(
            email="me@example.com", password="mine", url=cloud["url"], store=None
        )
        async with opened as meross:
            known = {one.info.id: one.info.name for one in meross.devices.values()}
        assert known == {row["uuid"]: row["name"] for row in told["devices"]}


@pytest.mark.e2e
async def test_a_meross_cloud_with_a_fault(anyio_backend_name):
    options = ("--cloud", "--fault=cloud:ban", f"--backend={anyio_backend_name}")
    async with running(*structiot(*MEROSS, *options)) as program:
        told = json.loads(await program.until(lambda: "".join(program.lines)))
        cloud = told["cloud"]
        given = {name: cloud[name] for name in ("email", "password", "url")}
        with pytest.raises(AccountDisabled):
            async with open_meross(store=None, **given):
                pass
