"""What the doctor says of devices, accounts and platforms, and what nobody may see of them."""

from __future__ import annotations

import os
import zipfile
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from structiot import Environment
from structiot._kit.net.host_network import NO_HOST_NETWORK
from structiot.cli.doctor.bundle import write_bundle
from structiot.errors import ConfigError
from structiot.gateway import load_config, open_gateway
from structiot.sim import (
    sim_maxsmart,
    sim_meross_cloud,
    sim_meross_device,
    sim_sepl_platform,
)
from structiot.testing import MemoryNetwork
from tests.cli.doctor.house import Patient, noted

pytestmark = pytest.mark.virtual_time


class Around:
    """A machine in one network."""

    async def interfaces(self) -> list[IPv4Interface]:
        await anyio.lowlevel.checkpoint()
        return [IPv4Interface("192.168.1.7/24"), IPv4Interface("127.0.0.1/8")]

    async def mac_of(self, address: str) -> None:
        await anyio.lowlevel.checkpoint()


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    network = MemoryNetwork()
    return Patient(tmp_path, Environment(network=network, host_network=Around()))


def strip(host: str, more: str = "") -> str:
    return (
        "[maxsmart]\ndiscover = false\n[[maxsmart.devices]]\nname = 'desk'\n"
        f"host = '{host}'\n{more}"
    )


async def test_a_strip_that_is_well(patient):
    async with sim_maxsmart("192.168.1.20", environment=patient.environment):
        await anyio.to_thread.run_sync(patient.write, strip("192.168.1.20"))
        report = await patient.examined()
    assert [one.line for one in report.findings if one.level == "wrong"] == []
    assert any("with 1 device or connection" in one.what for one in report.findings)


async def test_a_strip_that_is_not_there(patient):
    found = await patient.only(strip("192.168.1.20"))
    assert found.where == "[maxsmart] desk"
    assert "192.168.1.20" in found.what
    assert "none of this machine's networks" not in found.what


async def test_a_strip_in_another_network(patient):
    found = await patient.only(strip("192.168.2.20"))
    assert "192.168.2.20 is in none of this machine's networks" in found.what
    assert "(192.168.1.0/24)" in found.what
    assert "one network" in found.advice


async def test_another_strip_at_its_address(patient):
    """The gateway remembers who was there, and so does the doctor."""
    env = patient.environment
    text = strip("192.168.1.20")
    await anyio.to_thread.run_sync(patient.write, text)
    config = await anyio.to_thread.run_sync(load_config, patient.path)
    first, second = "SWP6023002003697", "SWP6023002009999"
    async with sim_maxsmart("192.168.1.20", serial=first, environment=env):
        async with open_gateway(config, environment=env):
            await anyio.sleep(30)
    async with sim_maxsmart("192.168.1.20", serial=second, environment=env):
        found = await patient.only()
    assert second in found.what
    assert first in found.what
    assert "fixed addresses" in found.advice


@asynccontextmanager
async def account(patient: Patient) -> AsyncIterator[Any]:
    async with (
        sim_meross_cloud(environment=patient.environment) as cloud,
        sim_meross_device("10.0.0.1", cloud=cloud, environment=patient.environment),
    ):
        yield cloud


def meross(cloud: Any, folder: Path, password: str) -> str:
    return (
        f"[meross]\nemail = '{cloud.email}'\npassword = '{password}'\n"
        f"url = '{cloud.url}'\nstore = '{folder}/meross.json'\n"
    )


async def test_a_wrong_password_of_a_meross_account(patient):
    async with account(patient) as cloud:
        text = meross(cloud, patient.folder, "wrong")
        found = await patient.only(text)
        assert found.where == "[meross] Meross account"
        assert "no account has this e-mail and password" in found.what
        text = meross(cloud, patient.folder, cloud.password)
        assert await patient.wrong(text) == []


async def test_the_cloud_cannot_be_reached(patient):
    text = "[meross]\nemail = 'a@b.example'\npassword = 'x'\nurl = 'http://10.0.0.9'\n"
    text += f"store = '{patient.folder}/meross.json'\n"
    found = await patient.only(text)
    assert found.where == "[meross] Meross account"
    assert "10.0.0.9" in found.what


def platform(port: int, password: str, gid: str = "") -> str:
    return (
        f"[connector]\nhost = '127.0.0.1'\nport = {port}\nuser = 'testuser'\n"
        f"password = '{password}'\ngid = '{gid}'\n"
    )


async def test_a_platform_that_refuses_the_user(patient):
    async with sim_sepl_platform(environment=patient.environment) as sim:
        found = await patient.only(platform(sim.port, "wrong", "G1"))
        assert found.where == "[connector]"
        assert "password" in found.advice


async def test_a_platform_that_would_make_a_gateway_is_not_tried(patient):
    async with sim_sepl_platform(environment=patient.environment) as sim:
        text = platform(sim.port, "secret").replace("gid = ''\n", "")
        await anyio.to_thread.run_sync(patient.write, text)
        report = await patient.examined()
        assert "it is not tried: the platform would make a gateway for each trial" in (
            noted(report.findings)
        )
        assert sim.gateways == {}


async def test_a_port_for_devices_that_is_taken(patient):
    env = patient.environment
    async with env.network.listen_tcp("127.0.0.1", 8595):
        found = await patient.only("[manager]\nhost = '127.0.0.1'\nport = 8595\n")
    assert found.where == "[manager]"
    assert "8595" in found.what
    assert "ss -ltnp" in found.advice


async def test_a_gateway_that_runs_somewhere_is_not_touched_by_a_trial(patient):
    """The state is a copy, and nothing is left of it."""
    state = patient.folder / "state.json"
    state.write_text('{"version":1,"sections":{"mine":{"a":1}}}')
    before = state.read_bytes()
    await patient.wrong(strip("192.168.1.20"))
    assert state.read_bytes() == before


def test_nobody_is_around_in_memory():
    assert Environment(network=MemoryNetwork()).host_network is NO_HOST_NETWORK


# ---------------------------------------------------------------- what is given away

PLANTED = {
    "mqtt.password": "mqtt-hunter2-é",
    "dashboard.token": "page-hunter2-long-enough",
    "meross.password": "meross-hunter2",
    "meross.key": "meross-key-hunter2",
    "connector.password": 'plat"form\\hunter2',
    "influx.token": "influx-hunter2",
    "manager.secret": "device-hunter2-0123456789abcdef",
    "meross.device": "device-key-hunter2",
}
FILES = {
    "history_token": "file-hunter2-influx",
    "conf": "file-hunter2-platform",
    "secrets": "file-hunter2-secret-0123456789",
}


def planted() -> str:
    one = PLANTED
    return f"""
dashboard.token = "{one["dashboard.token"]}"
[mqtt]
uri = "mqtt://127.0.0.1:9"
username = "me"
password = "{one["mqtt.password"]}"
[history.influxdb]
url = "http://10.0.0.9:8086"
bucket = "house"
org = "home"
token = "{one["influx.token"]}"
[meross]
email = "somebody@example.com"
password = "{one["meross.password"]}"
url = "http://10.0.0.9"
key = "{one["meross.key"]}"
[[meross.devices]]
host = "10.0.0.8"
key = "{one["meross.device"]}"
[connector]
host = "10.0.0.9"
port = 8093
user = "me"
gid = "G1"
password = '{one["connector.password"]}'
[manager]
host = "127.0.0.1"
dialect = "structiot"
[manager.secrets]
lamp = "{one["manager.secret"]}"
"""


def contents(file: Path) -> bytes:
    """Give all that is in a bundle, packed and unpacked."""
    with zipfile.ZipFile(file) as bundle:
        members = [bundle.read(name) for name in bundle.namelist()]
        names = "\n".join(bundle.namelist()).encode()
    return b"\n".join([file.read_bytes(), names, *members])


def spellings(secret: str) -> list[bytes]:
    plain = [secret, secret.encode("unicode_escape").decode()]
    plain.append(secret.replace("\\", "\\\\").replace('"', '\\"'))
    return [one.encode() for one in plain]


async def bundled(patient: Patient, log: Path | None = None) -> bytes:
    report = await patient.examined()
    file = patient.folder / "bundle.zip"
    await anyio.to_thread.run_sync(write_bundle, file, report, log)
    assert file.stat().st_mode & 0o077 == 0
    return contents(file)


def check_none_in(data: bytes, secrets: list[str]) -> None:
    found = [one for one in secrets for it in spellings(one) if it in data]
    assert found == []


async def test_a_bundle_has_all_that_helps_and_no_secret(patient, monkeypatch):
    monkeypatch.setenv("STRUCTIOT_MQTT_PASSWORD", "environment-hunter2")
    await anyio.to_thread.run_sync(patient.write, planted())
    log = patient.folder / "last.log"
    log.write_text("".join(f"somebody said {one}\n" for one in PLANTED.values()))
    data = await bundled(patient, log)
    assert all(one in planted() for one in PLANTED.values())
    check_none_in(data, [*PLANTED.values(), "environment-hunter2"])
    assert b"hunter2" not in data
    for helps in (b"10.0.0.9", b"structiot-doctor/versions.json", b'"pydantic"'):
        assert helps in data
    assert b"somebody said ***" in data


async def test_a_bundle_of_a_configuration_that_is_wrong(patient):
    slips = {"passwort": "typed-hunter2", "key_file_password": "phrase-hunter2"}
    text = planted().replace(
        "[mqtt]\n",
        "[mqtt]\n" + "".join(f'{key} = "{one}"\n' for key, one in slips.items()),
    )
    await anyio.to_thread.run_sync(patient.write, text)
    data = await bundled(patient)
    assert b"unknown key 'passwort'" in data
    check_none_in(data, [*PLANTED.values(), *slips.values()])
    assert b"hunter2" not in data


async def test_a_bundle_of_a_file_that_is_no_toml(patient):
    text = planted() + "[broken\n"
    await anyio.to_thread.run_sync(patient.write, text)
    log = patient.folder / "last.log"
    log.write_text("".join(f"somebody said {one}\n" for one in PLANTED.values()))
    data = await bundled(patient, log)
    assert b"not valid TOML" in data
    told = [one for one in PLANTED.values() if f'"{one}"' in planted()]
    check_none_in(data, told)


async def test_secrets_of_files_are_none_of_the_bundle(patient):
    folder = patient.folder
    (folder / "token").write_text(f"{FILES['history_token']}\n")
    (folder / "connector.conf").write_text(
        "[CONNECTOR]\nhost = 10.0.0.9\nport = 8093\nuser = me\n"
        f"password = {FILES['conf']}\ngid = G1\n"
    )
    (folder / "secrets.toml").write_text(f'lamp = "{FILES["secrets"]}"\n')
    for name in ("token", "connector.conf", "secrets.toml"):
        (folder / name).chmod(0o600)
    text = (
        "[history.influxdb]\nurl = 'http://10.0.0.9'\nbucket = 'b'\norg = 'o'\n"
        "token_file = 'token'\n[connector]\nconf = 'connector.conf'\n"
        "[manager]\nhost = '127.0.0.1'\ndialect = 'structiot'\nsecrets_file = 'secrets.toml'\n"
    )
    await anyio.to_thread.run_sync(patient.write, text)
    log = folder / "last.log"
    log.write_text("".join(f"somebody said {one}\n" for one in FILES.values()))
    data = await bundled(patient, log)
    check_none_in(data, [*FILES.values()])


async def test_addresses_are_without_their_login(patient):
    text = (
        "[mqtt]\nuri = 'wss://me:pw%2Fhunter2@127.0.0.1:9/mqtt?token=query-hunter2'\n"
    )
    await anyio.to_thread.run_sync(patient.write, text)
    log = patient.folder / "last.log"
    log.write_text("mqtts://you:else-hunter3@broker is gone\nit was pw/hunter2\n")
    data = await bundled(patient, log)
    check_none_in(data, ["pw%2Fhunter2", "pw/hunter2", "query-hunter2", "else-hunter3"])
    assert b"***@127.0.0.1:9" in data


async def test_a_bundle_that_cannot_be_written(patient):
    report = await patient.examined()
    with pytest.raises(ConfigError, match="cannot be written"):
        await anyio.to_thread.run_sync(write_bundle, Path("/proc/bundle.zip"), report)


async def test_a_bundle_takes_the_place_of_one_that_others_may_read(patient):
    file = patient.folder / "bundle.zip"
    file.write_bytes(b"of before")
    file.chmod(0o644)
    assert b"findings.json" in await bundled(patient)


@pytest.mark.parametrize("what", ["structiot.toml", "last.log"])
async def test_a_pipe_is_not_waited_for(patient, what):
    os.mkfifo(patient.folder / what)
    report = await patient.examined()
    log = patient.folder / what if what == "last.log" else None
    with ExitStack() as stack:
        if log is not None:
            stack.enter_context(pytest.raises(ConfigError, match="no regular file"))
        with anyio.fail_after(10):
            await anyio.to_thread.run_sync(
                write_bundle,
                patient.folder / "bundle.zip",
                report,
                log,
                abandon_on_cancel=True,
            )
