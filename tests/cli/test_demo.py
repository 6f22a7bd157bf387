"""`structiot demo`: which broker, and how it looks."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from structiot.cli import broker as brokers
from structiot.cli.broker import DemoBroker, demo_broker
from structiot.cli.demo_view import plain_line
from structiot.cli.main import run_program
from structiot.errors import ConnectFailed
from structiot.gateway import (
    BrokerConnected,
    BrokerLost,
    CommandDone,
    CommandFailed,
    DeviceUpdate,
)
from structiot.model import Availability, EntitiesChanged, StateChange
from structiot.mqtt import open_mqttclient

AT = datetime(2024, 5, 1, tzinfo=UTC)
CLOSED = "mqtt://127.0.0.1:9/"


@pytest.fixture
def no_broker_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brokers, "USUAL_URI", CLOSED)


@pytest.fixture
def no_mosquitto(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(brokers, "_MORE_PATHS", ())
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.usefixtures("no_broker_here", "no_mosquitto")
def test_without_any_broker_it_says_what_to_install(capsys, backend: str):
    assert run_program(["demo", "--backend", backend]) == 1
    assert capsys.readouterr() == (
        "",
        (
            "structiot: no MQTT broker: none answers at 127.0.0.1:1883, and the program "
            "mosquitto is not installed; apt-get install mosquitto (Debian, Ubuntu) or brew "
            "install mosquitto (macOS), or name a broker by --uri\n"
        ),
    )


@pytest.mark.e2e
@pytest.mark.usefixtures("no_broker_here")
async def test_a_private_broker_lives_as_long_as_the_demonstration():
    async with demo_broker(None) as broker:
        assert broker.origin == "a private Mosquitto"
        async with open_mqttclient(broker.uri) as client:
            assert client.is_connected
    with pytest.raises(ConnectFailed):
        async with open_mqttclient(broker.uri, config={"reconnect_retries": 0}):
            pass


@pytest.mark.e2e
@pytest.mark.usefixtures("no_mosquitto")
async def test_a_broker_that_runs_here_is_taken(mosquitto, monkeypatch):
    monkeypatch.setattr(brokers, "USUAL_URI", mosquitto.uri)
    async with demo_broker(None) as broker:
        assert (broker.uri, broker.port) == (mosquitto.uri, mosquitto.port)


async def test_a_broker_that_is_named_is_taken_as_it_is():
    async with demo_broker("mqtt://me:hunter2@nowhere.example/") as broker:
        assert broker.options == "-h nowhere.example "
        assert (broker.host, broker.port) == ("nowhere.example", 1883)


def test_mosquittos_programs_are_told_only_what_they_do_not_assume():
    usual = DemoBroker(uri="mqtt://127.0.0.1/", origin="")
    other = DemoBroker(uri="mqtt://127.0.0.1:1884/", origin="")
    assert (usual.options, other.options) == ("", "-p 1884 ")


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (BrokerConnected(), "connected to the broker"),
        (BrokerLost(reason="refused", retry_in_s=1.0), "no broker: refused"),
        (
            DeviceUpdate(
                device="desk", event=Availability(is_available=True, at_utc=AT)
            ),
            "desk is available",
        ),
        (
            DeviceUpdate(
                device="desk",
                event=Availability(is_available=False, at_utc=AT, reason="silent"),
            ),
            "desk is not available: silent",
        ),
        (
            DeviceUpdate(
                device="desk", event=StateChange(key="port_1", state=True, at_utc=AT)
            ),
            "desk port_1 ON",
        ),
        (
            DeviceUpdate(
                device="desk", event=StateChange(key="power", state=5.2, at_utc=AT)
            ),
            "desk power 5.2",
        ),
        (DeviceUpdate(device="desk", event=EntitiesChanged(at_utc=AT)), None),
        (
            CommandDone(device="desk", entity="port_1", payload="ON"),
            "desk port_1 did ON",
        ),
        (
            CommandFailed(device="desk", entity="p", payload="x", error="no"),
            "desk p refused: no",
        ),
    ],
)
def test_an_event_is_one_line(event, line):
    assert plain_line(event) == line


@pytest.mark.e2e
@pytest.mark.timeout(40)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_on_a_terminal_there_is_a_table(mosquitto, backend: str):
    ours, theirs = pty.openpty()
    words = ["demo", "--uri", mosquitto.uri, "--seconds", "2", "--backend", backend]
    process = subprocess.Popen(
        [sys.executable, "-m", "structiot", *words],
        stdout=theirs,
        stderr=theirs,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"},
    )
    os.close(theirs)
    shown = ""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        shown += piece.decode()
    os.close(ours)
    assert process.wait(10) == 0
    last = shown.rpartition("watch it:")[2]
    assert f"mosquitto_sub -p {mosquitto.port} -v" in last
    assert "kitchen   port_1  Port 1  ON" in last
    assert "workshop  port_1  Port 1  ON" in last
    assert " W" in last
    assert "connected" in last
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")
