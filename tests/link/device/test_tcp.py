"""A device over TCP, as the guide writes it: each way to be away has its own error."""

from __future__ import annotations

import logging

import anyio
import pytest

from structiot.devices import Environment
from structiot.errors import ConnectFailed, LinkLost
from structiot.sim import Faults, SimHost
from structiot.testing import MemoryNetwork
from tests.link.device.lamp import Lamp, LampSim

pytestmark = pytest.mark.virtual_time

HOST = "10.0.0.9"


@pytest.fixture
def environment() -> Environment:
    return Environment(network=MemoryNetwork())


class HangingUp(SimHost[Faults]):
    """It takes the question and says nothing."""

    async def start(self, sockets):
        await sockets.listen(7070, self._serve)

    async def _serve(self, stream):
        await stream.receive(100)


class Broken(SimHost[Faults]):
    """Its first client brings it to a division by zero."""

    clients = 0

    async def start(self, sockets):
        await sockets.listen(7070, self._serve)

    async def _serve(self, stream):
        self.clients += 1
        await stream.receive(100)
        await stream.send(b"%d" % (1 / (self.clients - 1)))


async def test_nobody_there_is_no_hang_up(environment):
    with pytest.raises(ConnectFailed, match="refused"):
        async with Lamp(HOST, 7070, environment):
            pass


async def test_who_hangs_up_is_lost(environment):
    async with HangingUp(HOST, Faults(), environment=environment):
        with pytest.raises(LinkLost, match="hung up"):
            async with Lamp(HOST, 7070, environment):
                pass


async def test_a_client_that_hangs_up_costs_its_connection_alone(environment, caplog):
    caplog.set_level(logging.INFO)
    async with LampSim(HOST, environment) as sim, Lamp(HOST, 7070, environment) as lamp:
        await lamp.command("light", True)
        assert lamp.states == {"light": True}
        await lamp.command("light", False)
        await anyio.wait_all_tasks_blocked()
        assert lamp.states == {"light": False}
    assert not sim.is_on
    gone = [one for one in caplog.records if "a client has gone" in one.message]
    assert gone
    assert all(one.levelno == logging.INFO and not one.exc_info for one in gone)


async def test_what_a_client_brings_about_is_logged_and_costs_itself(
    environment, caplog
):
    async with Broken(HOST, Faults(), environment=environment):
        with pytest.raises(LinkLost):
            async with Lamp(HOST, 7070, environment):
                pass
        # The next one is served.
        async with Lamp(HOST, 7070, environment):
            pass
    (record,) = [one for one in caplog.records if one.levelno >= logging.ERROR]
    assert "a client is cut off" in record.message
    assert record.exc_info is not None
