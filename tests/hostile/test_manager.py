"""Whoever dials in to a manager and does not say who it is: nobody else notices."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
import trustme

from structiot.manager import Listener, ManagerLimits
from tests.hostile.attackers import dial, read_to_the_end, send_until_refused
from tests.hostile.hostile_devices import (
    DIALECTS,
    UUID,
    attacked,
    client_hello,
    good_device,
    hang_up_rudely,
    identified,
    info_of,
    join,
    many_files,
    read_question,
    send_without_end,
    together,
    uri_of,
)
from tests.hostile.watching import GOOD_WAITS_S

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

MB = 1_000_000
JOINS_S = 0.1


@pytest.fixture(autouse=True, scope="module")
def files_enough() -> Iterator[None]:
    with many_files():
        yield


async def test_two_thousand_that_never_identify(watched, attacker):
    """The good device dials in among them, ten times while they are being replaced."""
    async with attacked() as manager:
        uri = uri_of(manager, "D4")

        def attack(count: int) -> None:
            socks = [stack.enter_context(dial(attacker, uri)) for _ in range(count)]
            # They are accepted in turn.
            read_question(socks[-1], "D4")

        with contextlib.ExitStack() as stack:
            async with watched(good=good_device(manager), grows_mb=32, keeps_mb=32):
                await anyio.to_thread.run_sync(attack, 2_000)
                for _ in range(10):
                    begun_s = time.thread_time()
                    await anyio.to_thread.run_sync(join, uri)
                    assert time.thread_time() - begun_s < JOINS_S
                    await anyio.to_thread.run_sync(attack, 50)


async def test_connections_without_end(watched, attacker):
    async with attacked(limits=ManagerLimits(unidentified=500)) as manager:
        uri = uri_of(manager, "D4")

        def flood(_: int) -> None:
            for _ in range(1_500):
                with dial(attacker, uri):
                    pass

        async with watched(good=good_device(manager)):
            await anyio.to_thread.run_sync(together, flood, 4)
            # How soon is the system's matter: its queue of 4,096 was full.
            await anyio.to_thread.run_sync(join, uri)


async def test_more_of_one_address_than_it_may_have(watched):
    async with attacked(limits=ManagerLimits(per_address=50)) as manager:
        uri = uri_of(manager, "D0")

        def attack() -> None:
            with contextlib.ExitStack() as stack:
                socks = [
                    stack.enter_context(dial("127.0.0.2", uri)) for _ in range(200)
                ]
                for sock in socks[60:]:
                    assert read_to_the_end(sock) == b""

        async with watched(good=good_device(manager)):
            await anyio.to_thread.run_sync(attack)
            assert await anyio.to_thread.run_sync(join, uri_of(manager, "D4")) < 1


async def test_more_in_all_than_there_may_be(watched, attacker):
    """Who has said who it is stays; who has not yields, or is turned away."""
    async with attacked(limits=ManagerLimits(connections=100)) as manager:
        uri = uri_of(manager, "D0")

        def attack() -> None:
            with contextlib.ExitStack() as stack:
                for number in range(90):
                    uuid = f"{number:032x}"
                    stack.enter_context(identified(attacker, uri, "D0", uuid))
                for _ in range(200):
                    stack.enter_context(dial(attacker, uri))
                join(uri_of(manager, "D4"))

        async with watched(good=good_device(manager)):
            await anyio.to_thread.run_sync(attack)


NO_INFOS = {
    "one separator": b"%b##light{}",
    "three separators": b"%b##light##x##{}",
    "colons": b"%b:light:{}",
    "nothing but separators": b"##" * 4_000,
    "invalid UTF-8": b"%b##light##" + b"\xff\xfe" * 2_000,
    "a type of invalid UTF-8": b"%b##\xff##{}",
    "a deep object": b"%b##light##" + b'{"a":' * 1_350 + b"1" + b"}" * 1_350,
    "deep lists": b'%b##light##{"a":' + b"[" * 4_000 + b"]" * 4_000 + b"}",
    "no object": b"%b##light##[1,2]",
    "null": b"%b##light##null",
    "a number of 8,000 digits": b'%b##light##{"a":' + b"9" * 8_000 + b"}",
    "exponents": b'%b##toaster##{"a":[' + b"1e999999999," * 600 + b"1]}",
    "empty objects": b'%b##toaster##{"a":[' + b"{}," * 2_600 + b"1]}",
    "36 characters": b"../" * 12 + b"##light##{}",
    "control characters": b"\x1b[2J" * 9 + b"##li\nght##{}",
    "half of it": b"%b##light##{",
    "nothing": b"",
}


@pytest.mark.parametrize("dialect", ["D0", "D3", "D4", "structiot"])
async def test_what_is_no_info(watched, attacker, dialect):
    told = {
        name: info_of(dialect, bad.replace(b"%b", UUID.encode()))
        for name, bad in NO_INFOS.items()
    }

    async with attacked(reply_s=0.5) as manager:
        uri = uri_of(manager, dialect)

        def attack(_: int) -> None:
            for name, bad in told.items():
                for _ in range(2 if name in {"half of it", "nothing"} else 20):
                    with dial(attacker, uri) as sock:
                        read_question(sock, dialect)
                        send_until_refused(sock, bad)
                        assert read_to_the_end(sock), name

        async with watched(good=good_device(manager), grows_mb=24, keeps_mb=8):
            await anyio.to_thread.run_sync(together, attack, 4)
        assert UUID not in manager.clients


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_answer_of_a_gigabyte(watched, attacker, dialect):
    begin = f'{UUID}##light##{{"a":'.encode()
    answers = [(b"", b"x"), (b"", b"#"), (begin, b"{"), (begin, b'"'), (begin, b" ")]

    async with attacked() as manager:
        uri = uri_of(manager, dialect)

        def attack() -> None:
            for first, then in answers:
                with dial(attacker, uri) as sock:
                    sock.sendall(first)
                    sent = send_without_end(sock, then * 65_536, 1_000 * MB)
                    assert sent < 16 * MB, then

        async with watched(good=good_device(manager), grows_mb=24, keeps_mb=8):
            await anyio.to_thread.run_sync(attack)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_byte_now_and_then(watched, attacker, dialect):
    """Slow-loris: it is over when the time is, however many bytes have come."""
    async with attacked(reply_s=1) as manager:
        uri = uri_of(manager, dialect)

        def attack() -> None:
            with contextlib.ExitStack() as stack:
                socks = [stack.enter_context(dial(attacker, uri)) for _ in range(200)]
                for byte in info_of(dialect)[:-1] * 2:
                    time.sleep(0.02)
                    for sock in socks:
                        with contextlib.suppress(ConnectionError):
                            sock.sendall(bytes((byte,)))
                for sock in socks:
                    read_to_the_end(sock)

        async with watched(good=good_device(manager), grows_mb=24, keeps_mb=8):
            await anyio.to_thread.run_sync(attack)
        assert UUID not in manager.clients


@pytest.mark.parametrize("at", ["accepted", "half an info", "a whole one", "a message"])
@pytest.mark.parametrize("dialect", ["D0", "D4", "structiot"])
async def test_resets_at_any_time(watched, attacker, dialect, at):
    told = info_of(dialect)
    said = {
        "accepted": b"",
        "half an info": told[: len(told) // 2],
        "a whole one": told,
        "a message": told + b"D\x01",
    }[at]

    async with attacked(limits=ManagerLimits(replacements=1_000)) as manager:
        uri = uri_of(manager, dialect)

        def attack() -> None:
            for _ in range(300):
                with dial(attacker, uri) as sock:
                    sock.sendall(said)
                    hang_up_rudely(sock)

        async with watched(good=good_device(manager), grows_mb=24, keeps_mb=8):
            await anyio.to_thread.run_sync(attack)
            with anyio.fail_after(5):
                while UUID in manager.clients:  # noqa: ASYNC110 - real sockets
                    await anyio.sleep(0.01)


# ------------------------------------------------------------ TLS


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(serving)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    return serving, trusting


@pytest.mark.parametrize("ends", ["never", "by a reset"])
@pytest.mark.parametrize("what", ["nothing", "half a hello", "a hello", "no TLS"])
async def test_handshakes_that_come_to_nothing(watched, attacker, contexts, what, ends):
    serving, trusting = contexts
    hello = client_hello()
    said = {
        "nothing": b"",
        "half a hello": hello[: len(hello) // 2],
        "a hello": hello,
        "no TLS": b"GET / HTTP/1.1\r\n\r\n",
    }[what]
    listener = Listener(port=0, dialect="D4", ssl_context=serving)
    async with attacked(listeners=[listener]) as manager:
        uri = "tcp://{}:{}".format(*manager.addresses[-1])

        def attack() -> None:
            with contextlib.ExitStack() as stack:
                for _ in range(300):
                    sock = stack.enter_context(dial(attacker, uri))
                    sock.sendall(said)
                    if ends != "never":
                        hang_up_rudely(sock)
                for _ in range(3):
                    assert join(uri, trusting) < 3

        async with watched(good=good_device(manager), grows_mb=96, keeps_mb=48):
            await anyio.to_thread.run_sync(attack)


# ------------------------------------------------------------ files


@contextlib.contextmanager
def no_files_left() -> Iterator[None]:
    """Let this process open nothing more for the length of the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = []
    highest = max(int(one.name) for one in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 50, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.dup(0))
        yield
    finally:
        for number in taken:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_no_more_files_can_be_opened(caplog):
    """Who is connected is served on; who waits is accepted when there are files again."""
    async with attacked() as manager:
        uri, good = uri_of(manager, "D4"), good_device(manager)
        async with good.running():
            with contextlib.ExitStack() as stack:
                late = [stack.enter_context(socket.socket()) for _ in range(50)]
                with no_files_left():
                    begun_s, count = time.thread_time(), good.count
                    for sock in late:
                        await anyio.to_thread.run_sync(sock.connect, good.address)
                    await anyio.sleep(1)
                    assert good.count > count
                    assert time.thread_time() - begun_s < 0.5
                with anyio.fail_after(2):
                    for sock in late:
                        await anyio.to_thread.run_sync(read_question, sock, "D4")
                assert await anyio.to_thread.run_sync(join, uri) < 1
        assert good.error is None
        assert good.longest_s < GOOD_WAITS_S
    said = [one for one in caplog.messages if "cannot accept" in one]
    assert len(said) == 1
