"""A second simulator has power, mains, energy and faults by name without writing them."""

from __future__ import annotations

from contextlib import suppress

import anyio
import pytest

from structiot import Environment
from structiot.devices import DeviceHttp
from structiot.errors import (
    ConnectFailed,
    LinkLost,
    PeerError,
    ProtocolViolation,
    ReplyTimeout,
    StructiotError,
    TransportError,
    UsageError,
)
from structiot.sim import (
    HTTP_FRAMES,
    JSON_LIES,
    Fault,
    FaultKind,
    Faults,
    SimHost,
    show_fault,
)
from structiot.testing import MemoryNetwork, cancel_sweep
from tests.link.sim.plug import PlugSim

pytestmark = pytest.mark.virtual_time

HOST = "10.0.0.7"


@pytest.fixture
def environment() -> Environment:
    return Environment(network=MemoryNetwork())


async def ask(plug: PlugSim, command: str, reply_s: float = 5.0) -> object:
    """Ask the plug at its address of this moment."""
    network = plug.environment.network
    url = f"http://{plug.host}:{plug.http_port}"
    http = DeviceHttp(url, reply_s=reply_s, network=network)
    reply = await http.request("GET", "/cm", query={"cmnd": command})
    assert reply.status in {200, 400}
    return reply.json() if reply.status == 200 else "refused"


async def test_it_switches_and_meters(environment):
    async with PlugSim(HOST, environment=environment) as plug:
        assert await ask(plug, "Power") == {"POWER": "ON"}
        await anyio.sleep(3600)
        assert await ask(plug, "Status 10") == {
            "StatusSNS": {"ENERGY": {"Total": 0.06, "Power": 60}}
        }
        assert await ask(plug, "Power Off") == {"POWER": "OFF"}
        await anyio.sleep(3600)
        assert plug.outlet.energy_wh == pytest.approx(60)
        assert plug.outlet.power_w == 0


# ---------------------------------------------------------------- power and addresses


async def test_it_is_there_for_the_length_of_the_block_and_only_then(environment):
    plug = PlugSim(HOST, environment=environment)
    with pytest.raises(UsageError, match=r"PlugSim 10\.0\.0\.7 is not open"):
        await plug.plug_in()
    async with plug:
        was_there = plug.is_plugged_in
        await ask(plug, "Power")
    assert (was_there, plug.is_plugged_in) == (True, False)
    with pytest.raises(UsageError, match="is not open"):
        await plug.plug_in()
    with pytest.raises(ConnectFailed):
        await ask(plug, "Power")


async def test_a_power_cut_takes_its_time_and_its_energy(environment):
    async with PlugSim(HOST, environment=environment) as plug:
        port = plug.http_port
        async with anyio.create_task_group() as tg:
            tg.start_soon(plug.power_cut, 1800)
            await anyio.sleep(900)
            assert not plug.is_plugged_in
            assert plug.outlet.power_w == 0
            with pytest.raises(ConnectFailed):
                await ask(plug, "Power")
        assert anyio.current_time() == 1800
        assert plug.http_port == port
        await ask(plug, "Power")
        await anyio.sleep(1800)
        assert plug.outlet.energy_wh == pytest.approx(30)


async def test_an_outage_during_another_follows_it(environment):
    async with PlugSim(HOST, environment=environment) as plug:
        async with anyio.create_task_group() as tg:
            tg.start_soon(show_fault, plug, "power_cut=60")
            tg.start_soon(show_fault, plug, "reboot=10+30")
            await anyio.sleep(65)
            assert not plug.is_plugged_in
            assert plug.outlet.power_w == 60
        assert anyio.current_time() == 70
        assert plug.is_plugged_in


async def test_it_may_move_and_be_back_at_its_port(environment):
    async with PlugSim(HOST, environment=environment) as plug:
        port = plug.http_port
        await show_fault(plug, "move=10.0.0.8")
        assert (plug.host, plug.http_port) == ("10.0.0.8", port)
        assert await ask(plug, "Power Off") == {"POWER": "OFF"}


async def test_an_address_that_is_taken_is_said_at_once(environment):
    async with PlugSim(HOST, environment=environment) as plug:
        other = PlugSim(HOST, environment=environment)
        other.http_port = plug.http_port
        with pytest.raises(ConnectFailed, match="address already in use"):
            async with other:
                pytest.fail("opened")


async def test_cancelled_anywhere_it_leaves_nothing_behind():
    async def flow() -> None:
        environment = Environment(network=MemoryNetwork())
        async with PlugSim(HOST, environment=environment) as plug:
            # It is cancelled with its client, which may see it go.
            with suppress(LinkLost):
                await ask(plug, "Power")
                await plug.reboot(1)
                await ask(plug, "Power")

    assert await cancel_sweep(flow) > 10


async def test_a_host_with_nothing_to_serve_is_still_one(environment):
    class Quiet(SimHost[Faults]):
        async def start(self, sockets) -> None:
            pass

    async with Quiet(HOST, Faults(), environment=environment) as quiet:
        await quiet.power_cut(10)
        assert quiet.is_plugged_in


# ---------------------------------------------------------------- faults

BAD = {
    "drop": ReplyTimeout,
    "lose_reply": ReplyTimeout,
    "hang_up": LinkLost,
    "garble": ProtocolViolation,
    "cut": LinkLost,
    "trickle": ReplyTimeout,
    "silent": ReplyTimeout,
}
HARMLESS = {
    "duplicate", "delay", "length_padded", "http_1_0", "no_length", "no_headers",
    "no_reason", "line_feeds", "chunked", "one_byte_chunks", "array", "number",
    "line_end", "not_a_number", "oversize",
}  # fmt: skip
OUTAGES = {"reboot", "power_cut", "move", "load", "refuse"}


@pytest.mark.parametrize("name", PlugSim.named_faults)
async def test_each_named_fault_is_seen_and_then_over(environment, name):
    assert PlugSim.named_faults[name]
    async with PlugSim(HOST, environment=environment) as plug:
        value = "=10.0.0.9" if name == "move" else ""
        await show_fault(plug, name + value)
        if name in BAD:
            with pytest.raises(BAD[name]):
                await ask(plug, "Power Off")
        elif name in OUTAGES | HARMLESS:
            await ask(plug, "Power Off")
        else:
            with pytest.raises((PeerError, TransportError, AssertionError)):
                await ask(plug, "Power Off")
        was_done = name not in {"drop", "hang_up", "refuse", "silent"}
        assert plug.outlet.is_on is not was_done
        plug.faults.clear()
        assert await ask(plug, "Power On") == {"POWER": "ON"}


async def test_a_refused_request_is_not_carried_out(environment):
    async with PlugSim(HOST, environment=environment) as plug:
        await show_fault(plug, "refuse@power*1")
        assert await ask(plug, "Status 10") != "refused"
        assert await ask(plug, "Power Off") == "refused"
        assert plug.outlet.is_on
        assert await ask(plug, "Power Off") == {"POWER": "OFF"}


async def test_a_late_reply_is_in_time_for_who_waits(environment):
    async with PlugSim(HOST, environment=environment) as plug:
        await show_fault(plug, "delay=2.5*1")
        plug.faults.trickle_next(4)
        assert await ask(plug, "Power") == {"POWER": "ON"}
        assert anyio.current_time() == 2.5
        assert await ask(plug, "Power") == {"POWER": "ON"}
        assert anyio.current_time() == pytest.approx(6.5)


@pytest.mark.parametrize("name", [*HTTP_FRAMES, *JSON_LIES])
async def test_every_frame_and_lie_may_be_asked_for_by_name(environment, name):
    async with PlugSim(HOST, environment=environment) as plug:
        if name in HTTP_FRAMES:
            plug.faults.frame_next(name)
        else:
            plug.faults.lie_next(name)
        try:
            await ask(plug, "Power")
        except (StructiotError, AssertionError):
            assert name not in HARMLESS
        assert plug.faults.shown == 1
        assert await ask(plug, "Power") == {"POWER": "ON"}


async def test_a_fault_of_its_own_is_read_and_shown(environment):
    async with PlugSim(HOST, environment=environment) as plug:
        await show_fault(plug, "load=1000+60")
        assert plug.outlet.power_w == 1000
        assert plug.outlet.energy_wh == pytest.approx(1)
        with pytest.raises(UsageError, match="no fault 'lode'; there are drop"):
            await show_fault(plug, "lode")


async def test_a_change_of_ones_own(environment):
    async with PlugSim(HOST, environment=environment) as plug:
        plug.faults.add(
            Fault(kind=FaultKind.CHANGE, on="status", change=lambda c: c.upper())
        )
        assert await ask(plug, "Power") == {"POWER": "ON"}
        assert "STATUSSNS" in str(await ask(plug, "Status 10"))
