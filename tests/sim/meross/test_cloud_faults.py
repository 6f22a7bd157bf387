"""What the simulated cloud gets wrong with messages."""

from __future__ import annotations

import anyio
import pytest

from structiot.meross.wire.envelope import Method, is_signed
from structiot.sim.shared import show_fault
from tests.sim.meross.cloud_clients import UUID
from tests.sim.meross.test_cloud_broker import TOGGLE, app_and_plug

pytestmark = pytest.mark.virtual_time

CLOCK = "Appliance.System.Clock"


@pytest.mark.parametrize(
    "word", [None, "mqtt", "request", UUID, TOGGLE, "ToggleX", "SET"]
)
async def test_a_request_is_lost(word):
    async with app_and_plug() as (cloud, app, device):
        cloud.faults.drop_next(on=word)
        await app.ask(TOGGLE, Method.SET)
        assert await device.hears_nothing()
        await app.ask(TOGGLE, Method.SET)
        await device.hear()
        assert cloud.messages[UUID] == 2, "lost ones count"


async def test_faults_of_the_api_and_of_other_messages_wait():
    async with app_and_plug() as (cloud, app, device):
        for word in ("http", "answer", "push", "cloud", "GETACK"):
            cloud.faults.drop_next(on=word)
        await app.ask(TOGGLE)
        await device.hear()
        assert cloud.faults.waiting == 5


async def test_an_answer_is_lost_though_the_request_was_not():
    async with app_and_plug() as (cloud, app, device):
        cloud.faults.lose_reply_next(on="request")
        await app.ask(TOGGLE)
        await device.answer_next()
        assert await app.hears_nothing(1)
        await app.ask(TOGGLE)
        await device.answer_next()
        await app.hear(1)


async def test_a_push_comes_twice():
    async with app_and_plug() as (cloud, app, device):
        cloud.faults.duplicate_next(on="push")
        told = await device.push(TOGGLE)
        for _ in range(2):
            assert (await app.hear()).message_id == told.message_id
        assert await app.hears_nothing()


async def test_a_late_message_is_overtaken():
    async with app_and_plug() as (cloud, app, device):
        cloud.faults.delay_next(5, on="push")
        first = await device.push(TOGGLE)
        second = await device.push(TOGGLE)
        began = anyio.current_time()
        assert (await app.hear()).message_id == second.message_id
        assert (await app.hear()).message_id == first.message_id
        assert anyio.current_time() - began == pytest.approx(5, abs=0.5)


async def test_a_signature_is_wrong():
    async with app_and_plug() as (cloud, app, device):
        cloud.faults.wrong_sign_next(on="push")
        told = await device.push(TOGGLE, payload={"togglex": {"onoff": 1}})
        heard = await app.hear_unsigned()
        assert not is_signed(heard, cloud.key)
        assert (heard.message_id, heard.payload) == (told.message_id, told.payload)
        await show_fault(cloud, "wrong_sign*1")
        await device.push(TOGGLE)
        assert not is_signed(await app.hear_unsigned(), cloud.key)
        await device.push(TOGGLE)
        await app.hear()


async def test_an_answer_is_garbled_or_cut():
    async with app_and_plug() as (cloud, app, device):
        for spoil in (cloud.faults.garble_next, cloud.faults.cut_next):
            spoil(on="answer")
            await app.ask(TOGGLE)
            await device.answer_next()
            with pytest.raises(Exception, match="JSON"):
                await app.hear_unsigned(1)


async def test_who_speaks_is_cut_off():
    async with app_and_plug() as (cloud, app, device):
        cloud.faults.hang_up_next(on="push")
        await device.push(TOGGLE)
        assert (await app.hear()).payload == {"online": {"status": 2}}
        assert (await app.hear()).payload == {"online": {"status": 1}}


async def test_an_echo_that_devices_want_is_lost():
    async with app_and_plug() as (cloud, app, device):
        cloud.faults.drop_next(on="cloud")
        await device.push(CLOCK)
        await app.hear()
        assert await device.hears_nothing()
        await device.push(CLOCK)
        await device.hear()


async def test_a_silent_cloud_passes_nothing_on():
    async with app_and_plug() as (cloud, app, device):
        await show_fault(cloud, "silent")
        await device.push(TOGGLE)
        await app.ask(TOGGLE)
        assert await app.hears_nothing()
        assert await device.hears_nothing()


@pytest.mark.parametrize("name", ["expire_token", "revoke_tokens", "ban"])
async def test_accounts_meet_their_faults_by_name(name):
    async with app_and_plug() as (cloud, _, _):
        await show_fault(cloud, name)
        assert cloud.is_banned == (name == "ban")
        assert cloud.valid_tokens == 0
        assert cloud.named_faults[name]
