"""Switching: verified by reading back, refused before or after sending, in turns."""

from __future__ import annotations

import anyio
import pytest
from anyio.abc import ByteStream
from anyio.streams.stapled import StapledByteStream

from structiot import Environment
from structiot.errors import (
    ReplyTimeout,
    UsageError,
)
from structiot.maxsmart import (
    MaxSmartRefused,
    SwitchStuck,
    maxsmart_device,
)
from structiot.maxsmart.wire.messages import HttpNumber
from structiot.sim import FAMILIES, sim_maxsmart
from structiot.testing import MemoryNetwork
from tests.link.maxsmart.strips import HOST, bench

pytestmark = pytest.mark.virtual_time

SET_NUMBERS = [("mh_strip_130", "200"), ("revogi_511", "20")]


@pytest.mark.parametrize("family", FAMILIES)
async def test_ports_are_switched_and_read_back(family):
    async with bench(family) as b:
        last = FAMILIES[family].ports
        await b.strip.turn_off(last)
        assert b.sim.ports[last] is False
        assert await b.strip.check_state(last) is False
        await b.strip.turn_on(last)
        assert await b.strip.check_state(last) is True
        await b.strip.turn_off()
        assert await b.strip.check_state() == [False] * last
        assert (await b.strip.get_power_data(1)).power_w == 0
        await b.strip.turn_on(0)
        assert set(b.sim.ports.values()) == {True}


async def test_a_command_is_one_set_and_one_read():
    async with bench() as b:
        polls = b.polls
        await b.strip.turn_off(3)
        assert len(b.asked(HttpNumber.SET_PORT)) == 1
        assert b.polls == polls + 1


@pytest.mark.parametrize("port", [-1, 7, 100])
async def test_a_port_that_does_not_exist_is_refused_before_sending(port):
    async with bench() as b:
        with pytest.raises(UsageError, match="its ports are 1 to 6"):
            await b.strip.turn_on(port)
        with pytest.raises(UsageError, match="its ports are 1 to 6"):
            await b.strip.check_state(port)
        assert not b.asked(HttpNumber.SET_PORT)


async def test_port_0_is_no_port_to_read():
    async with bench() as b:
        with pytest.raises(UsageError, match="no port 0"):
            await b.strip.get_power_data(0)


@pytest.mark.parametrize("port", [True, "1", 1.0, None])
async def test_a_port_is_an_integer(port):
    async with bench() as b:
        with pytest.raises(UsageError, match="a port is a number"):
            await b.strip.turn_on(port)


async def test_the_only_port_of_a_plug_is_named():
    async with bench("mh_plug_130") as b:
        with pytest.raises(UsageError, match="its only port is 1"):
            await b.strip.turn_on(2)


@pytest.mark.parametrize(("family", "number"), SET_NUMBERS)
async def test_a_refusal_is_raised_at_once(family, number):
    async with bench(family) as b:
        b.sim.faults.refuse_next(on=number)
        started_at = anyio.current_time()
        with pytest.raises(MaxSmartRefused) as caught:
            await b.strip.turn_off(1)
        assert caught.value.code == 400
        assert (caught.value.host, caught.value.command) == (HOST, "SetPort")
        assert anyio.current_time() == started_at
        assert b.strip.is_available


async def test_a_relay_that_lags_is_waited_for():
    async with bench() as b:
        b.sim.faults.relay_lag_s = 0.7
        started_at = anyio.current_time()
        await b.strip.turn_off(1)
        assert b.sim.ports[1] is False
        assert anyio.current_time() - started_at == pytest.approx(0.8)


async def test_a_relay_that_is_stuck_is_named():
    async with bench() as b:
        b.sim.faults.stuck_ports = {2, 5}
        with pytest.raises(SwitchStuck, match="port 2, 5 is not off") as caught:
            await b.strip.turn_off()
        assert caught.value.ports == (2, 5)
        assert caught.value.is_on is False
        assert caught.value.host == HOST


@pytest.mark.parametrize(("family", "number"), SET_NUMBERS)
@pytest.mark.parametrize("loss", ["drop_next", "lose_reply_next"])
async def test_a_lost_command_is_sent_again(family, number, loss):
    async with bench(family) as b:
        getattr(b.sim.faults, loss)(on=number)
        await b.strip.turn_off(4)
        assert b.sim.ports[4] is False


async def test_hanging_up_on_a_command_while_data_are_served_is_a_refusal():
    async with bench() as b:
        b.sim.faults.hang_up_next(2, on="200")
        with pytest.raises(MaxSmartRefused, match="hung up on SetPort") as caught:
            await b.strip.turn_off(1)
        assert caught.value.code is None


async def test_silence_to_a_command_is_a_timeout_that_names_it():
    async with bench() as b:
        b.sim.faults.drop_next(2, on="http")
        with pytest.raises(ReplyTimeout) as caught:
            await b.strip.turn_off(1)
        assert caught.value.after_s == 2.0


async def test_reading_back_that_fails_says_that_the_command_was_accepted():
    async with bench() as b:
        b.sim.faults.drop_next(2, on="511")
        with pytest.raises(ReplyTimeout) as caught:
            await b.strip.turn_off(1)
        assert "the command was accepted" in caught.value.__notes__[0]


class CountingNetwork(MemoryNetwork):
    """Counts how many connections are open at once."""

    def __init__(self) -> None:
        super().__init__()
        self.open = 0
        self.most = 0

    async def connect_tcp(self, host: str, port: int) -> ByteStream:
        self.open += 1
        self.most = max(self.most, self.open)
        return CountedStream(await super().connect_tcp(host, port), self)


class CountedStream(StapledByteStream):
    def __init__(self, stream: ByteStream, network: CountingNetwork) -> None:
        super().__init__(stream, stream)
        self._network: CountingNetwork | None = network

    async def aclose(self) -> None:
        if self._network is not None:
            self._network.open -= 1
            self._network = None
        await super().aclose()


async def test_a_strip_never_sees_two_connections_at_once():
    network = CountingNetwork()
    async with (
        sim_maxsmart(HOST, environment=Environment(network=network)) as sim,
        maxsmart_device(HOST, environment=Environment(network=network)) as strip,
        strip.readings(),
    ):
        sim.faults.delay_s = 0.1
        async with anyio.create_task_group() as tg:
            for port in range(1, 7):
                tg.start_soon(strip.turn_off, port)
                tg.start_soon(strip.get_data)
                tg.start_soon(strip.get_device_time)
    assert (network.open, network.most) == (0, 1)


async def test_commands_of_several_tasks_take_turns():
    async with bench() as b:
        async with anyio.create_task_group() as tg:
            for port in range(1, 7):
                tg.start_soon(b.strip.turn_off, port)
        numbers = [r.number for r in b.sim.requests if r.number in {200, 511}][1:]
        assert numbers == [HttpNumber.SET_PORT, HttpNumber.DATA] * 6
        assert set(b.sim.ports.values()) == {False}


@pytest.mark.parametrize(("attempts", "lost"), [(1, 1), (2, 2), (4, 3), (4, 4)])
async def test_how_often_a_request_is_sent_can_be_set(attempts, lost):
    async with bench(attempts=attempts) as b:
        b.sim.faults.drop_next(lost, on="200")
        if lost < attempts:
            await b.strip.turn_off(1)
            assert b.sim.ports[1] is False
        else:
            with pytest.raises(ReplyTimeout):
                await b.strip.turn_off(1)
        assert len(b.asked(HttpNumber.SET_PORT)) == min(attempts, lost + 1)


async def test_a_request_is_sent_at_least_once():
    with pytest.raises(UsageError, match="attempts"):
        async with bench(attempts=0):
            pass
