"""What is told once waits for a broker that is away: bounded, counted, and not for ever."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest

from structiot.gateway import load_config
from structiot.model import Occurrence
from tests.gateway.asked_house import plug_of
from tests.gateway.memory_house import URI, House, retained
from tests.gateway.scripted_driver import (
    ScriptedDriver,
    of_gateway,
    scripted,
    source_of,
    stay,
)
from tests.gateway.support import AT, ScriptedDevice

pytestmark = pytest.mark.virtual_time
EVENTS = "structiot/desk/button/event"


class Absence:
    """A gateway with one device whose broker is not there yet."""

    def __init__(self, **mqtt: Any) -> None:
        self.house = House()
        self.device = plug_of("Desk")
        self.mqtt = {"uri": URI, **mqtt}

    def gateway(self) -> Any:
        async def serve(driver: ScriptedDriver) -> None:
            driver.registry.add(source_of(self.device, name="Desk"))
            await stay(driver)

        return self.house.gateway(scripted(serve), mqtt=self.mqtt)

    async def heard(self, for_s: float = 90) -> tuple[list[int], dict[str, Any]]:
        """Have a broker come; give the numbers of what it is told, and the health."""
        numbers = []
        async with (
            self.house.broker(),
            self.house.client() as client,
            client.subscription(EVENTS, qos=1) as messages,
        ):
            with anyio.move_on_after(for_s):
                async for message in messages:
                    told = json.loads(message.payload)
                    assert told["at"] == "2024-05-01T12:00:00.000+00:00"
                    numbers.append(told["number"])
            health = await retained(client, "structiot/gateway/health")
            return numbers, json.loads(health["structiot/gateway/health"])


def press(device: ScriptedDevice, *numbers: int, **data: Any) -> None:
    for number in numbers:
        given = {"number": number, **data}
        device.tell(Occurrence(key="button", event_type="press", at_utc=AT, data=given))


async def test_what_happens_without_a_broker_is_told_when_it_comes(caplog):
    away = Absence()
    async with away.gateway():
        await anyio.sleep(3)
        press(away.device, 1, 2)
        await anyio.sleep(1)
        press(away.device, 3)
        await anyio.sleep(1)
        assert (await away.heard())[0] == [1, 2, 3]
    assert [one for one in of_gateway(caplog) if "not told" in one] == []


@pytest.mark.parametrize(("outbox_s", "left"), [(60.0, [3]), (300.0, [1, 2, 3])])
async def test_what_has_waited_for_too_long_is_not_told_and_said_once(
    caplog, outbox_s, left
):
    away = Absence(outbox_s=outbox_s)
    async with away.gateway():
        await anyio.sleep(1)
        press(away.device, 1, 2)
        await anyio.sleep(100)
        press(away.device, 3)
        await anyio.sleep(1)
        numbers, health = await away.heard()
    assert numbers == left
    lost = 3 - len(left)
    assert health["outbox"]["dropped"] == lost
    said = [one for one in of_gateway(caplog) if "not told" in one]
    assert len(said) == bool(lost)
    if lost:
        assert said == [
            "2 messages not told: there was no connection for more than 60 s"
        ]


async def test_of_too_many_the_oldest_go_and_are_counted(caplog):
    away = Absence()
    async with away.gateway():
        await anyio.sleep(1)
        for first in range(0, 1500, 50):
            press(away.device, *range(first, first + 50))
            await anyio.sleep(1)
        numbers, health = await away.heard()
    assert numbers == list(range(500, 1500))
    assert health["outbox"]["dropped"] == 500
    assert [one for one in caplog.messages if "is full at 1000 items" in one]


async def test_of_too_much_the_oldest_goes():
    away = Absence()
    async with away.gateway():
        await anyio.sleep(1)
        for number in range(30):
            press(away.device, number, text="x" * 60_000)
            await anyio.sleep(0.1)
        numbers, _ = await away.heard()
    assert numbers == list(range(14, 30))


async def test_how_long_it_waits_is_another_at_once_after_a_reload():
    away = Absence(outbox_s=600.0)
    async with away.gateway() as gateway:
        await anyio.sleep(1)
        press(away.device, 1)
        config = load_config({"mqtt": {"uri": URI, "outbox_s": 5.0}, "toy": {}})
        assert await gateway.reload(config) == ()
        await anyio.sleep(20)
        assert (await away.heard())[0] == []
