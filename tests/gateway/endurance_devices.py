"""Devices of the house of all troubles that no simulator has: meters that count on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable
from random import Random
from typing import Any, Final

import anyio

from structiot._kit.flow.tasks import service_group
from structiot.mqtt import Message, MqttClient
from structiot.sim import CyclingLoad
from structiot.sim.manager.behaviour import DialInBehaviour
from structiot.testing.clock import virtual_clock

STRIP_LOADS: Final = (
    CyclingLoad(high_w=9.4),
    CyclingLoad(high_w=84, low_w=1.2, period_s=2872, duty=0.33, ripple=0.015),
    CyclingLoad(high_w=7.8, ripple=0.05, ripple_s=13),
    CyclingLoad(high_w=60),
    CyclingLoad(high_w=130, ripple=0.03),
    CyclingLoad(high_w=400, low_w=300, period_s=9137, duty=0.5),
)
CLOUD_LOAD: Final = CyclingLoad(high_w=850, low_w=3, period_s=4100, duty=0.4)
LAN_LOAD: Final = CyclingLoad(high_w=200)
METER_LOAD: Final = CyclingLoad(high_w=600, low_w=40, period_s=5300, duty=0.3)
TASMOTA_LOAD: Final = CyclingLoad(high_w=320, low_w=60, period_s=2100, duty=0.6)

TELL_S: Final = 60.0


def now_s() -> float:
    return virtual_clock().timestamp()


class Counter:
    """What a load has taken since it was counted from 0, and what it has taken in all."""

    def __init__(self, load: CyclingLoad) -> None:
        self.load = load
        self.resets = 0
        self._began_s = self._since_s = now_s()

    def reset(self) -> None:
        self._since_s = now_s()
        self.resets += 1

    @property
    def kwh(self) -> float:
        return round(self.load.energy_wh(self._since_s, now_s()) / 1000, 3)

    @property
    def own_wh(self) -> float:
        return self.load.energy_wh(self._began_s, now_s())


def metering(counter: Counter) -> DialInBehaviour:
    """Make what a meter does that dials in: it tells what it has counted."""

    def measured(state: dict[str, Any], _random: Random, _now_s: float) -> bytes:
        state["energy_kwh"] = counter.kwh
        return json.dumps(state).encode()

    return DialInBehaviour(
        state={"energy_kwh": 0.0},
        answer=lambda _state, _message: None,
        measure=measured,
        every_s=TELL_S,
    )


class Tasmota:
    """Does on a broker what a Tasmota does; each minute it tells what it has counted."""

    def __init__(self) -> None:
        self.is_on = False
        self.counter = Counter(TASMOTA_LOAD)

    async def serve(self, client: MqttClient) -> None:
        async with (
            client.subscription("cmnd/tasmota_1/POWER") as orders,
            service_group() as tasks,
        ):
            tasks.start_soon(self._obey, client, orders)
            await client.publish("tele/tasmota_1/LWT", "Online", 1, retain=True)
            await self._tell_power(client)
            while True:
                told = json.dumps({"ENERGY": {"Total": self.counter.kwh}})
                await client.publish("tele/tasmota_1/SENSOR", told, 1)
                await anyio.sleep(TELL_S)

    async def _obey(self, client: MqttClient, orders: AsyncIterable[Message]) -> None:
        async for order in orders:
            self.is_on = order.payload.decode().upper() == "ON"
            await self._tell_power(client)

    async def _tell_power(self, client: MqttClient) -> None:
        word = "ON" if self.is_on else "OFF"
        await client.publish("stat/tasmota_1/POWER", word, 1, retain=True)
