"""Simulated strips understand golden requests and send golden replies."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from structiot import Environment
from structiot.maxsmart.wire.messages import DiscoveryRequest
from structiot.sim import FAMILIES, SimClock, sim_maxsmart
from structiot.testing import MemoryNetwork
from tests._support.golden import GOLDEN
from tests.link.sim.asking import ask_http, body_of, udp_asker

pytestmark = pytest.mark.virtual_time

MAXSMART = GOLDEN / "maxsmart"
HOST = "10.0.0.7"
# 5.2 W and 61.4 W at 230 V are what the golden replies were written for.
GOLDEN_LOADS = [5.2, 0, 0, 0, 61.4, 0]
GOLDEN_CLOCK = datetime(2024, 5, 1, 11, 45, 10, tzinfo=UTC)
# Made up by the simulator, so not the same as in a file.
INVENTED = (
    "mac",
    "sak",
    "cpuid",
    "plcmac",
    "plcdak",
    "server",
    "nowTimeSec",
    "register",
)


def golden(folder: str, start: str = "") -> list[Any]:
    files = sorted((MAXSMART / folder).glob(f"{start}*.json"))
    assert files
    return [pytest.param(load(file), id=file.stem) for file in files]


def load(file: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(file.read_text("utf-8"))
    loaded["bytes"] = (
        bytes.fromhex(loaded["hex"])
        if "hex" in loaded
        else loaded["bytes_text"].encode()
    )
    return loaded


def without_invented(members: Any) -> Any:
    if isinstance(members, dict):
        return {k: without_invented(v) for k, v in members.items() if k not in INVENTED}
    return members


def sim_like(golden_file: dict[str, Any], network: MemoryNetwork, **more: Any) -> Any:
    family = FAMILIES[golden_file["family"]]
    loads = GOLDEN_LOADS if family.ports == 6 else None
    options = {"loads": loads, "clock": SimClock(GOLDEN_CLOCK), "utc_offset_h": 2}
    return sim_maxsmart(
        HOST,
        family=family,
        environment=Environment(network=network),
        **{**options, **more},
    )


@pytest.mark.parametrize("file", golden("discovery"))
async def test_a_discovery_reply_has_the_members_of_its_family(file):
    told = json.loads(file["bytes"])["data"]
    network = MemoryNetwork()
    family = FAMILIES[file["family"]]
    if told.get("pname", "") is None:
        family = replace(family, port_names="null")
    sim = sim_maxsmart(
        HOST,
        family=family,
        serial=told["sn"],
        name=told["name"],
        environment=Environment(network=network),
        clock=SimClock(GOLDEN_CLOCK),
        utc_offset_h=2,
    )
    async with sim as strip, udp_asker(network, HOST) as asker:
        for port, name in enumerate(told.get("pname") or [], 1):
            await ask_http(network, HOST, rename_target(port, name))
        answer = await asker.ask("00dv=all;")
        assert asker.source == (HOST, 8888)
    assert answer is not None
    assert len(answer) <= 1024
    reply = json.loads(answer)
    assert reply["response"] == 0
    assert list(reply["data"]) == list(reply["data"] | told)
    assert without_invented(reply["data"]) == without_invented(told)
    assert strip.serial == told["sn"]


def rename_target(port: int, name: str) -> str:
    escaped = name.replace(" ", "+").replace("é", "%5Cu00e9")
    return f"/?cmd=201&json=%7B%22port%22:{port},%22name%22:%22{escaped}%22%7D"


DATA_REPLIES = [
    "511_strings",
    "511_integers",
    "90_integers",
    "90_without_watt",
    "513_switches",
]


@pytest.mark.parametrize("name", DATA_REPLIES)
async def test_data_is_written_to_the_byte_as_the_family_writes_it(name):
    file = load(MAXSMART / "replies" / f"{name}.json")
    network = MemoryNetwork()
    async with sim_like(file, network) as sim, udp_asker(network, HOST) as asker:
        for port, is_on in enumerate(file["expected"]["is_on"], 1):
            sim.ports[port] = is_on
        if file["layer"] == "udp":
            assert await asker.ask('V3{"cmd":90}') == file["bytes"]
        else:
            reply = await ask_http(network, HOST, f"/?cmd={name[:3]}")
            assert reply.endswith(b"\r\n\r\n" + file["bytes"])


SET_REPLIES = {
    "200_done": "/?cmd=200&json=%7B%22port%22:2,%22state%22:0%7D",
    "200_refused": "/?cmd=200&json=%7B%22port%22:7,%22state%22:0%7D",
    "201_done": rename_target(2, "TV"),
    "201_refused": rename_target(2, "TV"),
}


@pytest.mark.parametrize("name", SET_REPLIES)
async def test_set_commands_are_answered_to_the_byte(name):
    file = load(MAXSMART / "replies" / f"{name}.json")
    network = MemoryNetwork()
    async with sim_like(file, network):
        reply = await ask_http(network, HOST, SET_REPLIES[name])
    assert reply.endswith(b"\r\n\r\n" + file["bytes"])


@pytest.mark.parametrize(
    ("name", "family", "port"),
    [("20_done", "revogi_511", 3), ("20_refused", "revogi_511", 7)],
)
async def test_v3_set_commands_are_answered_to_the_byte(name, family, port):
    file = load(MAXSMART / "replies" / f"{name}.json")
    network = MemoryNetwork()
    async with sim_like(file, network, serial="SWW6000000000008") as sim:
        async with udp_asker(network, HOST) as asker:
            answer = await asker.ask(f'V3{{"cmd":20,"port":{port},"state":0}}')
    assert answer == file["bytes"]
    assert sim.family.name == family


@pytest.mark.parametrize("name", ["124_ids", "502_time", "502_time_with_zone"])
async def test_identifiers_and_clock_have_the_members_of_the_family(name):
    file = load(MAXSMART / "replies" / f"{name}.json")
    network = MemoryNetwork()
    async with sim_like(file, network):
        reply = body_of(await ask_http(network, HOST, f"/?cmd={name[:3]}"))
    written = json.loads(file["bytes"])
    assert sorted(reply) == sorted(written)
    assert sorted(reply["data"]) == sorted(written["data"])
    assert without_invented(reply) == without_invented(written)
    for key in {"cpuid", "plcmac", "plcdak"} & set(written["data"]):
        assert len(reply["data"][key]) == len(written["data"][key])


@pytest.mark.parametrize("file", golden("replies", "510"))
async def test_statistics_have_the_shape_of_the_family(file):
    expected, written = file["expected"], json.loads(file["bytes"])["data"]
    network = MemoryNetwork()
    async with sim_like(file, network) as sim:
        sim.set_tariff(expected["price_per_kwh"], expected["money"])
        target = f"/?cmd=510&json=%7B%22type%22:{expected['type']}%7D"
        data = body_of(await ask_http(network, HOST, target))["data"]
    assert list(data) == [key for key in written if written[key] is not None]
    assert data.get("date") == expected["date"]
    assert {len(row) for row in data["watt"]} == {expected["buckets"]}
    assert len(data["watt"]) == sim.family.ports
    assert {type(figure) for row in data["watt"] for figure in row} == {str}
    assert (data["cost"], data["money"]) == (
        expected["price_per_kwh"],
        expected["money"],
    )


@pytest.mark.parametrize("file", golden("requests", "discovery"))
async def test_golden_discovery_requests_are_answered(file):
    expected = file["expected"]
    network = MemoryNetwork()
    sim = sim_maxsmart(
        HOST, serial="SWP6000000000001", environment=Environment(network=network)
    )
    async with sim as strip, udp_asker(network, HOST) as asker:
        assert await asker.ask(file["bytes"]) is not None
        asked = strip.requests[-1].asked
    assert strip.requests[-1].channel == "discovery"
    assert isinstance(asked, DiscoveryRequest)
    assert (asked.local_time and asked.local_time.isoformat()) == expected["local_time"]
    assert (asked.serial or "all") == expected["selector"]


@pytest.mark.parametrize("file", golden("requests", "v3"))
async def test_golden_v3_requests_are_answered(file):
    expected = file["expected"]
    network = MemoryNetwork()
    sim = sim_maxsmart(
        HOST,
        family="revogi_511",
        serial="SWW6000000000001",
        environment=Environment(network=network),
    )
    async with sim as strip, udp_asker(network, HOST) as asker:
        strip.ports[3] = False
        answer = await asker.ask(file["bytes"])
        states = list(strip.ports.values())
    assert answer is not None
    assert answer.startswith(b"V3{")
    reply = json.loads(answer.removeprefix(b"V3"))
    assert (reply["response"], reply["code"]) == (expected["cmd"], 200)
    params = expected["params"]
    if "state" in params:
        on = bool(params["state"])
        assert states == ([on] * 6 if params["port"] == 0 else [True] * 6)


@pytest.mark.parametrize("file", golden("requests", "http"))
async def test_golden_http_requests_are_understood(file):
    expected = file["expected"]
    network = MemoryNetwork()
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        reply = await ask_http(network, HOST, file["bytes"].decode())
        number = sim.requests[-1].number
        names = sim.port_names
    if expected["cmd"] == 5 or expected["params"] == "broken":
        assert (reply, number) == (b"", None)
        return
    assert number == expected["cmd"]
    assert body_of(reply)["response"] == expected["cmd"]
    assert body_of(reply)["code"] == 200
    if number == 201:
        assert names[0] == expected["params"]["name"]
