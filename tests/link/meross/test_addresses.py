"""A device in the local network that has another address: found by its name again."""

from __future__ import annotations

import anyio
import pytest
from anyio.abc import ByteStream

from structiot import Environment
from structiot.errors import UsageError
from structiot.meross.opening import open_meross_lan
from structiot.sim.meross import sim_meross_device
from structiot.testing import MemoryNetwork

pytestmark = pytest.mark.virtual_time

KEY = "0123456789abcdef0123456789abcdef"
OLD, NEW = "192.168.1.60", "192.168.1.99"


class NamedNetwork(MemoryNetwork):
    """A network with a router that knows its hosts by name."""

    def __init__(self) -> None:
        super().__init__()
        self.names = {"plug.lan": OLD}

    async def connect_tcp(self, host: str, port: int) -> ByteStream:
        return await super().connect_tcp(self.names.get(host, host), port)


@pytest.mark.parametrize("is_taken", [False, True], ids=["nobody", "another device"])
async def test_without_a_cloud_a_device_is_found_by_its_name_again(is_taken: bool):
    network = NamedNetwork()
    environment = Environment(network=network)
    async with (
        sim_meross_device(OLD, key=KEY, environment=environment) as sim,
        open_meross_lan("plug.lan", key=KEY, environment=environment) as plug,
        plug.changes(),
    ):
        await sim.move(NEW)
        async with sim_meross_device(
            OLD if is_taken else "192.168.1.61",
            uuid=32 * "e",
            key=KEY,
            environment=environment,
        ):
            await anyio.sleep(120)
            assert not plug.is_available
            # Whoever is there now is not taken for it.
            assert plug.availability.is_replaced is is_taken
            network.names["plug.lan"] = NEW
            await anyio.sleep(90)
            assert plug.availability.is_available
            await plug.turn_on()
            assert sim.device.digest()["togglex"][0]["onoff"] == 1


async def test_a_host_with_a_port_is_said_to_be_two_arguments():
    with pytest.raises(UsageError, match="and give the port by port"):
        async with open_meross_lan("1.2.3.4:80", key=KEY):
            pass
