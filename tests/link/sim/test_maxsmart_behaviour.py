"""What simulated strips do: relays, service in turn, buttons, mains, families."""

from __future__ import annotations

import json
from dataclasses import replace

import anyio
import pytest

from structiot import Environment
from structiot.errors import ConnectFailed, UsageError
from structiot.sim import FAMILIES, sim_maxsmart
from structiot.testing import MemoryNetwork
from tests.link.sim.asking import (
    all_of,
    ask_http,
    body_of,
    data_of,
    http_json,
    udp_asker,
)

pytestmark = pytest.mark.virtual_time

HOST = "10.0.0.7"
HTTP_FAMILIES = [name for name, family in FAMILIES.items() if family.has_http]


def switch_target(port: int, state: int) -> str:
    return f"/?cmd=200&json=%7B%22port%22:{port},%22state%22:{state}%7D"


def rename_target(port: int, name: str) -> str:
    return f"/?cmd=201&json=%7B%22port%22:{port},%22name%22:%22{name}%22%7D"


# ---------------------------------------------------------------- switching


@pytest.mark.parametrize("family", HTTP_FAMILIES)
async def test_a_port_is_switched_at_once_by_http(family):
    network = MemoryNetwork()
    async with sim_maxsmart(
        HOST, family=family, environment=Environment(network=network)
    ) as sim:
        await ask_http(network, HOST, switch_target(1, 0))
        data = await data_of(network, HOST)
        assert data["switch"] == [0] + [1] * (sim.family.ports - 1)
        assert float(data["watt"][0]) == float(data["amp"][0]) == 0
        assert sim.ports[1] is False
        assert sim.power_w(1) == 0


@pytest.mark.parametrize("family", [n for n, f in FAMILIES.items() if f.v3 != "no"])
async def test_a_port_is_switched_at_once_by_v3(family):
    network = MemoryNetwork()
    async with (
        sim_maxsmart(
            HOST, family=family, environment=Environment(network=network)
        ) as sim,
        udp_asker(network, HOST) as asker,
    ):
        await asker.ask(f'V3{{"sn":"{sim.serial}","cmd":20,"port":1,"state":0}}')
        answer = await asker.ask('V3{"cmd":90}')
    assert answer is not None
    data = json.loads(answer[2:])["data"]
    assert data["switch"] == [0] + [1] * (sim.family.ports - 1)
    assert ("watt" in data) == (sim.family.v3 == "full")


async def test_port_0_switches_all():
    network = MemoryNetwork()
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        await ask_http(network, HOST, switch_target(0, 0))
        assert not any(sim.ports.values())


async def test_a_port_that_does_not_exist_is_refused_and_nothing_changes():
    network = MemoryNetwork()
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        reply = await http_json(network, HOST, switch_target(7, 0))
        assert reply == {"response": 200, "code": 400}
        assert all(sim.ports.values())


async def test_a_pressed_button_and_a_new_load_are_reported():
    network = MemoryNetwork()
    async with sim_maxsmart(
        HOST, loads=[1, 2, 3, 4, 5, 6], environment=Environment(network=network)
    ) as sim:
        await sim.press(2)
        sim.ports[3] = False
        sim.set_load(4, 40.5)
        data = await data_of(network, HOST)
    assert data["switch"] == [1, 0, 0, 1, 1, 1]
    assert data["watt"] == ["1.00", "0.00", "0.00", "40.50", "5.00", "6.00"]


async def test_relays_are_a_mapping_by_port_number():
    async with sim_maxsmart(
        HOST, family="mh_plug_130", environment=Environment(network=MemoryNetwork())
    ) as sim:
        assert dict(sim.ports) == {1: True}
        assert repr(sim.ports) == "{1: True}"
        with pytest.raises(UsageError, match="has ports 1 to 1, not 2"):
            sim.ports[2] = True


# ---------------------------------------------------------------- names


async def test_a_name_is_told_by_the_next_discovery():
    network = MemoryNetwork()
    async with (
        sim_maxsmart(HOST, environment=Environment(network=network)) as sim,
        udp_asker(network, HOST) as asker,
    ):
        await ask_http(network, HOST, rename_target(0, "Bar"))
        await ask_http(network, HOST, rename_target(6, "TV+set"))
        answer = await asker.ask("00dv=all;")
        assert (sim.name, sim.port_names[5]) == ("Bar", "TV set")
    assert answer is not None
    data = json.loads(answer)["data"]
    assert (data["name"], data["pname"][5]) == ("Bar", "TV set")


async def test_a_name_beyond_the_limit_is_refused_or_cut():
    network = MemoryNetwork()
    long = "x" * 22
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        assert (await http_json(network, HOST, rename_target(1, long)))["code"] == 400
        assert (await http_json(network, HOST, rename_target(7, "x")))["code"] == 400
        assert sim.port_names[0] == "Port 1"
    cutting = replace(FAMILIES["mh_strip_130"], is_name_cut=True)
    async with sim_maxsmart(
        HOST, family=cutting, environment=Environment(network=network)
    ) as sim:
        assert (await http_json(network, HOST, rename_target(1, long)))["code"] == 200
        assert sim.port_names[0] == "x" * 21


async def test_a_plug_takes_any_port_number_for_its_own_name():
    network = MemoryNetwork()
    async with sim_maxsmart(
        HOST, family="mh_plug_130", environment=Environment(network=network)
    ) as sim:
        await ask_http(network, HOST, rename_target(1, "Kettle"))
        assert sim.name == "Kettle"


async def test_v3_renames_where_the_firmware_can():
    network = MemoryNetwork()
    for family, is_done in [("revogi_349", True), ("revogi_511", False)]:
        async with (
            sim_maxsmart(
                HOST, family=family, environment=Environment(network=network)
            ) as sim,
            udp_asker(network, HOST) as asker,
        ):
            answer = await asker.ask('V3{"cmd":24,"port":0,"name":"Bar"}')
            assert (sim.name == "Bar") == (answer is not None) == is_done
            if is_done:
                assert b'"code":400' in (
                    await asker.ask('V3{"cmd":24,"port":0,"name":"sixteen letters."}')
                    or b""
                )


# ---------------------------------------------------------------- the matrix

COMMANDS = {"identifiers": 124, "rename": 201, "clock": 502, "statistics": 510}
JSON = {201: "%7B%22port%22:0,%22name%22:%22A%22%7D", 510: "%7B%22type%22:0%7D"}


@pytest.mark.parametrize("column", COMMANDS)
@pytest.mark.parametrize("family", HTTP_FAMILIES)
async def test_each_family_does_what_its_row_says(family, column):
    number = COMMANDS[column]
    network = MemoryNetwork()
    async with sim_maxsmart(
        HOST, family=family, environment=Environment(network=network)
    ) as sim:
        target = f"/?cmd={number}&json={JSON.get(number, '%7B%7D')}"
        reply = await ask_http(network, HOST, target)
    support = getattr(sim.family, column)
    if support == "hang_up":
        assert reply == b""
    else:
        code = {"yes": 200, "refuse": 400}[support]
        assert body_of(reply)["code"] == code


@pytest.mark.parametrize("family", [n for n in FAMILIES if n not in HTTP_FAMILIES])
async def test_families_without_http_refuse_the_connection(family):
    network = MemoryNetwork()
    async with sim_maxsmart(
        HOST, family=family, environment=Environment(network=network)
    ) as sim:
        assert sim.http_port is None
        with pytest.raises(ConnectFailed):
            await network.connect_tcp(HOST, 80)


@pytest.mark.parametrize("family", [n for n, f in FAMILIES.items() if f.v3 == "no"])
async def test_families_without_v3_stay_silent(family):
    network = MemoryNetwork()
    async with (
        sim_maxsmart(HOST, family=family, environment=Environment(network=network)),
        udp_asker(network, HOST) as asker,
    ):
        assert await asker.ask('V3{"cmd":90}') is None


async def test_nonsense_by_udp_is_answered_by_silence():
    network = MemoryNetwork()
    async with (
        sim_maxsmart(
            HOST, family="revogi_511", environment=Environment(network=network)
        ) as sim,
        udp_asker(network, HOST) as asker,
    ):
        for nonsense in [
            "",
            "hello",
            "V3",
            "V3{",
            "V3[]",
            'V3{"cmd":502}',
            "00xx=all;",
        ]:
            await asker.say(nonsense)
        await asker.say("00dv=SWW6999999999999;")
        assert await asker.hear() is None
        assert len(sim.requests) == 8


NONSENSE_BY_HTTP = [
    "/", "/?cmd=", "/?cmd=999", "/?cmd=200", "/?cmd=200&json=%7B", "/?cmd=511&json=5",
    "POST / HTTP/1.1\r\n\r\n", "GET / FTP/1.1\r\n\r\n", "x" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("nonsense", NONSENSE_BY_HTTP)
async def test_nonsense_by_http_ends_the_connection_without_a_byte(nonsense):
    network = MemoryNetwork()
    async with sim_maxsmart(HOST, environment=Environment(network=network)):
        if nonsense.startswith("/"):
            nonsense = f"GET {nonsense} HTTP/1.1\r\n\r\n"
        async with await network.connect_tcp(HOST, 80) as stream:
            await stream.send(nonsense.encode())
            assert await all_of(stream) == b""
        assert len((await data_of(network, HOST))["switch"]) == 6


async def test_a_serial_is_checked_only_where_the_row_says_so():
    network = MemoryNetwork()
    target = "/?cmd=511&json=%7B%22sn%22%3A%22SWP6999999999999%22%7D"
    async with sim_maxsmart(HOST, environment=Environment(network=network)):
        assert body_of(await ask_http(network, HOST, target))["code"] == 200
    checking = replace(FAMILIES["mh_strip_130"], checks_serial=True)
    async with sim_maxsmart(
        HOST, family=checking, environment=Environment(network=network)
    ) as sim:
        assert await ask_http(network, HOST, target) == b""
        own = target.replace("SWP6999999999999", sim.serial)
        assert body_of(await ask_http(network, HOST, own))["code"] == 200


async def test_a_firmware_that_needs_json_answers_without_it_by_no_valid_http():
    network = MemoryNetwork()
    strict = replace(FAMILIES["revogi_349"], needs_json=True)
    async with sim_maxsmart(
        HOST, family=strict, environment=Environment(network=network)
    ):
        assert (await ask_http(network, HOST, "/?cmd=511")).startswith(b'{"response"')
        reply = await ask_http(network, HOST, "/?cmd=511&json=%7B%7D")
    assert reply.startswith(b"HTTP/1.1 200 OK\r\nContent-Length:0")


async def test_power_below_the_noise_floor_is_reported_as_nothing():
    async with sim_maxsmart(
        HOST,
        family="mh2_plug",
        loads=[0.49],
        environment=Environment(network=MemoryNetwork()),
    ) as sim:
        assert sim.power_w(1) == 0
        sim.set_load(1, 0.5)
        assert sim.power_w(1) == 0.5


# ---------------------------------------------------------------- service in turn


async def test_connections_are_served_one_after_the_other():
    network = MemoryNetwork()
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        first = await network.connect_tcp(HOST, 80)
        await anyio.wait_all_tasks_blocked()
        second = await network.connect_tcp(HOST, 80)
        async with first, second:
            await second.send(b"GET /?cmd=511 HTTP/1.1\r\n\r\n")
            await anyio.wait_all_tasks_blocked()
            assert not sim.requests
            await first.send(b"GET /?cmd=502 HTTP/1.1\r\n\r\n")
            assert body_of(await all_of(first))["response"] == 502
            assert body_of(await all_of(second))["response"] == 511
        assert [request.number for request in sim.requests] == [502, 511]


async def test_a_peer_that_says_nothing_is_let_go_after_5_seconds():
    network = MemoryNetwork()
    async with sim_maxsmart(HOST, environment=Environment(network=network)):
        async with await network.connect_tcp(HOST, 80) as stream:
            await stream.send(b"GET /?cmd=5")
            assert await all_of(stream) == b""
        assert anyio.current_time() == 5


async def test_a_peer_that_goes_away_costs_nobody_anything():
    network = MemoryNetwork()
    async with sim_maxsmart(HOST, environment=Environment(network=network)):
        for request in [b"", b"GET /?cmd=511 HTTP/1.1\r\n\r\n"]:
            stream = await network.connect_tcp(HOST, 80)
            await stream.send(request)
            await stream.aclose()
        assert len((await data_of(network, HOST))["switch"]) == 6
