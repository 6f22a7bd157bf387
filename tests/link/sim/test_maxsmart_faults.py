"""What simulated strips get wrong when they are told to, and only then."""

from __future__ import annotations

import json

import anyio
import pytest

from structiot import Environment
from structiot.errors import UsageError
from structiot.sim import HTTP_FRAMES, Fault, FaultKind, sim_maxsmart
from structiot.sim.maxsmart.response_faults import LIES
from structiot.testing import MemoryNetwork
from tests.link.sim.asking import ask_http, body_of, data_of, udp_asker

pytestmark = pytest.mark.virtual_time

HOST = "10.0.0.7"
OFF = "/?cmd=200&json=%7B%22port%22:0,%22state%22:0%7D"


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


async def test_a_dropped_request_is_neither_answered_nor_carried_out(network):
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        sim.faults.drop_next()
        with anyio.move_on_after(10) as patience:
            await ask_http(network, HOST, OFF)
        assert patience.cancelled_caught
        assert all(sim.ports.values())
        assert (await data_of(network, HOST))["switch"] == [1] * 6


async def test_a_dropped_connection_is_let_go_after_a_minute(network):
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        sim.faults.drop_next()
        assert await ask_http(network, HOST, OFF) == b""
        assert anyio.current_time() == 60


async def test_a_lost_reply_was_carried_out(network):
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        sim.faults.lose_reply_next()
        assert await ask_http(network, HOST, OFF) == b""
        assert not any(sim.ports.values())


async def test_a_hang_up_comes_at_once_and_nothing_was_carried_out(network):
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        sim.faults.hang_up_next(2)
        for _ in range(2):
            assert await ask_http(network, HOST, OFF) == b""
        assert anyio.current_time() == 0
        assert all(sim.ports.values())
        assert body_of(await ask_http(network, HOST, OFF))["code"] == 200


async def test_a_refused_command_changes_nothing(network):
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        sim.faults.refuse_next()
        assert body_of(await ask_http(network, HOST, OFF)) == {
            "response": 200,
            "code": 400,
        }
        assert all(sim.ports.values())


async def test_a_garbled_reply_has_the_right_length_and_no_meaning(network):
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        good = await ask_http(network, HOST, "/?cmd=513")
        sim.faults.garble_next()
        bad = await ask_http(network, HOST, "/?cmd=513")
    assert len(good) == len(bad)
    body = bad.partition(b"\r\n\r\n")[2]
    assert not body.isascii()
    assert b"{" not in body


async def test_a_cut_reply_stops_in_the_middle_of_its_body(network):
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        good = await ask_http(network, HOST, "/?cmd=513")
        sim.faults.cut_next()
        bad = await ask_http(network, HOST, "/?cmd=513")
    assert good.startswith(bad)
    assert len(good) / 2 < len(bad) < len(good)


async def test_a_duplicated_reply_comes_twice(network):
    async with (
        sim_maxsmart(HOST, environment=Environment(network=network)) as sim,
        udp_asker(network, HOST) as asker,
    ):
        sim.faults.duplicate_next(2)
        first = await asker.ask("00dv=all;")
        assert first == await asker.hear()
        assert await asker.hear() is None
        twice = await ask_http(network, HOST, "/?cmd=513")
    assert twice.count(b"HTTP/1.1 200 OK") == 2


async def test_a_late_reply_by_udp_is_overtaken_by_the_next(network):
    async with (
        sim_maxsmart(
            HOST, family="revogi_511", environment=Environment(network=network)
        ) as sim,
        udp_asker(network, HOST) as asker,
    ):
        sim.faults.delay_next(0.5)
        await asker.say("00dv=all;")
        await asker.say('V3{"cmd":90}')
        assert (await asker.hear() or b"").startswith(b"V3")
        assert anyio.current_time() == 0
        assert (await asker.hear() or b"").startswith(b'{"response":0')
        assert anyio.current_time() == 0.5


async def test_every_reply_is_late_while_there_is_a_delay(network):
    async with (
        sim_maxsmart(HOST, environment=Environment(network=network)) as sim,
        udp_asker(network, HOST) as asker,
    ):
        sim.faults.delay_s = 0.25
        await asker.ask("00dv=all;")
        await data_of(network, HOST)
    assert anyio.current_time() == 0.5


async def test_a_silent_strip_accepts_everything_and_says_nothing(network):
    async with (
        sim_maxsmart(HOST, environment=Environment(network=network)) as sim,
        udp_asker(network, HOST) as asker,
    ):
        sim.faults.is_silent = True
        assert await asker.ask("00dv=all;") is None
        with anyio.move_on_after(10) as patience:
            await ask_http(network, HOST, "/?cmd=511")
        assert patience.cancelled_caught
        assert len(sim.requests) == 2
        sim.faults.clear()
        assert await asker.ask("00dv=all;") is not None


async def test_faults_are_met_only_by_what_they_are_meant_for(network):
    async with (
        sim_maxsmart(HOST, environment=Environment(network=network)) as sim,
        udp_asker(network, HOST) as asker,
    ):
        sim.faults.hang_up_next(on="502")
        sim.faults.drop_next(on="discovery")
        assert sim.faults.waiting == 2
        await data_of(network, HOST)
        assert await ask_http(network, HOST, "/?cmd=502") == b""
        assert await asker.ask("00dv=all;") is None
        assert (sim.faults.waiting, sim.faults.shown) == (0, 2)


async def test_a_lasting_fault_is_met_until_it_is_cleared(network):
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        sim.faults.always(Fault(kind=FaultKind.HANG_UP, on="command"))
        for _ in range(3):
            assert await ask_http(network, HOST, "/?cmd=511") == b""
        sim.faults.clear()
        await data_of(network, HOST)


async def test_a_lagging_relay_is_confirmed_at_once_and_switches_later(network):
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        sim.faults.relay_lag_s = 1.5
        assert body_of(await ask_http(network, HOST, OFF))["code"] == 200
        assert (await data_of(network, HOST))["switch"] == [1] * 6
        await anyio.sleep(1.5)
        assert (await data_of(network, HOST))["switch"] == [0] * 6
        sim.faults.clear()
        sim.ports[1] = True
        assert sim.ports[1]


async def test_a_stuck_relay_is_confirmed_and_stays(network):
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        sim.faults.stuck_ports.add(2)
        assert body_of(await ask_http(network, HOST, OFF))["code"] == 200
        assert (await data_of(network, HOST))["switch"] == [0, 1, 0, 0, 0, 0]
        sim.faults.clear()
        await ask_http(network, HOST, OFF)
        assert not any(sim.ports.values())


async def test_datagrams_may_come_from_a_wrong_address(network):
    async with (
        sim_maxsmart(HOST, environment=Environment(network=network)) as sim,
        udp_asker(network, HOST) as asker,
    ):
        sim.faults.reply_from = "10.0.0.99"
        assert await asker.ask("00dv=all;") is not None
        assert asker.source == ("10.0.0.99", 8888)
        sim.faults.clear()
        await asker.ask("00dv=all;")
        assert asker.source == (HOST, 8888)


async def test_a_reply_that_cannot_be_sent_costs_nothing_else(network, caplog):
    async with (
        sim_maxsmart(HOST, environment=Environment(network=network)) as sim,
        sim_maxsmart("10.0.0.8", environment=Environment(network=network)),
        udp_asker(network, HOST) as asker,
    ):
        sim.faults.reply_from = "10.0.0.8"
        assert await asker.ask("00dv=all;") is None
        assert "reply to 127.0.0.1:" in caplog.text
        sim.faults.clear()
        assert await asker.ask("00dv=all;") is not None


async def test_a_corrupted_serial_cannot_be_printed(network):
    async with (
        sim_maxsmart(HOST, environment=Environment(network=network)) as sim,
        udp_asker(network, HOST) as asker,
    ):
        sim.faults.is_serial_corrupted = True
        told = json.loads(await asker.ask("00dv=all;") or b"")["data"]["sn"]
    assert len(told) == len(sim.serial)
    assert not told.isprintable()


@pytest.mark.parametrize("lie", LIES)
async def test_every_lie_is_told_once_in_a_right_frame(network, lie):
    async with sim_maxsmart(
        HOST, environment=Environment(network=network), loads=[1] * 6
    ) as sim:
        good = await ask_http(network, HOST, "/?cmd=511")
        sim.faults.lie_next(lie, on="511")
        bad = await ask_http(network, HOST, "/?cmd=511")
        assert await ask_http(network, HOST, "/?cmd=511") == good
    head, _, body = bad.partition(b"\r\n\r\n")
    assert bad != good
    assert f"Content-Length: {len(body)}\r\n".encode() in head


@pytest.mark.parametrize("lie", LIES)
async def test_every_lie_can_be_told_by_datagram(network, lie):
    async with (
        sim_maxsmart(
            HOST, family="revogi_511", environment=Environment(network=network)
        ) as sim,
        udp_asker(network, HOST) as asker,
    ):
        good = await asker.ask('V3{"cmd":90}')
        sim.faults.lie_next(lie)
        bad = await asker.ask('V3{"cmd":90}')
    assert bad is not None
    assert bad.startswith(b"V3")
    assert bad != good


@pytest.mark.parametrize("frame", HTTP_FRAMES)
async def test_every_odd_frame_is_used_once(network, frame):
    async with sim_maxsmart(
        HOST, environment=Environment(network=network), loads=[1] * 6
    ) as sim:
        good = await ask_http(network, HOST, "/?cmd=511")
        sim.faults.frame_next(frame)
        odd = await ask_http(network, HOST, "/?cmd=511")
        assert await ask_http(network, HOST, "/?cmd=511") == good
    assert odd != good
    body = good.partition(b"\r\n\r\n")[2]
    assert (body in odd) == (frame not in {"head_endless", "one_byte_chunks"})


async def test_an_unknown_lie_is_refused_with_the_known_ones(network):
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        with pytest.raises(
            UsageError, match="no fault 'watts_short'; there are code_text"
        ):
            sim.faults.lie_next("watts_short")
        with pytest.raises(UsageError, match="there are length_padded"):
            sim.faults.frame_next("watt_short")
