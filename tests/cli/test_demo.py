"""`structiot demo`: which broker, and how it looks."""

from __future__ import annotations

import io
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console, RenderableType

from structiot import Environment
from structiot.cli.demo import broker as demo_broker
from structiot.cli.demo import systems as demo_systems
from structiot.cli.demo.broker import DemoBroker, open_demo_gateway
from structiot.cli.demo.house import House
from structiot.cli.demo.view import LiveTable, PlainLines, plain_line
from structiot.cli.main import run_program
from structiot.errors import ConnectFailed
from structiot.gateway import (
    BrokerConnected,
    BrokerLost,
    CommandDone,
    CommandFailed,
    DeviceUpdate,
    Gateway,
)
from structiot.model import (
    Availability,
    Cover,
    EntitiesChanged,
    Event,
    Light,
    LightState,
    Occurrence,
    Sensor,
    StateChange,
)
from structiot.mqtt import open_mqttclient
from tests._support.ports import free_port

AT = datetime(2024, 5, 1, tzinfo=UTC)


async def opened(uri: str | None) -> tuple[Gateway, DemoBroker]:
    """Open a demonstration without devices."""
    async with open_demo_gateway(uri, {}) as (gateway, broker):
        if broker.origin.startswith("started"):
            async with open_mqttclient(broker.uri) as client:
                assert client.is_connected
        return gateway, broker


@pytest.mark.e2e
async def test_its_broker_lives_as_long_as_the_demonstration(monkeypatch):
    port = free_port()
    monkeypatch.setattr(demo_broker, "USUAL_PORT", port)
    _, broker = await opened(None)
    assert broker.port == port
    assert broker.hints[0].endswith(f":{broker.port}, started for this demonstration")
    with pytest.raises(ConnectFailed):
        async with open_mqttclient(broker.uri, config={"reconnect_retries": 0}):
            pass


@pytest.mark.e2e
async def test_where_the_usual_port_is_taken_it_takes_another(mosquitto, monkeypatch):
    monkeypatch.setattr(demo_broker, "USUAL_PORT", mosquitto.port)
    _, broker = await opened(None)
    assert broker.port != mosquitto.port
    assert f"port {mosquitto.port} is taken" in broker.hints[0]
    assert f"-p {broker.port} " in broker.hints[1]


async def test_a_broker_that_is_named_is_taken_as_it_is():
    gateway, broker = await opened("mqtt://me:hunter2@127.0.0.1:9/")
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
    _, watch = broker.hints
    switch = broker.switch_hint("kitchen", "port_1", is_on=True)
    assert watch.startswith(f"watch it:  {shown} mqtt sub -p 1884 -v -t ")
    topic = "structiot/kitchen/port_1/set"
    assert switch == f"switch it: {shown} mqtt pub -p 1884 -t {topic} -m OFF"
    # Where it is off already, that would show nothing.
    assert broker.switch_hint("kitchen", "port_1", is_on=False).endswith("/set -m ON")


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
            "desk port_1 on",
        ),
        (
            DeviceUpdate(
                device="desk", event=StateChange(key="power", state=5.2, at_utc=AT)
            ),
            "desk power 5.2",
        ),
        (
            DeviceUpdate(
                device="door",
                event=Occurrence(key="bell", event_type="ring", at_utc=AT),
            ),
            "door bell: ring",
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


async def test_what_can_be_done_is_said_before_what_happens():
    said: list[str] = []
    lines = PlainLines(said.append)
    lines.tell("one")
    assert said == []
    lines.say_first("switch it")
    lines.tell("two")
    assert said == ["switch it", "one", "two"]


async def test_what_happens_does_not_wait_for_ever():
    said: list[str] = []
    lines = PlainLines(said.append)
    for number in range(501):
        lines.tell(str(number))
    assert len(said) == 501
    lines.say_first("switch it")
    assert said[-1] == "switch it"


@asynccontextmanager
async def devices(error: Exception | None = None) -> AsyncGenerator[dict[str, object]]:
    if error is not None:
        raise error
    yield {"discover": False}


async def test_a_system_whose_devices_do_not_start_is_left_out(monkeypatch, caplog):
    systems = [("broken", devices(ZeroDivisionError("oops"))), ("maxsmart", devices())]
    monkeypatch.setattr(demo_systems, "simulations", lambda *_: systems)
    async with demo_systems.simulated_systems(House(), Environment()) as sections:
        assert sections == {"maxsmart": {"discover": False}}
    assert "no simulated devices of broken: oops" in caplog.text


def test_without_any_devices_there_is_nothing_to_show(monkeypatch, capsys):
    monkeypatch.setattr(demo_systems, "simulations", lambda *_: [])
    assert run_program(["demo", "--seconds", "1"]) == 1
    said = capsys.readouterr()
    assert said == ("", "Error: no system has devices to be simulated\n")


ENTITIES = (
    Light(key="lamp", name="Lamp"),
    Sensor(key="lamp_power", name="Lamp power", unit="W", decimals=1),
    Sensor(key="lamp_voltage", name="Lamp voltage", unit="V", is_enabled=False),
    Sensor(key="outside", name="[Outside]", unit="°C"),
    Sensor(key="signal", name="Signal", unit="dBm", category="diagnostic"),
    Event(key="bell", name="Bell", event_types=("ring",)),
    Cover(key="gate", name="Gate"),
)
STATES = {
    "lamp": LightState(is_on=True, brightness_percent=40.0),
    "lamp_power": 7.25,
    "outside": 21.5,
    "signal": -60,
}


def test_the_table_shows_whatever_a_device_has():
    there = Availability(is_available=True, at_utc=AT)
    away = Availability(is_available=False, at_utc=AT, reason="silent")
    entities = {entity.key: entity for entity in ENTITIES}
    gateway: Any = SimpleNamespace(
        is_connected=True,
        devices={
            "desk": SimpleNamespace(
                system="toy",
                is_available=True,
                availability=there,
                entities=entities,
                states=STATES,
            ),
            "shed": SimpleNamespace(
                system="toy", is_available=False, availability=away
            ),
            # A table of its own, so that it leaves the others as wide as they were.
            "cloud_0123456789abcdef0123456789abcdef": SimpleNamespace(
                system="cloud", name="Lamp", is_available=False, availability=away
            ),
        },
    )
    table = LiveTable(gateway)
    ring = Occurrence(key="bell", event_type="ring", at_utc=AT)
    table.take(DeviceUpdate(device="desk", event=ring))
    exported = _exported(table.drawn())
    lines = [" ".join(line.split()) for line in exported.splitlines()]
    assert "3 more devices on the page" in _exported(table.drawn(2))
    assert [line for line in lines if line] == [
        "device entity name state measured",
        "desk lamp Lamp on, brightness 40 % 7.2 W",
        "outside [Outside] 21.5 °C",
        "bell Bell ring",
        "gate Gate",
        "shed silent away",
        "device entity name state measured",
        "Lamp silent away",
        "connected",
    ]


def _exported(drawn: RenderableType) -> str:
    console = Console(width=100, file=io.StringIO(), record=True)
    console.print(drawn)
    return console.export_text()


# Both strips, and what the first one's first port takes.
_TABLE = re.compile(r"Fridge on \d+\.\d\d W.*workbench port_1 Port 1 on", re.DOTALL)


@pytest.mark.e2e
@pytest.mark.timeout(40)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_on_a_terminal_there_is_a_table(mosquitto, backend: str):
    ours, theirs = pty.openpty()
    words = ["demo", "--uri", mosquitto.uri, "--seconds", "60", "--backend", backend]
    process = subprocess.Popen(
        [sys.executable, "-m", "structiot", *words],
        stdout=theirs,
        stderr=theirs,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "60", "LINES": "40"},
    )
    os.close(theirs)
    shown, is_interrupted = "", False
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        shown += piece.decode(errors="replace")
        if not is_interrupted and _TABLE.search(re.sub(" +", " ", shown)):
            process.send_signal(signal.SIGINT)
            is_interrupted = True
    os.close(ours)
    assert process.wait(10) == 0
    last = re.sub(" +", " ", shown.rpartition("watch it:")[2])
    # On one line, however narrow the terminal: it is there to be pasted.
    watch = f"mqtt sub -p {mosquitto.port} -v -t 'structiot/#' -t 'homeassistant/#'"
    assert watch in last
    assert "the page: http://127.0.0.1:" in shown.replace("  ", " ")
    assert "kitchen_counter port_1 Fridge on" in last
    assert "workbench port_1 Port 1 on" in last
    assert re.search(r"Fridge on \d+\.\d\d W", last)
    pub = f"switch it: python -m structiot mqtt pub -p {mosquitto.port} -t structiot/"
    assert pub in last
    assert "connected" in last
    # At the end there is a cursor; a process that a thread would hold says so once more.
    assert shown.count("\x1b[?25l") == 1
    assert shown.rindex("\x1b[?25l") < shown.rindex("\x1b[?25h")
