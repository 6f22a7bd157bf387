"""Other setups: a network of one's own, real sockets, connections that break.

Run:
    python -m pytest examples/testing
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from random import Random
from urllib.parse import urlsplit

import pytest

from structiot import Environment, discover_maxsmart, maxsmart_device, open_mqttclient
from structiot.mqtt import BrokerServer
from structiot.sim import FaultProxy, MaxSmartSim, sim_maxsmart
from structiot.testing import MemoryNetwork


class TestAtHome:
    @pytest.fixture
    def environment(self, virtual_time: Callable[[], datetime]) -> Environment:
        home = MemoryNetwork(host="192.168.1.2", subnets=["192.168.1.0/24"])
        return Environment(network=home, clock=virtual_time, random=Random(7))

    async def test_both_are_found(
        self, maxsmart_sim: MaxSmartSim, environment: Environment
    ) -> None:
        async with sim_maxsmart(
            "192.168.1.7", family="revogi_511", environment=environment
        ):
            found = await discover_maxsmart(environment=environment)
        assert {device.host for device in found} == {"192.168.1.7", maxsmart_sim.host}


async def test_with_sockets(maxsmart_sim: MaxSmartSim) -> None:
    async with maxsmart_device(
        maxsmart_sim.host,
        http_port=maxsmart_sim.http_port or 80,
        udp_port=maxsmart_sim.udp_port,
    ) as strip:
        await strip.turn_off(1)
    assert not maxsmart_sim.ports[1]


async def test_the_link_heals(
    mqtt_broker: BrokerServer,
    fault_proxy: Callable[..., AbstractAsyncContextManager[FaultProxy]],
) -> None:
    broker = urlsplit(mqtt_broker.uri)
    async with fault_proxy(broker.hostname, broker.port) as proxy:
        host, port = proxy.address
        async with open_mqttclient(f"mqtt://{host}:{port}") as client:
            proxy.cut()
            await client.publish("kitchen/lamp", b"on", qos=1)
    assert proxy.connections == 2
