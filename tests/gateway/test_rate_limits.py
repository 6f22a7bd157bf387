"""A peer that has had enough of commands is left alone for as long as it asks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from structiot.errors import RateLimited
from structiot.gateway import CommandFailed
from tests.gateway.memory_house import House, followed, of_kind
from tests.gateway.scripted_driver import (
    Run,
    ScriptedDriver,
    plug,
    scripted,
    source_of,
    stay,
)
from tests.gateway.support import ScriptedDevice

pytestmark = pytest.mark.virtual_time


def of_one_account(devices: list[ScriptedDevice]) -> Run:
    """Serve devices that hang on one connection."""

    @asynccontextmanager
    async def account() -> AsyncIterator[None]:
        yield

    async def serve(driver: ScriptedDriver) -> None:
        parent = driver.registry.share("account", account)
        for device in devices:
            driver.registry.add(source_of(device, parent=parent))
        await stay(driver)

    return serve


@pytest.mark.parametrize(("asked_s", "left_alone_s"), [(120.0, 120.0), (None, 60.0)])
async def test_no_command_is_sent_before_the_time_is_over(asked_s, left_alone_s):
    house, device, other = House(), plug("P1"), plug("P2")
    device.command_error = RateLimited("too many tokens", retry_after_s=asked_s)

    async def serve_two(driver: ScriptedDriver) -> None:
        driver.registry.add(source_of(device, name="Desk"))
        driver.registry.add(source_of(other, name="Hall"))
        await stay(driver)

    async with (
        house.broker(),
        house.client() as client,
        house.gateway(scripted(serve_two)) as gateway,
        followed(gateway) as events,
    ):
        await anyio.sleep(1)
        await client.publish("structiot/desk/relay/set", b"ON", qos=1)
        await anyio.sleep(1)
        device.command_error = None
        for _ in range(3):
            await client.publish("structiot/desk/relay/set", b"ON", qos=1)
            await client.publish("structiot/hall/relay/set", b"ON", qos=1)
        await anyio.sleep(left_alone_s - 10)
        await client.publish("structiot/desk/relay/set", b"ON", qos=1)
        await anyio.sleep(5)
        assert (device.commands, len(other.commands)) == ([], 3)
        errors = [failed.error for failed in of_kind(events, CommandFailed)]
        assert errors[0] == "too many tokens"
        assert errors[-1].startswith("Desk (plug P1) has had enough for now; ask again")
        assert device.opened == 1
        await anyio.sleep(10)
        await client.publish("structiot/desk/relay/set", b"ON", qos=1)
        await anyio.sleep(1)
        assert device.commands == [("relay", True)]


async def test_a_limit_of_an_account_is_one_for_all_its_devices():
    house, devices = House(), [plug("P1"), plug("P2")]
    devices[0].command_error = RateLimited("the account rests", retry_after_s=300)

    async with (
        house.broker(),
        house.client() as client,
        house.gateway(scripted(of_one_account(devices))),
    ):
        await anyio.sleep(1)
        await client.publish("structiot/toy_p1/relay/set", b"ON", qos=1)
        await anyio.sleep(1)
        await client.publish("structiot/toy_p2/relay/set", b"ON", qos=1)
        await anyio.sleep(200)
        assert devices[1].commands == []
        await anyio.sleep(100)
        await client.publish("structiot/toy_p2/relay/set", b"ON", qos=1)
        await anyio.sleep(1)
        assert devices[1].commands == [("relay", True)]


async def test_a_limit_that_the_system_keeps_itself_holds_up_nobody_else():
    class Dropped(RateLimited):
        is_own_limit = True

    house, devices = House(), [plug("P1"), plug("P2")]
    devices[0].command_error = Dropped("nothing was sent", retry_after_s=3000)

    async with (
        house.broker(),
        house.client() as client,
        house.gateway(scripted(of_one_account(devices))) as gateway,
        followed(gateway) as events,
    ):
        await anyio.sleep(1)
        await client.publish("structiot/toy_p1/relay/set", b"ON", qos=1)
        await anyio.sleep(1)
        errors = [failed.error for failed in of_kind(events, CommandFailed)]
        assert errors == ["nothing was sent"]
        devices[0].command_error = None
        for one in ("toy_p1", "toy_p2"):
            await client.publish(f"structiot/{one}/relay/set", b"ON", qos=1)
        await anyio.sleep(1)
        assert [one.commands for one in devices] == [[("relay", True)]] * 2
