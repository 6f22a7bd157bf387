"""The defects of the original package, one test each, by the reference's numbers.

D26 is not here: it is about documents.
"""

from __future__ import annotations

import inspect
from typing import Any

import anyio
import pytest

from structiot import Environment
from structiot.errors import (
    ConnectFailed,
    ReplyTimeout,
    StructiotError,
    TransportError,
    UnsupportedDevice,
    UsageError,
)
from structiot.maxsmart import (
    MaxSmartRefused,
    StateChanged,
    SwitchStuck,
    discover_maxsmart,
    maxsmart_device,
)
from structiot.maxsmart.wire.messages import HttpNumber, V3Number
from structiot.model import Availability
from structiot.sim import FAMILIES, sim_maxsmart, sim_maxsmart_broadcast
from structiot.testing import MemoryNetwork
from tests.link.maxsmart.strips import (
    HOST,
    V3_FAMILIES,
    WallClock,
    bench,
    is_there,
    waiting,
)

pytestmark = pytest.mark.virtual_time


@pytest.mark.parametrize("family", FAMILIES)
async def test_d1_opening_learns_serial_name_and_version(family):
    async with bench(family) as b:
        info = b.strip.info
        assert (info.serial, info.name) == (b.sim.serial, b.sim.name)
        assert info.firmware == FAMILIES[family].firmware


@pytest.mark.parametrize("family", V3_FAMILIES)
async def test_d2_devices_that_speak_v3_alone_are_recognised(family):
    async with bench(family) as b:
        assert (await b.strip.health_check()).transport == "udp_v3"


async def test_d3_errors_are_made_whatever_goes_wrong():
    async with bench() as b:
        b.sim.faults.stuck_ports.add(1)
        with pytest.raises(SwitchStuck, match="port 1 is not off"):
            await b.strip.turn_off(1)
        for wrong in (b.strip.check_state(7), b.strip.get_power_data(9)):
            with pytest.raises(UsageError, match="its ports are 1 to 6"):
                await wrong


async def test_d4_changes_are_watched_without_any_set_up():
    async with bench() as b, b.strip.changes() as changes:
        await anyio.sleep(1)
        await b.sim.press(1)
        await anyio.sleep(5)
        assert any(isinstance(c, StateChanged) for c in await waiting(changes))


async def test_d5_d6_a_command_is_followed_by_quick_polls_at_once():
    async with bench() as b, b.strip.readings():
        await anyio.sleep(6)
        before = b.polls
        await b.strip.turn_off(1)
        await anyio.sleep(8.5)
        assert b.polls - before == 5


async def test_d7_plugs_have_one_port_and_changes_as_well():
    async with bench("mh_plug_130") as b, b.strip.changes() as changes:
        assert b.strip.info.port_count == 1
        assert await b.strip.check_state() == [True]
        with pytest.raises(UsageError, match="its only port is 1"):
            await b.strip.check_state(2)
        assert await b.strip.retrieve_port_names() == ("Port 1",)
        await b.sim.press(1)
        await anyio.sleep(5)
        assert any(isinstance(c, StateChanged) for c in await waiting(changes))


async def test_d8_a_silent_device_stops_nobody_else():
    network = MemoryNetwork()
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await anyio.sleep(0.01)
            ticks += 1

    async with anyio.create_task_group() as tg:
        tg.start_soon(tick)
        with pytest.raises(ConnectFailed):
            async with maxsmart_device(
                HOST, environment=Environment(network=network), connect_s=1.0
            ):
                pass
        assert ticks >= 99
        tg.cancel_scope.cancel()


async def test_d9_nothing_is_left_of_a_device_that_did_not_open_or_was_closed():
    # That no socket and no task is left is looked at after each test of the suite.
    with pytest.raises(ConnectFailed):
        async with maxsmart_device(
            HOST, environment=Environment(network=MemoryNetwork()), connect_s=1.0
        ):
            pass
    async with bench() as b:
        pass
    with pytest.raises(UsageError, match="closed"):
        await b.strip.turn_on(1)


async def test_d10_a_name_query_without_answer_is_a_timeout_in_plain_words():
    async with bench() as b:
        b.sim.faults.drop_next(9, on="discovery")
        with pytest.raises(ReplyTimeout, match="does not say who it is"):
            await b.strip.retrieve_port_names()


async def test_d11_names_of_one_strip_are_none_of_another_s():
    async with bench() as b:
        await b.strip.change_port_name(1, "TV")
    async with bench("cocoso_106") as b:
        assert b.strip.info.port_names == tuple(f"Port {n}" for n in range(1, 7))


@pytest.mark.parametrize(
    "noise", [b"[1,2]", b'"x"', b"7", b'{"data":[1]}', b"\xff", b""]
)
async def test_d12_one_bad_responder_hides_no_device(noise):
    network = MemoryNetwork()

    async def disturb() -> None:
        async with network.open_udp("127.0.0.66", 8888) as udp:
            while True:
                _, peer = await udp.receive()
                await udp.send(noise, *peer)

    async with (
        sim_maxsmart(HOST, environment=Environment(network=network)) as sim,
        anyio.create_task_group() as tg,
    ):
        tg.start_soon(disturb)
        await anyio.sleep(0.1)
        async with sim_maxsmart_broadcast(
            [sim], environment=Environment(network=network)
        ):
            found = await discover_maxsmart(environment=Environment(network=network))
        assert [device.host for device in found] == [HOST]
        tg.cancel_scope.cancel()


@pytest.mark.parametrize("family", V3_FAMILIES)
async def test_d13_what_another_host_answers_does_not_count(family):
    async with bench(family) as b:
        b.sim.faults.reply_from = "127.0.0.9"
        with pytest.raises(ReplyTimeout):
            await b.strip.get_data()


@pytest.mark.parametrize("lie", ["code_text", "code_missing", "code_null"])
async def test_d14_a_code_may_be_text_or_missing(lie):
    async with bench() as b:
        b.sim.faults.lie_next(lie, 2)
        await b.strip.turn_off(1)


@pytest.mark.parametrize("lie", ["watt_empty_text", "watt_words", "watt_null"])
async def test_d15_one_bad_element_is_one_unknown_power(lie):
    async with bench(sim={"loads": [5.0] * 6}) as b:
        b.sim.faults.lie_next(lie, on="511")
        data = await b.strip.get_data()
        assert data.power_w == (None, *[5.0] * 5)
        assert data.total_power_w is None


async def test_d16_power_is_right_whatever_was_read_first():
    """The first reply of the strip has no figure from which a unit could be guessed."""
    network = MemoryNetwork()
    async with sim_maxsmart(
        HOST,
        family="mh_strip_211",
        loads=[5.0] * 6,
        environment=Environment(network=network),
    ) as sim:
        sim.faults.lie_next("watt_null", on="511")
        async with maxsmart_device(
            HOST, environment=Environment(network=network)
        ) as strip:
            assert (await strip.get_data()).power_w == (5.0,) * 6


@pytest.mark.parametrize("name", ["a & b", "#1", "1 + 1", "50%", 'x"y', "é"])
async def test_d17_a_name_arrives_as_it_was_written(name):
    async with bench() as b:
        assert await b.strip.change_port_name(2, name) == name
        assert b.sim.port_names[1] == name


async def test_d18_the_clock_is_set_with_its_zone_and_never_to_a_placeholder():
    async with bench(identify_s=60) as b, b.strip.readings():
        await anyio.sleep(200)
        await b.strip.retrieve_port_names()
        asked = [r.data for r in b.sim.requests if r.channel == "discovery"]
        assert len(asked) >= 4
        assert all(data.startswith(b"00dv=all,2024-05-01,13:4") for data in asked)
        assert all(data.endswith(b",14;") for data in asked)
        clock = b.sim.local_time()
        assert (
            abs(clock.timestamp() - WallClock()().replace(tzinfo=None).timestamp()) < 1
        )


@pytest.mark.parametrize("family", V3_FAMILIES)
async def test_d19_what_v3_does_not_have_is_refused_at_once(family):
    async with bench(family) as b:
        began = anyio.current_time()
        for wrong in (b.strip.get_statistics(), b.strip.get_device_time()):
            with pytest.raises(UnsupportedDevice):
                await wrong
        assert anyio.current_time() == began


@pytest.mark.parametrize("family", ["mh_strip_130", *V3_FAMILIES])
async def test_d20_a_refusal_is_one_and_is_not_repeated(family):
    async with bench(family) as b:
        b.sim.faults.lie_next("code_400", 9, on="command")
        with pytest.raises(MaxSmartRefused) as e:
            await b.strip.turn_off(1)
        assert e.value.code == 400
        numbers = {HttpNumber.SET_PORT, V3Number.SET_PORT}
        assert sum(r.number in numbers for r in b.sim.requests) == 1


async def test_d21_an_error_names_the_device_and_keeps_its_cause():
    async with bench(sim={"name": "Desk"}) as b:
        await b.sim.unplug()
        with pytest.raises(TransportError) as e:
            await b.strip.get_data()
        assert HOST in str(e.value)
        assert "{" not in str(e.value)
        await b.sim.plug_in()
        b.sim.faults.hang_up_next(9, on="510")
        with pytest.raises(UnsupportedDevice, match=r"Desk \(127\.0\.0\.2\)") as u:
            await b.strip.get_statistics()
        assert isinstance(u.value.__cause__, StructiotError)


async def test_d22_failure_is_told_to_who_watches():
    async with bench() as b, b.strip.events() as events:
        await anyio.sleep(1)
        await b.sim.unplug()
        await anyio.sleep(60)
        told = [e for e in await waiting(events) if isinstance(e, Availability)]
        assert not told[-1].is_available
        assert told[-1].reason


async def test_d23_discovery_takes_one_window_and_a_device_that_is_deaf_to_http_is_found():
    network = MemoryNetwork()
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        sim.faults.drop_next(99, on="http")
        async with sim_maxsmart_broadcast(
            [sim], environment=Environment(network=network)
        ):
            began = anyio.current_time()
            found = await discover_maxsmart(environment=Environment(network=network))
        assert anyio.current_time() - began == pytest.approx(2.5, abs=0.1)
        assert [device.serial for device in found] == [sim.serial]


async def test_d24_no_connection_is_kept():
    async with bench() as b:
        await b.strip.get_data()
        requests = [r.data.lower() for r in b.sim.requests if r.channel == "http"]
        assert requests
        assert all(b"connection: close" in data for data in requests)


def test_d25_options_have_names_and_no_places():
    for opener in (maxsmart_device, discover_maxsmart):
        parameters: Any = inspect.signature(opener).parameters.values()
        _, *options = parameters
        assert {option.kind for option in options} == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("port", [7, -1, 64])
async def test_d27_a_port_that_does_not_exist_never_reaches_the_device(port):
    async with bench() as b:
        sent = len(b.sim.requests)
        for wrong in (
            b.strip.turn_on(port),
            b.strip.turn_off(port),
            b.strip.get_statistics(port),
            b.strip.change_port_name(port, "TV"),
            b.strip.get_power_data(port),
        ):
            with pytest.raises(UsageError):
                await wrong
        assert len(b.sim.requests) == sent


@pytest.mark.parametrize("family", ["mh_strip_130", "revogi_511"])
async def test_d28_a_poll_of_a_dead_strip_takes_no_longer_than_a_poll_may(family):
    async with bench(family) as b, b.strip.readings():
        await anyio.sleep(1)
        b.sim.faults.drop_next(99)
        await anyio.sleep(15)
        # Three failures of at most 2 s, and the pauses between them.
        assert not is_there(b.strip)
