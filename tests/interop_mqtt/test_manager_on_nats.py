"""Nodes of one manager, each with a NATS server of its own, which are three as well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from structiot.errors import StructiotError
from structiot.mqtt import open_mqttclient
from tests.e2e.manager_fleet import kill_a_node
from tests.interop_mqtt.servers import NatsCluster

pytestmark = pytest.mark.e2e


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


@pytest.mark.timeout(600)
async def test_a_node_that_is_killed_loses_nothing_that_was_acknowledged(
    cluster: NatsCluster, tmp_path, anyio_backend_name
):
    for uri in cluster.uris:
        await until_ready(uri)
    await kill_a_node(cluster.uris, tmp_path, anyio_backend_name)
