"""What the gateway itself is asked, what it answers, and what it tells of itself."""

from __future__ import annotations

import json
import sys
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from structiot.errors import AuthRefused, ConnectFailed
from structiot.gateway import load_config, open_gateway
from structiot.model import Switch
from structiot.mqtt import PublishProperties
from tests.gateway.asked_house import Asker, asked, plug_of
from tests.gateway.memory_house import URI, House, retained

pytestmark = pytest.mark.virtual_time


async def ask(asker: Asker, what: str, request: object = "") -> dict[str, Any]:
    """Ask, and give the one answer."""
    asker.heard.clear()
    await asker.say(f"gateway/request/{what}", request)
    answer: dict[str, Any]
    (answer,) = asker.told(f"gateway/response/{what}")
    assert answer.pop("at").endswith("+00:00")
    return answer


# ---------------------------------------------------------------- what it tells


async def test_it_tells_what_it_is_and_which_devices_it_has():
    async with asked(plug_of("Desk")) as (_, asker):
        stands = await retained(asker.client, "structiot/gateway/#")
        state = json.loads(stands["structiot/gateway/state"])
        assert (state["state"], "version" in state) == ("online", True)
        info = json.loads(stands["structiot/gateway/info"])
        assert (info["systems"], info["devices"]) == (["toy"], 1)
        assert info["backend"] in {"asyncio", "trio"}
        assert info["python"] == sys.version.split()[0]
        assert info["settings"]["gateway"]["command_s"] == 15.0
        page = json.loads(stands["structiot/gateway/devices"])
        assert (page["page"], page["pages"]) == (1, 1)
        (desk,) = page["devices"]
        assert desk["device"] == "desk"
        assert desk["id"] == "Desk"
        assert desk["entities"][2] == {
            "key": "power",
            "platform": "sensor",
            "takes_commands": False,
            "unit": "W",
        }


async def test_its_settings_are_told_without_secrets():
    way = {"uri": "mqtt://me:hush@127.0.0.1/", "client_id": "g"}
    async with asked(mqtt=way) as (_, asker):
        stands = await retained(asker.client, "structiot/gateway/#")
        assert "hush" not in str(stands)
        uri = json.loads(stands["structiot/gateway/info"])["settings"]["mqtt"]["uri"]
        assert uri == "mqtt://***@127.0.0.1/"


async def test_its_health_is_told_each_minute():
    device, other = plug_of("Desk"), plug_of("Hall")
    other.open_error = ConnectFailed("no route to host")
    async with asked(device, other) as (_, asker):
        await anyio.sleep(125)
        told = asker.told("gateway/health")
        assert [one["uptime_s"] for one in told] == [0, 60, 120]
        last = told[-1]
        assert last["devices"] == {
            "online": 1,
            "offline": 1,
            "stale": [],
            "flooding": [],
            "dropped_events": 0,
        }
        assert last["systems"] == {"toy": "running"}
        assert last["broker"]["reconnects"] == 0
        assert last["broker"]["published"] >= 10
        assert last["outbox"] == {"waiting": 0, "most": 1000, "dropped": 0}
        assert last["memory_peak_bytes"] > 1_000_000


async def test_many_devices_are_told_in_pages_that_go_when_they_are_empty():
    entities = [Switch(key=f"relay_{n}", name="A relay " * 10) for n in range(40)]
    devices = [plug_of(f"P{number}", entities) for number in range(20)]
    house = House()
    async with asked(*devices, house=house) as (gateway, asker):
        stands = await retained(asker.client, "structiot/gateway/devices/#")
        pages = [json.loads(one) for one in stands.values()]
        assert len(pages) > 1
        assert {one["pages"] for one in pages} == {len(pages)}
        assert sum(len(one["devices"]) for one in pages) == 20
        assert all(len(one) < 70_000 for one in stands.values())
        answer = await ask(asker, "devices", {"page": 2})
        assert answer["data"]["page"] == 2
        await gateway.reload(load_config({"mqtt": {"uri": URI}}))
        await anyio.sleep(1)
        stands = await retained(asker.client, "structiot/gateway/devices/#")
        assert list(stands) == ["structiot/gateway/devices"]


async def test_a_gateway_that_ends_says_so():
    house = House()
    async with house.broker(), house.client() as client:
        async with house.gateway():
            await anyio.sleep(1)
        stands = await retained(client, "structiot/gateway/#")
        assert json.loads(stands["structiot/gateway/state"]) == {"state": "offline"}
        assert stands["structiot/gateway/availability"] == "offline"


# ---------------------------------------------------------------- what it is asked


@pytest.mark.parametrize("transaction", [7, "a", {"any": ["thing"]}, None])
async def test_a_transaction_is_echoed(transaction):
    async with asked() as (_, asker):
        answer = await ask(asker, "ping", {"transaction": transaction})
        assert answer.pop("transaction", None) == transaction
        assert answer == {"status": "ok", "data": {}}


async def test_health_info_and_devices_are_answered_too():
    async with asked(plug_of("Desk")) as (_, asker):
        health = await ask(asker, "health")
        assert health["data"]["devices"]["online"] == 1
        info = await ask(asker, "info", b" ")
        assert info["data"]["systems"] == ["toy"]
        devices = await ask(asker, "devices", {})
        assert devices["data"]["devices"][0]["device"] == "desk"


async def test_a_response_topic_and_its_correlation_are_honoured():
    properties = PublishProperties(response_topic="answers/x", correlation_data=b"9")
    async with asked() as (_, asker):
        async with asker.client.subscription("answers/x") as answers:
            await asker.say("gateway/request/ping", "", properties=properties)
            got = await anext(aiter(answers))
        assert got.properties is not None
        assert got.properties.correlation_data == b"9"
        assert asker.told("gateway/response/ping") == []


@pytest.mark.parametrize(
    ("what", "request_", "said"),
    [
        (
            "pong",
            "",
            "there is no request 'pong'; there are ping, health, info, devices, device/",
        ),
        ("set", "", "there is no request 'set'; there are"),
        ("ping", "hello", "a request: no JSON: "),
        ("ping", "[" * 3000, "a request: no JSON: "),
        ("ping", '{"a":' * 60 + "1" + "}" * 60, "a request: no JSON: nested too"),
        ("ping", "[]", 'a request is a JSON object such as {"transaction": 1}'),
        ("ping", " " * 5000, "a request has 4096 bytes at most"),
        ("ping", {"x": 1}, "ping has transaction, and no 'x'"),
        (
            "device/reopen",
            {"devise": "desk"},
            "device/reopen has device, transaction, and no 'devise'; did you mean",
        ),
        ("device/reopen", {}, "device is the level of one in topics: desk"),
        ("device/reopen", {"device": 1}, "device is the level of one in topics: desk"),
        ("driver/restart", {"system": "x"}, "system is the name of one that is served"),
        ("devices", {"page": 2}, "page is the number of a page of the devices, from 1"),
        ("devices", {"page": True}, "page is the number of a page of the devices"),
        ("reload", "", "the gateway was not started from a file that can be read"),
    ],
)
async def test_a_request_that_cannot_be_is_answered(what, request_, said):
    async with asked(plug_of("Desk")) as (_, asker):
        answer = await ask(asker, what, request_)
        assert answer["status"] == "error"
        assert answer["error"].startswith(said)
        assert asker.told("gateway/error") == []


async def test_a_request_on_no_topic_of_an_answer_is_only_said(caplog):
    async with asked() as (gateway, asker):
        for what in ("a/b/c", "x" * 200, "/", ""):
            await asker.say(f"gateway/request/{what}", "")
        assert gateway.is_connected
        assert [t for t, _ in asker.heard if "/response" in t] == []
        assert len([m for m in caplog.messages if m.startswith("request ")]) == 4


async def test_a_retained_request_is_not_obeyed():
    async def leave(asker: Asker) -> None:
        await asker.say("gateway/request/ping", {}, retain=True)

    async with asked(before=leave) as (_, asker):
        (answer,) = asker.told("gateway/response/ping")
        assert answer["error"] == "a retained request is not obeyed"


async def test_a_device_is_opened_anew_at_once():
    device, parked = plug_of("Desk"), plug_of("Hall")
    parked.open_error = AuthRefused("wrong password")
    async with asked(device, parked) as (gateway, asker):
        parked.open_error = None
        for one in ("desk", "hall"):
            answer = await ask(asker, "device/reopen", {"device": one})
            assert answer == {"status": "ok", "data": {}}
        assert (device.opened, parked.opened) == (2, 2)
        assert gateway.devices["hall"].is_available


async def test_a_driver_is_started_anew():
    device = plug_of("Desk")
    async with asked(device) as (gateway, asker):
        answer = await ask(asker, "driver/restart", {"system": "toy"})
        assert answer["status"] == "ok"
        await anyio.sleep(1)
        assert gateway.drivers["toy"].state == "running"
        # It has no settings that could be compared.
        assert device.opened == 2


async def test_the_configuration_is_read_again():
    async with asked(plug_of("Desk")) as (gateway, asker):
        own: dict[str, float] = {}
        config = {"mqtt": {"uri": URI, "base_topic": "other"}, "gateway": own}

        async def read() -> tuple[str, ...]:
            return await gateway.reload(load_config(config))

        gateway.reads_again = read
        answer = await ask(asker, "reload", {"transaction": 1})
        assert answer == {
            "status": "ok",
            "data": {"at_restart": ["base_topic in [mqtt]"]},
            "transaction": 1,
        }
        assert dict(gateway.devices) == {}
        own["command_s"] = -1
        answer = await ask(asker, "reload")
        assert answer["status"] == "error"
        assert "command_s" in answer["error"]


async def test_a_fault_of_what_reads_the_configuration_costs_the_answer_only():
    async with asked() as (gateway, asker):

        async def read() -> tuple[str, ...]:
            await anyio.lowlevel.checkpoint()
            raise ZeroDivisionError

        gateway.reads_again = read
        answer = await ask(asker, "reload")
        assert answer["error"].startswith("internal error: ZeroDivisionError")
        assert (await ask(asker, "ping"))["status"] == "ok"


async def test_a_gateway_of_a_file_reads_that_again(tmp_path):
    house, file = House(), tmp_path / "structiot.toml"
    text = f'[mqtt]\nuri = "{URI}"\n'
    await anyio.Path(file).write_text(text)
    async with (
        house.broker(),
        house.client() as client,
        open_gateway(file, environment=house.environment) as gateway,
        client.subscription("structiot/gateway/response/reload") as answers,
    ):
        await anyio.Path(file).write_text(f"{text}[gateway]\ncommand_s = 7.0\n")
        await client.publish("structiot/gateway/request/reload", "", qos=1)
        answer = json.loads((await anext(aiter(answers))).payload)
        assert answer["data"] == {"at_restart": []}
        assert gateway.config.gateway.command_s == 7.0
