"""`structiot demo`: which broker, and how it looks."""

from __future__ import annotations

import os
import pty
import socket
import subprocess
import sys
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pytest

from structiot.cli import demo
from structiot.cli.demo.broker import DemoBroker
from structiot.cli.demo.view import plain_line
from structiot.errors import ConnectFailed
from structiot.gateway import (
    BrokerConnected,
    BrokerLost,
    CommandDone,
    CommandFailed,
    DeviceUpdate,
    Gateway,
)
from structiot.model import Availability, EntitiesChanged, StateChange
from structiot.mqtt import open_mqttclient

AT = datetime(2024, 5, 1, tzinfo=UTC)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def opened(uri: str | None) -> tuple[Gateway, DemoBroker, list[str]]:
    """Open a demonstration without strips; give what it says of its broker."""
    async with AsyncExitStack() as stack:
        gateway, broker = await demo._opened(stack, uri, [])
        if broker.origin.startswith("started"):
            async with open_mqttclient(broker.uri) as client:
                assert client.is_connected
        return gateway, broker, demo._hints(broker)


@pytest.mark.e2e
async def test_its_broker_lives_as_long_as_the_demonstration(monkeypatch):
    port = free_port()
    monkeypatch.setattr(demo, "USUAL_PORT", port)
    _, broker, hints = await opened(None)
    assert broker.port == port
    assert hints[0].endswith(f":{broker.port}, started for this demonstration")
    with pytest.raises(ConnectFailed):
        async with open_mqttclient(broker.uri, config={"reconnect_retries": 0}):
            pass


@pytest.mark.e2e
async def test_where_the_usual_port_is_taken_it_takes_another(mosquitto, monkeypatch):
    monkeypatch.setattr(demo, "USUAL_PORT", mosquitto.port)
    _, broker, hints = await opened(None)
    assert broker.port != mosquitto.port
    assert f"port {mosquitto.port} is taken" in hints[0]
    assert f"-p {broker.port} " in hints[1]


async def test_a_broker_that_is_named_is_taken_as_it_is():
    gateway, broker, _ = await opened("mqtt://me:hunter2@127.0.0.1:9/")
    assert gateway.broker is None
    assert (broker.host, broker.port) == ("127.0.0.1", 9)
    assert broker.origin == "as you named it"


@pytest.mark.parametrize(
    ("called", "shown"),
    [
        ("/usr/local/bin/structiot", "structiot"),
        (".venv/bin/structiot", ".venv/bin/structiot"),
        ("/x/structiot/__main__.py", "python -m structiot"),
    ],
)
def test_the_lines_to_paste_call_the_program_as_it_was_called(
    monkeypatch, called, shown
):
    monkeypatch.setattr(sys, "argv", [called])
    monkeypatch.setenv("PATH", "/usr/local/bin:/usr/bin")
    broker = DemoBroker(uri="mqtt://127.0.0.1:1884", origin="here")
    _, watch, switch = demo._hints(broker)
    assert watch.startswith(f"watch it:  {shown} mqtt sub -p 1884 -v -t ")
    assert switch.startswith(f"switch it: {shown} mqtt pub -p 1884 -t ")


def test_clients_are_told_only_what_they_do_not_assume():
    far = DemoBroker(uri="mqtt://me:hunter2@nowhere.example/", origin="")
    assert far.options == "-h nowhere.example "
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
        env={**os.environ, "TERM": "xterm", "COLUMNS": "60", "LINES": "40"},
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
    # On one line, however narrow the terminal: it is there to be pasted.
    watch = f"mqtt sub -p {mosquitto.port} -v -t 'structiot/#' -t 'homeassistant/#'"
    assert watch in last
    assert "kitchen   port_1  Port 1  ON" in last
    assert "workshop  port_1  Port 1  ON" in last
    assert " W" in last
    assert "connected" in last
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")
