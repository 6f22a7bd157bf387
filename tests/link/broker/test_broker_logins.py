"""Passwords are checked few at a time, the addresses in turn, for who is still there."""

from __future__ import annotations

import threading

import anyio
import pytest

from structiot.mqtt.broker import Passwords, hash_password
from structiot.mqtt.broker.logins import AT_ONCE, Logins
from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import Connect, Disconnect, Message
from structiot.mqtt.wire.reasons import ReasonCode
from tests.link.broker.raw import broker_place

HASHES = {"ann": hash_password("secret")}


class SlowPasswords(Passwords):
    """Checks that end when they are told to."""

    def __init__(self) -> None:
        super().__init__(HASHES)
        self.asked: list[str] = []
        self.may_end = threading.Event()

    def check(self, name: str, password: bytes) -> bool:
        self.asked.append(name)
        self.may_end.wait(10)
        return super().check(name, password) if name == "ann" else False


async def until(condition) -> None:
    with anyio.fail_after(5):
        while not condition():
            await anyio.lowlevel.checkpoint()


async def test_the_addresses_are_asked_in_turn():
    passwords = SlowPasswords()
    logins = Logins(passwords, most_waiting=100)
    async with anyio.create_task_group() as tg:
        for number in range(AT_ONCE):
            tg.start_soon(logins.check, "first", f"first{number}", b"")
        await until(lambda: len(passwords.asked) == AT_ONCE)
        for number in range(5):
            tg.start_soon(logins.check, "many", f"many{number}", b"")
        await until(lambda: len(logins) == 5)
        for host in ("one", "two"):
            tg.start_soon(logins.check, host, host, b"")
        await until(lambda: len(logins) == 7)
        passwords.may_end.set()
    asked = passwords.asked[AT_ONCE:]
    assert {"one", "two"} < set(asked[:3])
    assert len(asked) == 7
    assert len(logins) == 0


async def test_who_has_gone_is_not_asked_about():
    passwords = SlowPasswords()
    logins = Logins(passwords, most_waiting=100)
    async with anyio.create_task_group() as tg:
        for number in range(AT_ONCE):
            tg.start_soon(logins.check, "first", f"first{number}", b"")
        await until(lambda: len(passwords.asked) == AT_ONCE)
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as waiting:
                waiting.start_soon(logins.check, "gone", "gone", b"")
                await until(lambda: len(logins) == 1)
                scope.cancel()
        assert len(logins) == 0
        passwords.may_end.set()
    assert "gone" not in passwords.asked


async def test_only_so_many_wait_of_one_address_and_in_all():
    passwords = SlowPasswords()
    logins = Logins(passwords, most_waiting=8)
    async with anyio.create_task_group() as tg:
        for number in range(AT_ONCE):
            tg.start_soon(logins.check, "first", f"first{number}", b"")
        await until(lambda: len(passwords.asked) == AT_ONCE)
        for host in "abcd":
            for number in range(2):
                assert logins.has_room(host)
                tg.start_soon(logins.check, host, f"{host}{number}", b"")
                await anyio.lowlevel.checkpoint()
            await until(lambda host=host: not logins.has_room(host))
        assert not logins.has_room("e")
        passwords.may_end.set()
    assert logins.has_room("a")


async def test_what_was_right_once_is_known_again():
    passwords = SlowPasswords()
    passwords.may_end.set()
    logins = Logins(passwords, most_waiting=8)
    assert await logins.check("a", "ann", b"secret")
    passwords.may_end.clear()
    assert await logins.check("a", "ann", b"secret")
    passwords.may_end.set()
    assert not await logins.check("a", "ann", b"Secret")
    assert passwords.asked == ["ann", "ann"]


@pytest.mark.parametrize(("version", "code"), [(4, 3), (5, ReasonCode.SERVER_BUSY)])
async def test_who_would_wait_in_vain_is_told_that_the_server_is_busy(
    version: int, code: int
):
    passwords = SlowPasswords()
    connect = Connect(client_id="", username="bob", password=b"x", version=version)
    async with broker_place(passwords=passwords, logins_waiting=4) as place:
        try:
            for _ in range(AT_ONCE):
                await (await place.raw(version)).send(connect)
            await until(lambda: len(passwords.asked) == AT_ONCE)
            await (await place.raw(version)).send(connect)
            late = await place.raw(version)
            with anyio.fail_after(5):
                connack = await late.connect("late", username="bob", password=b"x")
            assert connack.reason == code
        finally:
            passwords.may_end.set()


async def test_who_says_all_at_once_and_goes_is_heard_if_the_password_is_right():
    passwords = SlowPasswords()
    passwords.may_end.set()
    async with broker_place(passwords=passwords) as place:
        reader = await place.raw()
        await reader.connect("reader", username="ann", password=b"secret")
        await reader.subscribe("a")
        passwords._known[1].clear()
        connect = Connect(client_id="w", username="ann", password=b"secret", version=4)
        stream = await place.stream()
        data = encode(connect, 4) + encode(Message("a", b"x"), 4)
        await stream.send(data + encode(Disconnect(), 4))
        await anyio.aclose_forcefully(stream)
        with anyio.fail_after(5):
            assert await reader.payloads(1) == [b"x"]
