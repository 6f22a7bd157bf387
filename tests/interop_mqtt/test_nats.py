"""The client with NATS server: MQTT 3.1.1 over JetStream, QoS 0 and 1."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from structiot.mqtt import ConnectException, open_mqttclient

pytestmark = pytest.mark.e2e

CONFIG = """\
server_name: interop
listen: 127.0.0.1:-1
jetstream {{ store_dir: "{folder}" }}
mqtt {{ listen: 127.0.0.1:{port} }}
"""
START_S = 10.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a server for this module; give its address."""
    program = shutil.which("nats-server", path="/usr/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.fail("nats-server is needed: apt-get install nats-server", pytrace=False)
    folder: Path = tmp_path_factory.mktemp("nats")
    port = free_port()
    config = folder / "nats.conf"
    config.write_text(CONFIG.format(folder=folder / "store", port=port))
    log = folder / "log"
    with log.open("wb") as out:
        server = subprocess.Popen([program, "-c", str(config)], stdout=out, stderr=out)
    try:
        give_up_at = time.monotonic() + START_S
        while not accepts(port):
            if server.poll() is not None or time.monotonic() > give_up_at:
                pytest.fail(f"nats-server does not start: {log.read_text()}")
            time.sleep(0.02)
        yield f"mqtt://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


@pytest.mark.parametrize("protocol", ["3.1.1", "auto"])
@pytest.mark.parametrize("qos", [0, 1])
async def test_a_message_makes_the_round_trip(uri: str, qos: int, protocol: str):
    topic = f"round/{protocol.replace('.', '')}/{qos}"
    async with open_mqttclient(uri, config={"protocol": protocol}) as client:
        async with client.subscription(topic, qos=qos) as messages:
            for payload in (b"hello", b"", bytes(range(256)) * 100):
                await client.publish(topic, payload, qos=qos)
                message = await anext(messages)
                assert (message.payload, message.qos) == (payload, qos)


async def test_5_0_alone_is_refused(uri: str):
    config = {"protocol": "5.0", "reconnect_retries": 0}
    with pytest.raises(ConnectException):
        async with open_mqttclient(uri, config=config):
            pytest.fail("it has no 5.0")


@pytest.mark.parametrize(
    ("topic_filter", "expected"),
    [
        ("w/+/c", ["w/b/c", "w/x/c"]),
        ("w/#", ["w/b/c", "w/b/d", "w/x/c"]),
    ],
)
async def test_wildcards_fit_as_the_standard_says(
    uri: str, topic_filter: str, expected: list[str]
):
    # One filter at a time: NATS sends a copy for each filter that fits, as 3.1.1 allows.
    async with open_mqttclient(uri, config={"protocol": "3.1.1"}) as client:
        async with client.subscription(topic_filter, qos=1) as messages:
            for topic in ("w/b/c", "w/b/d", "w/x/c"):
                await client.publish(topic, topic.encode(), qos=1)
            got = [(await anext(messages)).topic for _ in expected]
            assert sorted(got) == expected


async def test_a_retained_message_waits_for_subscribers(uri: str):
    async with open_mqttclient(uri, config={"protocol": "3.1.1"}) as client:
        await client.publish("kept/here", b"still", qos=1, retain=True)
        # NATS stores it in a stream of its own, a moment after the acknowledgement.
        await anyio.sleep(0.2)
        async with client.subscription("kept/#", qos=1) as messages:
            message = await anext(messages)
            assert (message.payload, message.retain) == (b"still", True)
        await client.publish("kept/here", b"", qos=1, retain=True)
