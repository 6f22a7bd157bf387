"""Nodes of one manager as processes, of which one is killed: issue 11, shown by 5.

They have one Mosquitto, or each a NATS server of its own, of which there are three, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from structiot.errors import StructiotError
from structiot.mqtt import open_mqttclient
from tests.interop_mqtt.manager_fleet import kill_a_node
from tests.interop_mqtt.servers import NatsCluster

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

# What is published for a slow node is not thrown away.
MOSQUITTO = (
    "allow_anonymous true\npersistence false\nmax_queued_messages 0\nuser root\n"
)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[NatsCluster]:
    servers = NatsCluster(tmp_path)
    servers.start()
    yield servers
    servers.stop()


async def until_ready(uri: str) -> None:
    """Wait until the three have found each other and keep what they are given."""
    with anyio.fail_after(60):
        while True:
            try:
                async with (
                    open_mqttclient(uri, config={"protocol": "3.1.1"}) as client,
                    client.subscription("ready", 1) as messages,
                ):
                    await client.publish("ready", b"", 1)
                    await anext(aiter(messages))
                    return
            except StructiotError:
                await anyio.sleep(0.5)


async def test_with_mosquitto_nothing_is_lost_that_was_acknowledged(
    start_mosquitto, tmp_path, anyio_backend_name
):
    broker = await anyio.to_thread.run_sync(start_mosquitto, MOSQUITTO)
    await kill_a_node([broker.uri] * 3, tmp_path, anyio_backend_name)


async def test_with_nats_nothing_is_lost_that_was_acknowledged(
    cluster: NatsCluster, tmp_path, anyio_backend_name
):
    for uri in cluster.uris:
        await until_ready(uri)
    await kill_a_node(cluster.uris, tmp_path, anyio_backend_name)
