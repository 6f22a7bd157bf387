"""What the doctor says of the machine: clock, limits, ports, files."""

from __future__ import annotations

import json
import os
import resource
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from structiot import Environment
from structiot.cli.doctor.findings import Finding, advice_for
from structiot.cli.main import run_program
from structiot.gateway import load_config, open_gateway
from tests._support.interpreter import PYTHON
from tests.cli.doctor.house import Patient, noted

pytestmark = pytest.mark.e2e

BROKER = "broker.listen = ['mqtt://127.0.0.1:0']\n"


# ---------------------------------------------------------------- the configuration


async def test_a_house_that_is_well(patient):
    await anyio.to_thread.run_sync(patient.write, BROKER)
    report = await patient.examined()
    assert [one.line for one in report.findings if one.level == "wrong"] == []
    assert noted(report.findings) == [
        "no system is configured: there is nothing to serve"
    ]


async def test_no_file(patient):
    found = await patient.only()
    assert found.where == str(patient.path)
    assert "no such file" in found.what
    assert "-c FILE" in found.advice


@pytest.mark.parametrize(
    "text",
    [
        "[mqtt]\nuri = 'mqtt://h'\nusername = 'me'\npassword_file = '{}'\n",
        "[meross]\nemail = 'me@x.test'\npassword = { file = '{}' }\n",
        "[broker]\npassword_file = '{}'\n[mqtt]\nusername = 'me'\n",
        "[dashboard]\ntoken_file = '{}'\n",
    ],
)
async def test_a_file_of_a_secret_that_is_not_there_is_named(patient, text):
    place = patient.folder / "secrets"
    place.mkdir()
    found = await patient.only(text.replace("{}", "secrets/none"), page=True)
    assert found.what.endswith(f"no such file or directory ({place}/none)")
    assert found.advice.startswith("see that the file is there")
    # It may be the secret itself.
    found = await patient.only(text.replace("{}", "hunter2"), page=True)
    assert found.what.endswith(f"no such file or directory (in {patient.folder})")
    assert "hunter2" not in found.line


async def test_a_file_that_may_not_be_read(patient):
    patient.path.mkdir()
    found = await patient.only()
    assert "cannot be read" in found.what
    assert found.is_about_config


async def test_a_file_that_is_no_toml(patient):
    patient.path.write_text("[mqtt\n")
    found = await patient.only()
    assert found.where == f"{patient.path}:1:6"
    assert "not valid TOML" in found.what


async def test_every_key_that_is_unknown(patient):
    found = await patient.wrong("[mqtt]\nurl_ = 'x'\n[maxsmart]\npol_s = 1\n")
    assert [one.what.partition(";")[0] for one in found] == [
        "unknown key 'url_' in [mqtt]",
        "unknown key 'pol_s' in [maxsmart]",
    ]
    assert all(one.advice == "correct the name, or leave it out" for one in found)


# ---------------------------------------------------------------- clock and limits


async def test_a_clock_that_was_never_set(patient):
    patient.environment = Environment(clock=lambda: datetime(1970, 1, 1, tzinfo=UTC))
    found = await patient.only(BROKER)
    assert found.where == "clock"
    assert "it was never set: it says 1970-01-01" in found.what
    assert "timedatectl" in found.advice


async def test_too_few_files(patient):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    try:
        found = await patient.only(BROKER)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "only 200 files" in found.what
    assert "ulimit -n" in found.advice


# ---------------------------------------------------------------- ports


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        yield port


async def test_the_port_of_the_page_is_taken(patient, taken):
    text = f"{BROKER}dashboard.listen = ['http://127.0.0.1:{taken}']\n"
    found = await patient.only(text, page=True)
    assert found.where == "[dashboard] listen"
    assert f"127.0.0.1:{taken}" in found.what
    assert "ss -ltnp" in found.advice


async def test_the_port_of_the_broker_is_taken(patient, taken):
    found = await patient.only(f"broker.listen = ['mqtt://127.0.0.1:{taken}']\n")
    assert found.where == "[broker] listen"
    assert "[broker]" in found.advice


async def test_an_address_that_is_not_this_machines(patient):
    found = await patient.only(
        f"{BROKER}dashboard.listen = ['http://198.51.100.7:8321']\n"
        "dashboard.token = 'correct horse battery'\n",
        page=True,
    )
    assert "no such address" in found.advice


def test_no_right_to_a_port(tmp_path):
    text = (
        f"gateway.state_file = '{tmp_path}/state.json'\nhistory.enabled = false\n"
        f"{BROKER}dashboard.listen = ['http://127.0.0.1:80']\n"
    )
    file = tmp_path / "structiot.toml"
    file.write_text(text)
    # Root without this right is as anybody.
    without = ["setpriv", "--bounding-set", "-net_bind_service"]
    done = subprocess.run(
        [
            *(without if os.geteuid() == 0 else []),
            *[*PYTHON, "-m", "structiot", "doctor", "-c", str(file)],
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    (line,) = [one for one in done.stdout.splitlines() if one.startswith("wrong:")]
    assert "[dashboard] listen: cannot bind TCP 127.0.0.1:80" in line
    assert "CAP_NET_BIND_SERVICE" in line
    assert done.returncode == 1


# ---------------------------------------------------------------- files


async def test_a_gateway_that_runs_is_not_tried(patient):
    await anyio.to_thread.run_sync(
        patient.write, f"{BROKER}[maxsmart]\ndiscover = false\n"
    )
    config = await anyio.to_thread.run_sync(load_config, patient.path)
    async with open_gateway(config):
        report = await patient.examined()
    assert report.status is None
    assert [one for one in report.findings if one.level == "wrong"] == []
    first, second = noted(report.findings)
    assert first.endswith("state.json is in use: a gateway runs with it already")
    assert second.startswith("it runs: its systems are not tried")


async def test_a_state_file_where_nothing_can_be_written(patient):
    file = patient.folder / "a_file"
    file.write_text("no folder")
    patient.path.write_text(
        f"gateway.state_file = '/proc/structiot/state.json'\nhistory.enabled = false\n"
        f"dashboard.enabled = false\n{BROKER}"
    )
    found = await patient.only()
    assert found.where == "folder /proc"
    assert "nothing can be written there" in found.what


async def test_a_state_file_that_is_damaged_stays_where_it_is(patient):
    state = patient.folder / "state.json"
    state.write_text('{"version":1,"sections":{"energ')
    found = await patient.only(BROKER)
    assert "is no JSON any more" in found.what
    assert ".bad" in found.advice
    assert [one.name for one in patient.folder.glob("state*")] == ["state.json"]


async def test_a_state_file_that_is_something_else(patient):
    (patient.folder / "state.json").write_text('["a list of mine"]')
    found = await patient.only(BROKER)
    assert found.advice


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk that is really full; where none can be mounted, files that may not grow."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if shutil.which("mount") and not subprocess.run(mount, check=False).returncode:
        with (folder / "ballast").open("wb", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(bytes(4096))
            except OSError:
                pass
        yield folder
        subprocess.run(["umount", "-l", str(folder)], check=True)
        return
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield folder
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_full_disk(patient, full_disk):
    patient.path.write_text(
        f"gateway.state_file = '{full_disk}/state.json'\nhistory.enabled = false\n"
        f"dashboard.enabled = false\n{BROKER}"
    )
    found = await patient.only()
    assert found.where == f"folder {full_disk}"
    assert found.what in {"the disk is full", "files there may not grow"}


async def test_a_history_that_is_sound_and_one_that_is_damaged(patient):
    file = patient.folder / "state.history.sqlite"

    def fill() -> None:
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("CREATE TABLE t (a)")
            rows = [("x" * 1000,) for _ in range(200)]
            connection.executemany("INSERT INTO t VALUES (?)", rows)
            connection.commit()

    await anyio.to_thread.run_sync(fill)
    assert await patient.wrong(BROKER, history=True) == []
    data = bytearray(file.read_bytes())
    data[8192:24_576] = os.urandom(16_384)
    file.write_bytes(data)
    found = await patient.only()
    assert found.where == "history"
    assert "is damaged" in found.what


async def test_a_history_that_is_no_database(patient):
    (patient.folder / "state.history.sqlite").write_text("My diary.\n" * 1000)
    found = await patient.only(BROKER, history=True)
    assert "is damaged: file is not a database" in found.what


# ---------------------------------------------------------------- the command


def test_the_status_says_what_is_wrong(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_program(["doctor"]) == 2
    assert (
        capsys.readouterr().out.splitlines()[-1].startswith("wrong: structiot.toml: ")
    )
    patient = Patient(tmp_path, Environment())
    patient.write("mqtt.uri = 'mqtt://nobody.invalid'\n")
    assert run_program(["doctor"]) == 1
    assert "nobody.invalid" in capsys.readouterr().out
    patient.write(BROKER)
    assert run_program(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {one["level"] for one in told} == {"fine", "note"}


def test_a_log_goes_with_a_bundle(capsys):
    assert run_program(["doctor", "--log", sys.executable]) == 2
    assert "--log goes with --bundle" in capsys.readouterr().err


def test_a_finding_is_one_line_whatever_it_says():
    found = Finding(
        level="wrong", where="a\nb", what="c\x1b[2J" + "d" * 999, advice="e"
    )
    assert "\n" not in found.line
    assert "\x1b" not in found.line
    assert len(found.line) <= 500


def test_what_nobody_knows_has_no_advice():
    assert advice_for("a thing of which nobody has heard") == ""
