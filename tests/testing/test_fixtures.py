"""The fixtures of the plugin, as this project's own tests use them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime

import anyio
import pytest

from structiot import (
    Environment,
    maxsmart_device,
    open_manager,
    open_meross,
    open_meross_lan,
    open_mqttclient,
)
from structiot._kit.net.network import RealNetwork, TcpListener
from structiot.errors import ConnectFailed
from structiot.maxsmart import discover_maxsmart
from structiot.mqtt.broker import BrokerServer
from structiot.sim import (
    DialInFleet,
    FaultProxy,
    MaxSmartSim,
    MerossCloudSim,
    MerossSim,
    SeplPlatformSim,
    sim_meross_device,
)
from structiot.testing import MemoryNetwork
from tests.sim.connector.raw_gateway import gateway as sepl_gateway

OpenFleet = Callable[..., AbstractAsyncContextManager[DialInFleet]]
OpenProxy = Callable[..., AbstractAsyncContextManager[FaultProxy]]


async def check_broker(broker: BrokerServer, environment: Environment) -> None:
    async with (
        open_mqttclient(broker.uri, environment=environment) as client,
        client.subscription("home/#", qos=1, codec="utf8") as messages,
    ):
        await client.publish("home/lamp", "on", qos=1, codec="utf8")
        assert (await anext(aiter(messages))).data == "on"


async def check_strip(sim: MaxSmartSim, environment: Environment) -> None:
    assert sim.http_port is not None
    async with maxsmart_device(
        sim.host,
        http_port=sim.http_port,
        udp_port=sim.udp_port,
        environment=environment,
    ) as strip:
        await strip.turn_off(1)
    assert not sim.ports[1]


async def test_a_broker_in_real_time(mqtt_broker, environment):
    await check_broker(mqtt_broker, environment)


async def test_a_broker_in_virtual_time(virtual_time, mqtt_broker, environment):
    assert isinstance(environment.network, MemoryNetwork)
    await check_broker(mqtt_broker, environment)


async def test_a_strip_in_real_time(maxsmart_sim, environment):
    await check_strip(maxsmart_sim, environment)


async def test_a_strip_in_virtual_time_has_the_ports_of_a_real_one(
    virtual_time, maxsmart_sim, environment
):
    async with maxsmart_device(maxsmart_sim.host, environment=environment) as strip:
        await strip.turn_off(1)
    assert not maxsmart_sim.ports[1]
    found = await discover_maxsmart(environment=environment)
    assert [device.host for device in found] == [maxsmart_sim.host]


async def check_plug(sim: MerossSim, environment: Environment) -> None:
    async with open_meross_lan(
        sim.host, sim.http_port, key=sim.device.key, environment=environment
    ) as plug:
        await plug.turn_on()
        assert sim.device.digest()["togglex"][0]["onoff"] == 1


async def check_account(cloud: MerossCloudSim, environment: Environment) -> None:
    async with (
        sim_meross_device(
            "127.0.0.9", name="Desk", cloud=cloud, http_port=0, environment=environment
        ),
        open_meross(
            email=cloud.email,
            password=cloud.password,
            url=cloud.url,
            policy="cloud_only",
            store=None,
            environment=environment,
        ) as meross,
    ):
        await meross.device("Desk").turn_on()


async def test_a_plug_in_real_time(meross_device_sim, environment):
    await check_plug(meross_device_sim, environment)


async def test_a_plug_in_virtual_time(virtual_time, meross_device_sim, environment):
    assert meross_device_sim.http_port == 80
    await check_plug(meross_device_sim, environment)


async def test_a_cloud_in_real_time(meross_cloud_sim, environment):
    await check_account(meross_cloud_sim, environment)


async def test_a_cloud_in_virtual_time(virtual_time, meross_cloud_sim, environment):
    await check_account(meross_cloud_sim, environment)


async def check_fleet(device_fleet: OpenFleet, environment: Environment) -> None:
    async with (
        open_manager(["lamp"], port=0, environment=environment) as manager,
        manager.events() as events,
        device_fleet(3, type="lamp", port=manager.port) as fleet,
    ):
        for _ in fleet:
            await anext(events)
        assert (await manager.send_all("on")).delivered == tuple(manager.clients)


async def test_a_fleet_in_real_time(device_fleet, environment):
    await check_fleet(device_fleet, environment)


async def test_a_fleet_in_virtual_time(virtual_time, device_fleet, environment):
    await check_fleet(device_fleet, environment)


async def check_platform(platform: SeplPlatformSim, environment: Environment) -> None:
    async with sepl_gateway(platform, has_lamp=True) as raw:
        assert (await raw.event("1"))[0] == 200
    assert [one.data for one in platform.events] == ["1"]
    assert platform.environment is environment


async def test_a_sepl_platform_in_real_time(sepl_platform_sim, environment):
    await check_platform(sepl_platform_sim, environment)


async def test_a_sepl_platform_in_virtual_time(
    virtual_time, sepl_platform_sim, environment
):
    await check_platform(sepl_platform_sim, environment)


class Unprivileged(RealNetwork):
    """What a user has who is not the system's administrator."""

    @asynccontextmanager
    async def listen_tcp(
        self, host: str, port: int, *, backlog: int = 100
    ) -> AsyncGenerator[TcpListener]:
        if 0 < port < 1024:
            raise ConnectFailed("permission denied", host=host, port=port)
        async with super().listen_tcp(host, port, backlog=backlog) as listener:
            yield listener


class TestWithoutPrivileges:
    @pytest.fixture
    def environment(self) -> Environment:
        return Environment(network=Unprivileged())

    async def test_a_strip_has_free_ports(self, maxsmart_sim, environment):
        assert maxsmart_sim.host == "127.0.0.1"
        assert min(maxsmart_sim.http_port, maxsmart_sim.udp_port) >= 1024
        await check_strip(maxsmart_sim, environment)

    async def test_a_plug_has_a_free_port(self, meross_device_sim, environment):
        assert meross_device_sim.http_port >= 1024
        await check_plug(meross_device_sim, environment)


class TestInAnEnvironmentOfItsOwn:
    @pytest.fixture
    def environment(self, virtual_time) -> Environment:
        network = MemoryNetwork(host="192.168.1.2", subnets=["192.168.1.0/24"])
        return Environment(network=network, clock=virtual_time)

    async def test_the_simulators_are_there(self, maxsmart_sim, environment):
        await check_strip(maxsmart_sim, environment)
        assert environment.network.datagrams
        assert environment.now_utc().year == 2026


async def test_a_proxy_cuts_the_connection_in_real_time(
    mqtt_broker, fault_proxy, environment
):
    await check_proxy(mqtt_broker, fault_proxy, environment)


async def test_a_proxy_cuts_the_connection_in_virtual_time(
    fault_proxy, mqtt_broker, environment, virtual_time
):
    await check_proxy(mqtt_broker, fault_proxy, environment)


async def check_proxy(
    broker: BrokerServer, open_proxy: OpenProxy, environment: Environment
) -> None:
    port = int(broker.uri.rpartition(":")[2])
    async with open_proxy("127.0.0.1", port) as proxy:
        host, port = proxy.address
        async with open_mqttclient(
            f"mqtt://{host}:{port}", environment=environment
        ) as client:
            proxy.cut()
            await client.publish("home/lamp", b"on", qos=1)
        assert proxy.connections == 2


async def test_a_day_passes_in_no_time_and_the_date_goes_with_it(
    virtual_time, environment
):
    # Slept in real time, it would not end before the timeout of every test.
    await anyio.sleep(86_400)
    assert virtual_time() == datetime(2026, 1, 2, tzinfo=UTC)
    assert environment.now_utc() == virtual_time()


async def test_chance_repeats_itself_in_virtual_time(virtual_time, environment):
    assert environment.random.random() == pytest.approx(0.8444218515250481)


async def test_in_real_time_the_environment_is_the_systems(environment):
    assert isinstance(environment.network, RealNetwork)
    age = datetime.now(UTC) - environment.now_utc()
    assert abs(age.total_seconds()) < 10
