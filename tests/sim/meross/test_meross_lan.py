"""What a simulated device says in the local network, to messages written by hand."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import anyio
import pytest

from structiot.meross.wire.batch import batch_payload, batch_replies, mend_batch
from structiot.meross.wire.envelope import decode_envelope
from structiot.meross.wire.system import read_all
from structiot.sim.meross import sim_meross_device
from tests.sim.meross.raw_meross import (
    KEY,
    MAC,
    NOON_S,
    UUID,
    ask,
    asked,
    decrypted,
    device_at_noon,
    encrypted,
    environment,
    get,
    message,
    post,
    put,
)

pytestmark = pytest.mark.virtual_time


async def test_a_plug_tells_who_it_is_as_in_the_reference():
    async with device_at_noon(timezone="Europe/Rome", loads=[98.2]) as sim:
        found = (await get(sim, "System.All"))["all"]
        hardware, firmware = found["system"]["hardware"], found["system"]["firmware"]
        assert hardware == {
            "type": "mss310",
            "subType": "eu",
            "version": "6.0.0",
            "chipType": "rtl8710cf",
            "uuid": UUID,
            "macAddress": MAC,
        }
        assert firmware["version"] == "6.3.22"
        assert firmware["innerIp"] == "192.168.1.60"
        assert firmware["userId"] == 123456
        assert found["system"]["time"]["timezone"] == "Europe/Rome"
        rules = found["system"]["time"]["timeRule"]
        assert [1_698_541_200, 3600, 0] in rules
        assert [1_711_846_800, 7200, 1] in rules
        assert found["system"]["online"] == {"status": 0}
        assert found["digest"] == {
            "togglex": [{"channel": 0, "onoff": 1, "lmTime": NOON_S}],
            "triggerx": [],
            "timerx": [],
        }


async def test_an_answer_is_signed_and_repeats_the_id():
    async with device_at_noon() as sim:
        answer = await ask(sim, "GET", "System.Runtime")
        own = answer["header"]
        assert own["method"] == "GETACK"
        assert own["messageId"] == "00112233445566778899aabbccddeeff"
        assert own["from"] == f"/appliance/{UUID}/publish"
        text = f"{own['messageId']}{KEY}{own['timestamp']}"
        assert own["sign"] == hashlib.md5(text.encode()).hexdigest()


async def test_the_meter_of_a_plug_has_the_units_of_the_reference():
    async with device_at_noon(loads=[98.2]) as sim:
        assert await get(sim, "Control.Electricity", {"electricity": {}}) == {
            "electricity": {
                "channel": 0,
                "current": 426,
                "voltage": 2304,
                "power": 98200,
                "config": {"voltageRatio": 188, "electricityRatio": 100},
            }
        }
        await put(sim, "Control.ToggleX", {"togglex": {"channel": 0, "onoff": 0}})
        assert (await get(sim, "Control.Electricity"))["electricity"]["power"] == 0


async def test_consumption_is_counted_by_days_of_the_local_time():
    async with device_at_noon(timezone="Europe/Rome", loads=[1000]) as sim:
        # It is 23:13:20 in Rome.
        await anyio.sleep(40 * 60)
        assert await get(sim, "Control.ConsumptionX", {"consumptionx": []}) == {
            "consumptionx": [
                {"date": "2023-11-14", "time": NOON_S + 2400, "value": 667}
            ]
        }
        await anyio.sleep(30 * 60)
        days = (await get(sim, "Control.ConsumptionX"))["consumptionx"]
        assert [(day["date"], day["value"]) for day in days] == [
            ("2023-11-14", 778),
            ("2023-11-15", 389),
        ]
        sim.faults.is_midnight_late = True
        await anyio.sleep(24 * 3600)
        days = (await get(sim, "Control.ConsumptionX"))["consumptionx"]
        assert [day["value"] for day in days] == [778, 24000, 24000]
        days = (await get(sim, "Control.ConsumptionX"))["consumptionx"]
        assert [day["value"] for day in days] == [778, 24000, 389]


async def test_thirty_days_are_kept():
    async with device_at_noon(loads=[100]) as sim:
        await anyio.sleep(45 * 86_400)
        days = (await get(sim, "Control.ConsumptionX"))["consumptionx"]
        assert len(days) == 30
        assert days[0] == {
            "date": "2023-11-30",
            "time": 1_701_388_740,
            "value": 2400,
        }


async def test_a_wrong_signature_is_error_5001_and_a_reset_device_takes_any():
    async with device_at_noon() as sim:
        answer = await ask(sim, "GET", "System.All", key="")
        assert answer["header"]["method"] == "ERROR"
        assert answer["payload"] == {"error": {"code": 5001, "detail": "sign error"}}
        sim.unpair()
        answer = await ask(sim, "GET", "System.All", key="")
        assert answer["header"]["method"] == "GETACK"
        own = answer["header"]
        text = f"{own['messageId']}{own['timestamp']}"
        assert own["sign"] == hashlib.md5(text.encode()).hexdigest()


async def test_a_stale_request_is_refused_if_wanted():
    async with device_at_noon() as sim:
        old = NOON_S - 60
        assert (await ask(sim, "GET", "System.All", at_s=old))["header"][
            "method"
        ] == "GETACK"
        sim.faults.stale_after_s = 10
        assert (await ask(sim, "GET", "System.All", at_s=old))["header"][
            "method"
        ] == "ERROR"
        assert (await ask(sim, "GET", "System.All"))["header"]["method"] == "GETACK"


@pytest.mark.parametrize(
    "body",
    [
        b"no JSON",
        b"{}",
        b'{"header": {}, "payload": {}}',
        message("GET", "Control.Nothing", {}),
    ],
)
async def test_what_makes_no_sense_costs_the_connection(body: bytes):
    async with device_at_noon() as sim:
        assert await post(sim, body) == b""
        await get(sim, "System.All")


@pytest.mark.parametrize("payload", [{}, {"togglex": 3}, {"other": {}}])
async def test_a_malformed_payload_is_error_5000(payload: object):
    async with device_at_noon() as sim:
        answer = await ask(sim, "SET", "Control.ToggleX", payload)
        assert answer["header"]["method"] == "ERROR"
        assert answer["payload"] == {"error": {"code": 5000}}


@pytest.mark.parametrize(
    "payload",
    [{}, {"togglex": {}}, {"togglex": []}, {"togglex": {"channel": 0}}],
    ids=str,
)
async def test_get_takes_any_selector(payload: object):
    async with device_at_noon() as sim:
        assert await get(sim, "Control.ToggleX", payload) == {
            "togglex": {"channel": 0, "onoff": 1, "lmTime": NOON_S}
        }
        sim.faults.shape = "list"
        assert await get(sim, "Control.ToggleX", payload) == {
            "togglex": [{"channel": 0, "onoff": 1, "lmTime": NOON_S}]
        }


async def test_the_master_of_a_strip_switches_all():
    async with device_at_noon("mss425f") as sim:
        await anyio.sleep(10)
        await put(sim, "Control.ToggleX", {"togglex": {"channel": 0, "onoff": 0}})
        rows = (await get(sim, "Control.ToggleX"))["togglex"]
        assert [row["onoff"] for row in rows] == [0] * 6
        assert {row["lmTime"] for row in rows} == {NOON_S + 10}
        await put(sim, "Control.ToggleX", {"togglex": [{"channel": 5, "onoff": 1}]})
        digest = (await get(sim, "System.All"))["all"]["digest"]["togglex"]
        assert [row["onoff"] for row in digest] == [1, 0, 0, 0, 0, 1]
        # Neither 0 nor 1: it stays as it is.
        await put(sim, "Control.ToggleX", {"togglex": {"channel": 5, "onoff": 2}})
        assert (await get(sim, "Control.ToggleX"))["togglex"][5]["onoff"] == 1


def _batch(count: int) -> dict[str, object]:
    names = [
        "Appliance.System.Runtime",
        "Appliance.System.DNDMode",
        "Appliance.No.Such",
    ]
    return {
        "multiple": [
            {
                "header": {
                    "messageId": f"{number:032d}",
                    "method": "GET",
                    "namespace": names[number % 3],
                },
                "payload": {},
            }
            for number in range(count)
        ]
    }


async def test_a_batch_is_answered_in_order_as_far_as_it_may_go():
    async with device_at_noon() as sim:
        replies = (await put(sim, "Control.Multiple", _batch(7)))["multiple"]
        assert [r["header"]["messageId"] for r in replies] == [
            f"{number:032d}" for number in range(5)
        ]
        assert [r["header"]["method"] for r in replies] == [
            "GETACK",
            "GETACK",
            "ERROR",
            "GETACK",
            "GETACK",
        ]
        assert replies[0]["payload"] == {"runtime": {"signal": 88}}


async def test_the_text_of_a_long_batch_is_cut_off():
    async with device_at_noon() as sim:
        sim.faults.answer_bytes = 700
        body = await post(sim, message("SET", "Control.Multiple", _batch(4)))
        assert len(body) == 700
        with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
            json.loads(body)
        sim.faults.clear()
        sim.faults.is_batch_empty = True
        assert await put(sim, "Control.Multiple", _batch(4)) == {"multiple": []}


async def test_first_hardware_has_toggle_and_control_and_no_batches():
    async with device_at_noon("mss310_hw1") as sim:
        found = (await get(sim, "System.All"))["all"]
        assert found["control"] == {
            "toggle": {"onoff": 1, "lmTime": NOON_S},
            "timer": [],
            "trigger": [],
        }
        assert "digest" not in found
        await put(sim, "Control.Toggle", {"toggle": {"onoff": 0, "channel": 0}})
        assert (await get(sim, "Control.Toggle"))["toggle"]["onoff"] == 0
        assert (await get(sim, "Control.Electricity"))["electricity"]["power"] == 0
        assert await post(sim, message("SET", "Control.Multiple", _batch(2))) == b""
        own = (await ask(sim, "GET", "System.Runtime"))["header"]
        assert "uuid" not in own
        assert "timestampMs" not in own


async def test_an_encrypted_plug_says_in_the_clear_what_it_can_and_no_more():
    async with device_at_noon("mss110") as sim:
        abilities = (await get(sim, "System.Ability"))["ability"]
        assert "Appliance.Encrypt.ECDHE" in abilities
        assert await post(sim, message("GET", "System.All", {})) == b""
        assert await post(sim, encrypted(b"x")) == b""
        body = await post(sim, encrypted(message("GET", "System.All", {})))
        answer = decrypted(body)
        assert answer["header"]["method"] == "GETACK"
        assert answer["payload"]["all"]["system"]["hardware"]["uuid"] == UUID
        assert [one.is_encrypted for one in sim.requests] == [False, True]


async def test_lies_are_told_under_the_encryption():
    async with device_at_noon("mss110") as sim:
        sim.faults.lie_next("sign_wrong")
        answer = decrypted(await post(sim, encrypted(message("GET", "System.All", {}))))
        assert answer["header"]["sign"] == "0" * 32
        assert answer["payload"]["all"]


async def test_any_model_can_be_encrypted_or_not():
    async with device_at_noon("mss310", encrypted=True) as sim:
        assert await post(sim, message("GET", "System.All", {})) == b""
    async with device_at_noon("mss110", encrypted=False) as sim:
        assert (await get(sim, "System.All"))["all"]


async def test_one_connection_is_served_at_a_time():
    async with device_at_noon() as sim:
        first = await sim.environment.network.connect_tcp(sim.host, 80)
        async with first:
            # Nothing is asked; the other one waits until it is let go.
            await anyio.wait_all_tasks_blocked()
            with anyio.fail_after(6):
                began = anyio.current_time()
                await get(sim, "System.All")
            assert anyio.current_time() - began == pytest.approx(5, abs=0.2)


async def test_a_new_device_is_set_up_by_messages_without_a_key():
    async with device_at_noon() as sim:
        sim.unpair()
        gateway = {"host": "broker.home", "port": 8883}
        config = {"key": "our own", "userId": "77", "gateway": gateway}
        for name, payload in [
            ("Config.Key", {"key": config}),
            ("Config.Wifi", {"wifi": {"ssid": "SG9tZQ==", "password": ""}}),
        ]:
            answer = await ask(sim, "SET", name, payload, key="")
            assert answer["header"]["method"] == "SETACK"
        await anyio.sleep(2)
        assert sim.key == "our own"
        answer = await ask(sim, "GET", "System.All", key="our own")
        firmware = answer["payload"]["all"]["system"]["firmware"]
        assert firmware["server"] == "broker.home"
        assert firmware["port"] == 8883
        assert firmware["userId"] == 77


async def test_the_same_host_makes_the_same_device_and_another_host_another():
    place = environment()
    async with (
        sim_meross_device("10.0.0.1", environment=place) as one,
        sim_meross_device("10.0.0.2", environment=place) as other,
    ):
        uuid = one.uuid
        assert len(uuid) == 32
        assert uuid != other.uuid
        assert one.mac.replace(":", "") == uuid[-12:]
    async with sim_meross_device("10.0.0.1", environment=environment()) as again:
        assert again.uuid == uuid


async def test_a_batch_that_was_cut_off_by_its_length_can_be_mended():
    names = ["System.All", "System.Debug", "System.All", "System.All", "System.Time"]
    requests = [asked("GET", f"Appliance.{name}", {}) for name in names]
    requests = [replace(r, message_id=f"{n:032d}") for n, r in enumerate(requests)]
    async with device_at_noon(timezone="Europe/Rome") as sim:
        payload = batch_payload(requests)
        body = await post(sim, message("SET", "Control.Multiple", payload))
        assert len(body) == 3000
        reply = decode_envelope(mend_batch(body), "reply")
        replies = batch_replies(reply, requests)
        assert [one is not None for one in replies] == [True, True, False, False, False]
        assert replies[0] is not None
        assert read_all(replies[0].payload).uuid == UUID
