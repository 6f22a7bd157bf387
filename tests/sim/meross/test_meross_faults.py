"""What simulated devices get wrong when they are told to, and never of themselves."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest

from structiot.sim import show_fault
from structiot.sim.meross import MEROSS_MODELS, MerossDeviceSim, MerossFaults, MerossSim
from tests.sim.meross.raw_meross import (
    KEY,
    ask,
    asked,
    device_at_noon,
    get,
    message,
    post,
    put,
)

pytestmark = pytest.mark.virtual_time

LIES = MerossFaults.lies
# Contents that readers should take for right, or that are right for this request.
HARMLESS = {"line_end", "nul_at_end", "not_a_number", "members_endless"}


async def said(sim: MerossSim) -> bytes:
    body = message("GET", "Control.Electricity", {"electricity": {}})
    with anyio.move_on_after(5):
        return await post(sim, body)
    return b"nothing"


@pytest.mark.parametrize("lie", LIES)
async def test_a_lie_is_told_once(lie: str):
    async with device_at_noon(loads=[98.2]) as sim:
        right = await said(sim)
        sim.faults.lie_next(lie)
        wrong = await said(sim)
        assert wrong != right or lie in HARMLESS
        assert await said(sim) == right


@pytest.mark.parametrize(
    ("lie", "expected"),
    [
        ("numbers_as_text", {"channel": "0", "power": "98200"}),
        ("numbers_null", {"channel": None, "power": None}),
        ("numbers_huge", {"power": 10**30}),
        ("members_null", None),
        ("lists_turned", [{"power": 98200}]),
    ],
)
async def test_what_a_lie_says(lie: str, expected: Any):
    async with device_at_noon(loads=[98.2]) as sim:
        sim.faults.lie_next(lie, on="Electricity")
        found = json.loads(await said(sim))["payload"]["electricity"]
        if isinstance(expected, list):
            assert [row["power"] for row in found] == [98200]
        elif expected is None:
            assert found is None
        else:
            assert {name: found[name] for name in expected} == expected


async def test_an_answer_of_another_device_at_the_address():
    async with device_at_noon() as sim:
        await show_fault(sim, "uuid_other*1")
        own = (await ask(sim, "GET", "System.All"))["header"]
        assert own["from"] == "/appliance/ffffffffffffffffffff48e1e9ffffff/publish"
        assert own["uuid"] == "ffffffffffffffffffff48e1e9ffffff"


LONG = {"reboot", "power_cut", "move"}


@pytest.mark.parametrize("name", sorted(set(MerossSim.named_faults) - LONG))
async def test_every_fault_has_a_name_and_can_be_cleared(name: str):
    async with device_at_noon() as sim:
        await show_fault(sim, name)
        await said(sim)
        sim.faults.clear()
        sim.pair(KEY, "123456")
        sim.faults.stale_after_s = None
        assert (await get(sim, "System.All"))["all"]


async def test_a_named_switch_does_what_it_says():
    async with device_at_noon("mss425f") as sim:
        await show_fault(sim, "stuck")
        await put(sim, "Control.ToggleX", {"togglex": {"channel": 1, "onoff": 0}})
        rows = (await get(sim, "Control.ToggleX"))["togglex"]
        assert [row["onoff"] for row in rows] == [1] * 6
        sim.faults.clear()
        await show_fault(sim, "objects")
        one = {"togglex": [{"channel": 1}]}
        assert (await get(sim, "Control.ToggleX", one))["togglex"]["channel"] == 1
        await show_fault(sim, "other_key")
        answer = await ask(sim, "GET", "System.All")
        assert answer["payload"]["error"]["code"] == 5001


async def test_requests_are_lost_refused_late_or_hung_up_on():
    async with device_at_noon() as sim:
        sim.faults.refuse_next(on="ToggleX")
        await get(sim, "System.All")
        answer = await ask(sim, "SET", "Control.ToggleX", {"togglex": {"onoff": 0}})
        assert answer["payload"] == {"error": {"code": 5000}}
        sim.faults.hang_up_next(on="GET")
        assert await said(sim) == b""
        sim.faults.drop_next()
        assert await said(sim) == b"nothing"
        sim.faults.delay_next(2)
        began = anyio.current_time()
        await get(sim, "System.All")
        assert anyio.current_time() - began == pytest.approx(2, abs=0.1)
        assert (await get(sim, "Control.ToggleX"))["togglex"]["onoff"] == 1


NONSENSE: list[Any] = [
    None,
    [],
    "x",
    0,
    -1,
    1e400,
    [None],
    [[]],
    {},
    {"channel": "x", "id": [], "onoff": "on", "open": 9, "mode": None},
    {"channel": 0, "onoff": {}, "position": 1e30, "rgb": -5, "data": "x"},
    [{"channel": 10**30, "id": {}, "subId": 7, "state": [], "custom": "warm"}],
    {"timezone": 5, "timeRule": [[1], "x", [1, 10**9, 0]], "gateway": "no"},
    {"id": "a" * 5000, "rgb": True, "capacity": "all", "targetTemp": [1]},
]


@pytest.mark.parametrize("model", MEROSS_MODELS)
async def test_no_request_brings_a_device_down(model: str):
    device = MerossDeviceSim(model)
    keys = {*device.digest(), "latest", "state", "mode", "config", "key", "wifi"}
    for namespace in device.abilities:
        last = namespace.rpartition(".")[2]
        keys |= {last[0].lower() + last[1:], last.lower()}
    for namespace in device.abilities:
        if namespace == "Appliance.Control.Unbind":
            continue
        for nonsense in NONSENSE:
            payload = dict.fromkeys(keys, nonsense)
            for method in ("GET", "SET", "PUSH"):
                device.answer(asked(method, namespace, payload, key=device.key))
                device.pair(KEY, "123456")
    await anyio.sleep(60)
    device.settle()
    device.pair(KEY, "123456")
    answer = device.answer(asked("GET", "Appliance.System.All", {}))
    assert answer is not None
    assert answer.payload["all"]
    device.encode(answer)
