"""Faults by their names, as the command line takes them."""

from __future__ import annotations

from datetime import timedelta

import anyio
import pytest

from structiot import Environment
from structiot.errors import UsageError
from structiot.sim import (
    HTTP_FRAMES,
    NAMED_FAULTS,
    NamedFault,
    parse_fault,
    show_fault,
    sim_maxsmart,
)
from structiot.sim.maxsmart.response_faults import LIES
from structiot.testing import MemoryNetwork
from tests.link.sim.asking import ask_http, http_json, udp_asker

pytestmark = pytest.mark.virtual_time

HOST = "10.0.0.7"
OFF = "/?cmd=200&json=%7B%22port%22:1,%22state%22:0%7D"
OF_REQUESTS = [
    "drop", "lose_reply", "hang_up", "refuse", "garble", "cut", "duplicate",
    *HTTP_FRAMES, *LIES,
]  # fmt: skip
OF_THE_STRIP = [
    "silent", "late_relays", "stuck_relays", "corrupt_serial", "reply_from", "reboot",
    "power_cut", "move", "become", "clock_jump", "forget_energy",
]  # fmt: skip


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


def test_every_fault_is_listed_and_said_what_it_is():
    assert set(NAMED_FAULTS) == {
        *OF_REQUESTS,
        *OF_THE_STRIP,
        "delay",
        "trickle",
        "no_prefix",
    }
    assert all(NAMED_FAULTS.values())


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("drop", NamedFault(name="drop")),
        ("drop*3", NamedFault(name="drop", times=3)),
        ("watt_null@511", NamedFault(name="watt_null", on="511")),
        (
            "delay=0.5@discovery*2+10",
            NamedFault(name="delay", value="0.5", on="discovery", times=2, after_s=10),
        ),
        ("stuck_relays=1,3", NamedFault(name="stuck_relays", value="1,3")),
        ("clock_jump=-60", NamedFault(name="clock_jump", value="-60")),
        ("move=127.0.0.9", NamedFault(name="move", value="127.0.0.9")),
        ("power_cut+0.5", NamedFault(name="power_cut", after_s=0.5)),
        # Of other simulators.
        ("stuck", NamedFault(name="stuck")),
        ("cloud:wrong_sign*2", NamedFault(name="wrong_sign", times=2)),
        ("cloud:ban+60", NamedFault(name="ban", after_s=60)),
    ],
)
def test_a_fault_is_read_from_its_text(text, fault):
    assert parse_fault(text) == fault


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not a fault: ''; write NAME"),
        ("drop it", "not a fault"),
        ("drop*often", "not a fault"),
        ("watts_null", "no fault 'watts_null'; there are drop, lose_reply"),
        ("drop=3", "drop takes no value"),
        ("silent=1", "silent takes no value"),
        ("delay=soon", "not a number of seconds: 'soon'"),
        ("clock_jump=inf", "not a number of seconds"),
        ("stuck_relays=a", "not ports such as 1,3: 'a'"),
        ("move", "move needs an address"),
        ("reboot*3", "reboot is not a fault of single requests"),
        ("cloud:stuck", "no fault 'stuck'; there are drop"),
        ("stuck=1", "stuck takes no value"),
        ("silent@511", "silent is not a fault of single requests"),
    ],
)
def test_what_is_no_fault_is_refused(text, why):
    with pytest.raises(UsageError, match=why.replace("*", r"\*")):
        parse_fault(text)


@pytest.mark.parametrize("name", OF_REQUESTS)
async def test_faults_of_requests_are_met_as_often_as_asked(network, name):
    async with sim_maxsmart(
        HOST, environment=Environment(network=network), loads=[1] * 6
    ) as sim:
        good = await ask_http(network, HOST, "/?cmd=511")
        await show_fault(sim, f"{name}@511*2")
        for _ in range(2):
            with anyio.move_on_after(5):
                assert await ask_http(network, HOST, "/?cmd=511") != good
        assert sim.faults.shown == 2
        assert await ask_http(network, HOST, "/?cmd=511") == good


async def test_without_a_number_every_request_meets_it_until_cleared(network):
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        await show_fault(sim, "hang_up")
        for _ in range(10):
            assert await ask_http(network, HOST, "/?cmd=511") == b""
        sim.faults.clear()
        assert await ask_http(network, HOST, "/?cmd=511") != b""


async def test_a_fault_can_begin_later(network):
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        async with anyio.create_task_group() as tg:
            tg.start_soon(show_fault, sim, "silent+30")
            await anyio.sleep(29)
            assert not sim.faults.is_silent
        assert anyio.current_time() == 30
        assert sim.faults.take({"discovery"}) is not None


async def test_a_delay_is_of_so_many_seconds(network):
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        await show_fault(sim, "delay=0.5*1")
        await ask_http(network, HOST, "/?cmd=511")
        assert anyio.current_time() == 0.5


async def test_v3_replies_come_without_their_prefix(network):
    async with (
        sim_maxsmart(
            HOST, family="revogi_511", environment=Environment(network=network)
        ) as sim,
        udp_asker(network, HOST) as asker,
    ):
        good = await asker.ask('V3{"cmd":90}')
        await show_fault(sim, "no_prefix*1")
        assert (await asker.ask("00dv=all;") or b"").startswith(b"{")
        bare = await asker.ask('V3{"cmd":90}')
        assert bare is not None
        assert bare[:12] == (good or b"")[2:14] == b'{"response":'


async def test_relays_are_late_or_stuck(network):
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        await show_fault(sim, "late_relays=2")
        await http_json(network, HOST, OFF)
        assert dict(sim.ports)[1]
        await anyio.sleep(2)
        assert not dict(sim.ports)[1]
        sim.faults.clear()
        await show_fault(sim, "stuck_relays=2,3")
        await http_json(network, HOST, OFF.replace("22port%22:1", "22port%22:0"))
        assert [port for port, is_on in sim.ports.items() if is_on] == [2, 3]
        with pytest.raises(UsageError, match="has no port 7"):
            await show_fault(sim, "stuck_relays=1,7")


async def test_what_happens_to_the_strip_itself(network):
    async with (
        sim_maxsmart(
            HOST, environment=Environment(network=network), loads=[60] * 6
        ) as sim,
        udp_asker(network, HOST) as asker,
    ):
        serial, clock = sim.serial, sim.local_time()
        await show_fault(sim, "corrupt_serial")
        assert serial.encode() not in (await asker.ask("00dv=all;") or b"")
        await show_fault(sim, "reply_from=10.0.0.99")
        await asker.ask("00dv=all;")
        assert asker.source == ("10.0.0.99", 8888)
        sim.faults.clear()
        await show_fault(sim, "clock_jump=-60")
        assert sim.local_time() - clock == timedelta(seconds=-60)
        await show_fault(sim, "reboot=60")
        assert sim.energy_wh(1) == pytest.approx(1)
        await show_fault(sim, "power_cut=60")
        assert sim.energy_wh(1) == pytest.approx(1)
        assert anyio.current_time() == 120
        assert sim.local_time().year == 2000
        await show_fault(sim, "forget_energy")
        assert sim.energy_wh(1) == 0
        await show_fault(sim, "become")
        assert sim.serial[:4] == serial[:4]
        assert sim.serial != serial
        await show_fault(sim, "become=SWP6000000000042")
        assert sim.serial == "SWP6000000000042"
        await show_fault(sim, "move=10.0.0.8")
        assert (await http_json(network, "10.0.0.8", "/?cmd=511"))["code"] == 200
