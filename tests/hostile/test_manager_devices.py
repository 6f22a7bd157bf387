"""Devices that a manager has taken, and that want harm: nobody else notices."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import anyio
import anyio.to_thread
import pytest

from structiot.manager import ManagerLimits
from structiot.manager.wire.dialects import WORDS, Dialect
from tests.hostile.attackers import dial, read, read_to_the_end
from tests.hostile.hostile_devices import (
    DIALECTS,
    GOOD,
    UUID,
    attacked,
    good_device,
    identified,
    info_of,
    many_files,
    read_question,
    send_without_end,
    together,
    uri_of,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

MB = 1_000_000
AT_ONCE = 4
MOST_BYTES, MOST_FRAMES = 24 * MB, 60_000
FLOODS: dict[str, dict[str, bytes]] = {
    "D4": {
        "empty messages": b"\0\0",
        "answers to heartbeats": b"\0\1\2",
        "long messages": b"\xff\xff" + bytes(65_535),
        "infos": info_of("D4"),
    },
    "structiot": {
        "pings": b"P\0\0",
        "pongs": b"O\0\0",
        "one message again and again": b"D\0\x09\0\0\0\0\0\0\0\1x",
        "long messages": b"D\xff\xff\0\0\0\0\0\0\0\1" + bytes(65_527),
        "acknowledgements": b"A\0\x08\0\0\0\0\0\0\0\1",
        "infos": info_of("structiot"),
    },
    **{
        dialect: {
            "answers to heartbeats": WORDS[dialect].is_alive,
            "what is nearly one": WORDS[dialect].is_alive[:-1],
            "infos": info_of(dialect),
            "markers": WORDS[dialect].marker or b"##",
        }
        for dialect in DIALECTS
        if not Dialect(dialect).is_framed
    },
}


@pytest.fixture(autouse=True, scope="module")
def files_enough() -> Iterator[None]:
    with many_files():
        yield


@pytest.mark.parametrize(
    ("dialect", "what"),
    [(dialect, what) for dialect, floods in FLOODS.items() for what in floods],
)
async def test_more_than_anybody_wants(watched, attacker, dialect, what):
    """The program of the manager hears all events, and is served none the less."""
    flood = FLOODS[dialect][what]
    block = flood * (65_536 // len(flood) or 1)
    most_bytes = min(MOST_BYTES, MOST_FRAMES * len(flood))

    async with attacked() as manager:
        uri = uri_of(manager, dialect)

        def attack(number: int) -> None:
            with identified(attacker, uri, dialect, f"{number:032x}") as sock:
                # What comes back stays unread.
                sock.settimeout(2)
                send_without_end(sock, block, most_bytes)

        async with watched(good=good_device(manager), grows_mb=64, keeps_mb=16):
            await anyio.to_thread.run_sync(together, attack, AT_ONCE)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_who_never_reads_is_ended(watched, attacker, dialect):
    """And who reads has all messages to all, of which the others take nothing."""
    limits = ManagerLimits(waiting_bytes=1_000_000, stall_s=1)
    async with attacked(limits=limits) as manager:
        uri = uri_of(manager, dialect)

        def connect() -> None:
            for number in range(20):
                device = f"{number:032x}"
                stack.enter_context(identified(attacker, uri, dialect, device))

        with contextlib.ExitStack() as stack:
            async with watched(good=good_device(manager), grows_mb=64, keeps_mb=16):
                await anyio.to_thread.run_sync(connect)
                with anyio.fail_after(20):
                    while len(manager.clients) < 21:  # noqa: ASYNC110 - real sockets
                        await anyio.sleep(0.01)
                    while len(manager.clients) > 1:
                        with anyio.move_on_after(0.2):
                            await manager.send_type("door", bytes(60_000))
                assert str(GOOD) in manager.clients


async def test_nobody_takes_a_device_over_without_its_secret(watched, attacker):
    """A device with a secret stays, whoever says that it is the same."""
    async with attacked(secrets={UUID: "open sesame"}) as manager:
        uri = uri_of(manager, "structiot")

        def attack() -> None:
            for _ in range(500):
                with dial(attacker, uri) as sock:
                    read_question(sock, "structiot")
                    sock.sendall(info_of("structiot"))
                    assert b"has not proven" in read_to_the_end(sock)

        async with watched(good=good_device(manager), grows_mb=24, keeps_mb=8):
            await anyio.to_thread.run_sync(attack)
        assert UUID not in manager.clients


async def test_two_that_take_each_other_over(watched, attacker):
    """Both are of one UUID: they replace each other a few times, then the newer stays out."""
    async with attacked() as manager:
        uri = uri_of(manager, "D0")

        def attack(_: int) -> None:
            for _ in range(200):
                with identified(attacker, uri, "D0") as sock:
                    read_until_quiet(sock)

        async with watched(good=good_device(manager), grows_mb=24, keeps_mb=8):
            await anyio.to_thread.run_sync(together, attack, 2)


def read_until_quiet(sock) -> None:
    sock.settimeout(0.01)
    with contextlib.suppress(OSError):
        while sock.recv(65_536):
            pass


async def test_many_uuids_of_one_device(watched, attacker):
    """What is remembered of devices that are gone is bounded."""
    async with attacked() as manager:
        uri = uri_of(manager, "structiot")
        messages = b"".join(
            b"D\0\x09" + number.to_bytes(8) + b"x" for number in range(1, 65)
        )

        def attack(first: int) -> None:
            for number in range(first * 500, first * 500 + 500):
                with identified(attacker, uri, "structiot", f"{number:032x}") as sock:
                    sock.sendall(messages)
                    read(sock, 5 + 64 * 11)

        async with watched(good=good_device(manager), grows_mb=12, keeps_mb=8):
            await anyio.to_thread.run_sync(together, attack, 4)
