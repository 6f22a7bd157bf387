"""Other people's MQTT clients with our broker, each as its own documentation shows."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests._support.broker_process import BrokerProcess, program
from tests.interop_mqtt.environments import NAMES, driver

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

BOTH_VERSIONS = ("paho", "aiomqtt", "gmqtt", "mqttium", "mqttjs")
WITH_WEBSOCKET = ("paho", "aiomqtt", "mqttium", "amqtt", "distmqtt", "mqttjs")
# It still speaks 3.1, level 3.
OLDEST = ("paho",)
RUNS = [
    *((name, "3") for name in OLDEST),
    *((name, "4") for name in NAMES),
    *((name, "5") for name in BOTH_VERSIONS),
]
runs = pytest.mark.parametrize(("name", "version"), RUNS)
Drive = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def broker(request: pytest.FixtureRequest) -> Iterator[BrokerProcess]:
    process = BrokerProcess(
        "--sys-interval=0", "--listen=ws://127.0.0.1:0", backend=request.param
    )
    process.start()
    pub = ["mqtt", "pub", f"-p{process.port}", "-t", "interop/kept"]
    subprocess.run(program(*pub, "-m", "kept", "-r", "-q1"), check=True)
    yield process
    assert "Traceback" not in process.stop()


@pytest.fixture
def drive(broker: BrokerProcess) -> Iterator[Drive]:
    started: list[subprocess.Popen[str]] = []

    def start(
        name: str, version: str, task: str, transport: str = "tcp"
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*driver(name), port_of(broker, transport), version, task, transport],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def port_of(broker: BrokerProcess, transport: str) -> str:
    uri = broker.uris[0 if transport == "ws" else -1]
    return uri.rpartition(":")[2]


def seen(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    messages: list[dict[str, Any]] = json.loads(out.splitlines()[-1])
    return messages


@runs
def test_it_hears_itself_at_every_qos_gets_and_leaves_what_is_retained(
    broker: BrokerProcess, drive: Drive, name: str, version: str
):
    messages = seen(drive(name, version, "echo"))
    greeting = {"topic": "interop/kept", "payload": "kept", "qos": 1, "retain": True}
    assert greeting in messages
    messages.remove(greeting)
    assert sorted(messages, key=lambda message: message["topic"]) == [
        {
            "topic": f"interop/echo/{qos}",
            "payload": f"hello {qos}",
            "qos": qos,
            "retain": False,
        }
        for qos in (0, 1, 2)
    ]
    # What it asked the broker to retain, greets whoever comes and is erased.
    kept = ["mqtt", "sub", f"-p{broker.port}", "-t", f"kept/{name}", "-C1", "-W5"]
    assert subprocess.check_output(program(*kept), text=True) == f"{name}\n"
    erase = ["mqtt", "pub", f"-p{broker.port}", "-t", f"kept/{name}", "-n", "-r", "-q1"]
    subprocess.run(program(*erase), check=True)


@pytest.mark.parametrize(
    ("name", "version"), [(n, v) for n, v in RUNS if n in WITH_WEBSOCKET]
)
def test_it_hears_itself_through_a_websocket(drive: Drive, name: str, version: str):
    messages = seen(drive(name, version, "echo", "ws"))
    assert len(messages) == 4


@runs
def test_a_hundred_messages_of_qos_2_arrive_once_and_in_order(
    drive: Drive, name: str, version: str
):
    messages = seen(drive(name, version, "numbers"))
    numbers = [m["payload"] for m in messages if m["topic"] == "interop/n"]
    assert numbers == [str(number) for number in range(100)]


@runs
def test_a_session_that_lasts_gives_it_what_it_missed(
    broker: BrokerProcess, drive: Drive, name: str, version: str
):
    assert seen(drive(name, version, "sleep")) == []
    pub = ["mqtt", "pub", f"-p{broker.port}", "-t", f"missed/{name}/x"]
    for qos in (1, 2):
        subprocess.run(program(*pub, "-m", f"at {qos}", f"-q{qos}"), check=True)
    messages = seen(drive(name, version, "wake"))
    missed = [(message["payload"], message["qos"]) for message in messages]
    assert missed == [("at 1", 1), ("at 2", 2)]


@runs
def test_its_will_is_published_when_it_dies(
    broker: BrokerProcess, drive: Drive, name: str, version: str
):
    sub = ["mqtt", "sub", f"-p{broker.port}", "-d", "-t", "interop/will", "-C1"]
    listener = subprocess.Popen(
        program(*sub), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert listener.stderr is not None
        while "subscribed" not in (line := listener.stderr.readline()):
            assert line
        process = drive(name, version, "vanish")
        out, errors = process.communicate(timeout=60)
        assert out.splitlines()[-1:] == ["connected"], errors
        assert listener.communicate(timeout=20)[0] == "gone\n"
    finally:
        listener.kill()
        listener.communicate()
