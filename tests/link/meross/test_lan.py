"""Requests in the local network reach the right device, and only its answers count."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import pytest

from structiot._kit.http.messages import HttpReply
from structiot._kit.http.server import HttpServer
from structiot._kit.net.memory import MemoryNetwork
from structiot.errors import (
    ConnectFailed,
    DeviceReplaced,
    LinkLost,
    ProtocolViolation,
    ReplyTimeout,
    UnsupportedDevice,
    UsageError,
)
from structiot.meross.errors import CallDropped, MerossRefused, WrongKey
from structiot.meross.link.lan import LanLink
from structiot.meross.wire.envelope import Method, encode_envelope
from structiot.testing import cancel_sweep
from tests.link.meross.scripted import (
    CRYPT,
    HOST,
    KEY,
    OTHER_UUID,
    RUNTIME,
    TOGGLE,
    UUID,
    Garble,
    ScriptedDevice,
    environment_of,
)

pytestmark = pytest.mark.virtual_time

ANSWERS = {RUNTIME: {"runtime": {"signal": 80}}, TOGGLE: {}}


@asynccontextmanager
async def meeting(
    device: ScriptedDevice, *, key: str = KEY, uuid: str | None = UUID
) -> AsyncGenerator[LanLink]:
    network = MemoryNetwork("10.0.0.1")
    device.answers = {**ANSWERS, **device.answers}
    async with device.on_lan(network):
        yield LanLink(HOST, key=key, uuid=uuid, environment=environment_of(network))


@pytest.mark.parametrize("abilities", [{}, CRYPT], ids=["plain", "encrypted"])
async def test_a_device_is_asked_and_answers(abilities):
    device = ScriptedDevice(abilities=abilities)
    async with meeting(device, uuid=None) as link:
        assert (link.is_encrypted, link.abilities) == (None, None)
        reply = await link.request(Method.GET, RUNTIME)
        assert reply.payload == {"runtime": {"signal": 80}}
        assert link.is_encrypted == bool(abilities)
        assert link.uuid == UUID
        assert link.abilities == abilities
        await link.request(Method.SET, TOGGLE, {"togglex": {"onoff": 1}})
    assert device.asked == ["Ability", "Runtime", "ToggleX"]
    assert device.requests[-1].payload == {"togglex": {"onoff": 1}}


async def test_abilities_are_asked_once_if_they_are_what_is_wanted():
    device = ScriptedDevice(abilities=CRYPT)
    async with meeting(device) as link:
        assert set(await link.identify()) == set(CRYPT)
    assert device.asked == ["Ability"]


async def test_a_device_without_a_key_takes_an_empty_one():
    async with meeting(ScriptedDevice(key=""), key="") as link:
        await link.request(Method.GET, RUNTIME)


@pytest.mark.parametrize("abilities", [{}, CRYPT], ids=["plain", "encrypted"])
async def test_a_wrong_key_is_told_as_such(abilities):
    device = ScriptedDevice(key="f" * 32, abilities=abilities)
    async with meeting(device) as link:
        with pytest.raises(WrongKey, match="another account's") as caught:
            await link.request(Method.GET, RUNTIME)
    assert caught.value.code == 5001
    assert KEY not in str(caught.value)


async def test_an_error_of_the_device_is_raised_with_its_code_and_words():
    device = ScriptedDevice()
    device.answers["Appliance.X"] = {"error": {"code": 5061, "detail": "no radio"}}
    async with meeting(device) as link:
        with pytest.raises(MerossRefused, match="5061 no radio") as caught:
            await link.request(Method.GET, "Appliance.X")
        assert (caught.value.code, caught.value.peer_text) == (5061, "no radio")
        with pytest.raises(MerossRefused, match="5000"):
            await link.request(Method.GET, "Appliance.Unknown")


@pytest.mark.parametrize("is_other_account", [False, True])
async def test_another_device_at_the_address_is_not_believed(is_other_account):
    other = ScriptedDevice(uuid=OTHER_UUID, key="f" * 32 if is_other_account else KEY)
    async with meeting(other) as link:
        with pytest.raises(DeviceReplaced) as caught:
            await link.request(Method.SET, TOGGLE)
    assert (caught.value.expected, caught.value.found) == (UUID, OTHER_UUID)
    assert other.asked == ["Ability"]


GARBLED: dict[str, Garble] = {
    "another id": lambda reply: replace(reply, message_id="0" * 32),
    "not signed": lambda reply: encode_envelope(reply, "f" * 32),
    "another namespace": lambda reply: replace(reply, namespace="Appliance.X"),
    "another method": lambda reply: replace(reply, method=Method.SET),
    "no JSON": lambda _: b"<html>",
    "no header": lambda _: b'{"payload": {}}',
    "nothing": lambda _: b"",
    "too much": lambda _: b'{"header": "' + b"x" * 70_000,
}


@pytest.mark.parametrize("garble", GARBLED.values(), ids=list(GARBLED))
async def test_what_is_no_answer_to_the_request_is_not_taken_for_one(garble):
    device = ScriptedDevice()
    async with meeting(device) as link:
        await link.identify()
        device.garble = garble
        with pytest.raises(ProtocolViolation):
            await link.request(Method.GET, RUNTIME)
        device.garble = None
        await link.request(Method.GET, RUNTIME)


async def test_a_device_that_hangs_up_is_a_lost_link_and_is_met_anew():
    device = ScriptedDevice(abilities=CRYPT)
    async with meeting(device) as link:
        await link.identify()
        device.garble = lambda _: None
        with pytest.raises(LinkLost):
            await link.request(Method.GET, RUNTIME)
        device.garble = None
        # Its firmware was changed to one that takes requests in the clear.
        device.abilities = {}
        await link.request(Method.GET, RUNTIME)
        assert link.is_encrypted is False
        device.abilities = CRYPT
        with pytest.raises(LinkLost):
            await link.request(Method.GET, RUNTIME)
        await link.request(Method.GET, RUNTIME)
        assert link.is_encrypted is True


async def test_a_silent_device_and_an_empty_address_are_told_apart():
    device = ScriptedDevice(delay_s=60)
    async with meeting(device) as link:
        with pytest.raises(ReplyTimeout):
            await link.request(Method.GET, RUNTIME, timeout_s=3)
        assert anyio.current_time() == pytest.approx(3, abs=0.01)
    nobody = LanLink(HOST, key=KEY, environment=environment_of(MemoryNetwork()))
    with pytest.raises(ConnectFailed):
        await nobody.request(Method.GET, RUNTIME)


async def test_one_request_at_a_time_and_only_so_many_wait():
    device = ScriptedDevice(delay_s=0.1)
    dropped = 0
    async with meeting(device) as link, anyio.create_task_group() as tg:
        await link.identify()

        async def ask() -> None:
            nonlocal dropped
            try:
                await link.request(Method.GET, RUNTIME)
            except CallDropped:
                dropped += 1

        for _ in range(50):
            tg.start_soon(ask)
    assert device.most_at_once == 1
    assert device.asked.count("Runtime") == 50 - dropped
    assert dropped == 18


async def test_waiting_for_a_turn_is_part_of_the_time():
    device = ScriptedDevice()
    async with meeting(device) as link, anyio.create_task_group() as tg:
        await link.identify()
        device.delay_s = 5.0
        tg.start_soon(link.request, Method.GET, RUNTIME)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(ReplyTimeout, match="no turn"):
            await link.request(Method.GET, RUNTIME, timeout_s=1)
    assert device.asked.count("Runtime") == 1


@pytest.mark.parametrize("clock_s", [-400_000, -60, 60, 86_400])
async def test_a_clock_that_differs_is_noticed_and_corrected_for(clock_s, caplog):
    caplog.set_level("INFO", "structiot.meross")
    device = ScriptedDevice(clock_s=clock_s)
    async with meeting(device) as link:
        for _ in range(3):
            await link.request(Method.GET, RUNTIME)
        assert link.clock.offset_s == pytest.approx(clock_s, abs=1)
        assert device.asked == ["Ability"] * 2 + ["Runtime"] * 3
        # It is set right, and ours is right again.
        device.clock_s = 0
        await link.request(Method.GET, RUNTIME)
        assert link.clock.offset_s == 0
    assert sum("the clock of" in text for text in caplog.messages) == 2


@pytest.mark.parametrize(
    ("status", "error"), [(404, UnsupportedDevice), (500, ProtocolViolation)]
)
async def test_a_server_of_another_kind_is_told_as_such(status, error):
    network = MemoryNetwork()

    async def handle(_request: object) -> HttpReply:
        return HttpReply(status=status, headers={}, body=b"{}")

    async with (
        network.listen_tcp(HOST, 80) as listener,
        anyio.create_task_group() as tg,
    ):
        tg.start_soon(listener.serve, HttpServer(handle).serve)
        link = LanLink(HOST, key=KEY, environment=environment_of(network))
        with pytest.raises(error):
            await link.request(Method.GET, RUNTIME)
        tg.cancel_scope.cancel()


async def test_an_answer_is_no_request():
    link = LanLink(HOST, key=KEY)
    with pytest.raises(UsageError):
        await link.request(Method.GETACK, RUNTIME)


async def test_nothing_is_left_wherever_a_request_is_cancelled():
    device = ScriptedDevice(abilities=CRYPT, answers=ANSWERS)
    network = MemoryNetwork("10.0.0.1")

    async def flow() -> None:
        link = LanLink(HOST, key=KEY, environment=environment_of(network))
        await link.request(Method.GET, RUNTIME)
        await link.request(Method.SET, TOGGLE)

    async with device.on_lan(network):
        assert await cancel_sweep(flow) > 10


async def test_a_link_goes_on_wherever_a_request_was_cancelled():
    device = ScriptedDevice(abilities=CRYPT, delay_s=0.1)
    async with meeting(device) as link:
        for hundredths in range(1, 40, 3):
            with anyio.move_on_after(hundredths / 100):
                await link.request(Method.GET, RUNTIME)
        await link.request(Method.GET, RUNTIME)


def test_nothing_secret_is_shown():
    assert KEY not in repr(LanLink(HOST, key=KEY))
