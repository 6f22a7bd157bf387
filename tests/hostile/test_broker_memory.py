"""Clients that make the broker hold what they can: one ledger has it all."""

from __future__ import annotations

import contextlib
import gc
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio.to_thread
import pytest

from structiot.mqtt.broker import BrokerLimits, BrokerServer, open_broker
from structiot.mqtt.broker.core.sessions import Delivery, Session
from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import (
    Connect,
    Message,
    Pubrel,
    Subscribe,
    SubscriptionRequest,
    Will,
)
from structiot.mqtt.wire.properties import (
    ConnectProperties,
    PublishProperties,
    WillProperties,
)
from tests.hostile.attackers import log_in, log_in_by, send_until_refused

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

MB = 1_000_000
PING = b"\xc0\x00"
ALL_BYTES = 48 * MB
# The ledger, one read and one packet for each, and what attackers hold themselves.
GROWS_MB = 1.2 * ALL_BYTES / MB + 32

Attack = Callable[[str, str], None]


@asynccontextmanager
async def small_broker(**limits: int) -> AsyncIterator[BrokerServer]:
    options: dict[str, Any] = {"all_bytes": ALL_BYTES, **limits}
    async with open_broker(
        "mqtt://127.0.0.1:0", limits=BrokerLimits(**options), sys_interval_s=None
    ) as broker:
        yield broker


def lasting(name: str, version: int = 5, **options: object) -> Connect:
    properties = ConnectProperties()
    if version == 5:
        properties = ConnectProperties(session_expiry_s=86_400)
    return Connect(
        client_id=name,
        version=version,
        clean_start=False,
        properties=properties,
        **options,  # type: ignore[arg-type]
    )


def ping(sock: socket.socket) -> None:
    """Wait until all before it was dealt with; what comes is thrown away."""
    sock.sendall(PING)
    data = b""
    while b"\xd0\x00" not in data:
        chunk = sock.recv(65_536)
        assert chunk, "the broker has hung up"
        data = data[-1:] + chunk


def subscribe(sock: socket.socket, *filters: str, qos: int = 1) -> None:
    requests = tuple(SubscriptionRequest(topic_filter=one, qos=qos) for one in filters)
    packet = Subscribe(packet_id=1, subscriptions=requests)
    sock.sendall(encode(packet, 5))
    ping(sock)


# -- sessions that end


def queue_and_end(source: str, uri: str) -> None:
    """Fill a queue that waits for a day, and begin the session anew; again and again."""
    payload = bytes(1 * MB)
    for _ in range(12):
        with log_in(source, uri, lasting("s")) as sock:
            subscribe(sock, "a")
        with log_in(source, uri, Connect(client_id="p", version=5)) as sock:
            for _ in range(20):
                sock.sendall(encode(Message("a", payload, qos=1, packet_id=1), 5))
                ping(sock)
        with log_in(source, uri, Connect(client_id="s", version=5)):
            pass


async def test_sessions_that_end_are_gone_at_once(watched, attacker):
    async with small_broker() as broker:
        async with watched(good=broker.uri, grows_mb=100):
            await anyio.to_thread.run_sync(queue_and_end, attacker, broker.uri)
        assert set(broker.clients) <= {"s", "good"}
        assert [one for one in gc.get_objects() if type(one) is Delivery] == []
        living = [one for one in gc.get_objects() if type(one) is Session]
        assert len(living) <= 2


# -- sessions that stay

PAIRS = (("", ""),) * 990
HEAVY = encode(
    Message(
        "a", qos=1, packet_id=1, properties=PublishProperties(user_properties=PAIRS)
    ),
    5,
)
DYING = encode(
    lasting(
        "sNNN",
        will=Will(
            topic="w",
            payload=bytes(60_000),
            properties=WillProperties(will_delay_s=86_400, user_properties=PAIRS),
        ),
    ),
    5,
)


def filters(source: str, uri: str) -> None:
    for number in range(12):
        with log_in(source, uri, lasting(f"s{number}")) as sock:
            for start in range(0, 10_000, 500):
                names = (f"{number}/{one}" for one in range(start, start + 500))
                subscribe(sock, *names)


def unreleased(source: str, uri: str) -> None:
    for number in range(12):
        with log_in(source, uri, lasting(f"s{number}", 4)) as sock:
            for start in range(1, 65_000, 1000):
                messages = (
                    Message("x", b"", qos=2, packet_id=one)
                    for one in range(start, start + 1000)
                )
                try:
                    sock.sendall(b"".join(encode(one, 4) for one in messages))
                    ping(sock)
                except (ConnectionError, AssertionError):
                    break


def named(connect: bytes, number: int) -> bytes:
    """Give the client another id of the same length."""
    return connect.replace(b"sNNN", b"s%03d" % number, 1)


def wills(source: str, uri: str) -> None:
    for number in range(400):
        with contextlib.suppress(AssertionError, ConnectionError):
            with log_in_by(source, uri, named(DYING, number)):
                pass


def queues(source: str, uri: str) -> None:
    for number in range(60):
        with contextlib.suppress(AssertionError, ConnectionError):
            with log_in(source, uri, lasting(f"s{number}")) as sock:
                subscribe(sock, "a")
    with log_in(source, uri, Connect(client_id="p", version=5)) as sock:
        for _ in range(60):
            sock.sendall(HEAVY)
            ping(sock)


def retained(source: str, uri: str) -> None:
    with log_in(source, uri, Connect(client_id="p", version=5)) as sock:
        for number in range(1500):
            message = Message(f"{number}" + "/" * 100, b"x" * 1000, retain=True)
            sock.sendall(encode(message, 5))
            if not number % 50:
                ping(sock)
        ping(sock)


@pytest.mark.parametrize("attack", [filters, unreleased, wills, queues, retained])
async def test_what_stays_is_bounded(watched, attacker, attack: Attack):
    async with small_broker() as broker:
        async with watched(good=broker.uri, grows_mb=GROWS_MB, keeps_mb=GROWS_MB):
            await anyio.to_thread.run_sync(attack, attacker, broker.uri)


# -- connections


def hold(source: str, uri: str, *, count: int, first: bytes, data: bytes) -> None:
    """Log in many times, send the same on all, and stay for a while."""
    with contextlib.ExitStack() as stack:
        for number in range(count):
            with contextlib.suppress(AssertionError, ConnectionError, TimeoutError):
                connect = named(first, number)
                sock = stack.enter_context(log_in_by(source, uri, connect))
                sock.settimeout(1)
                with contextlib.suppress(TimeoutError):
                    send_until_refused(sock, data)
        time.sleep(1)


PLAIN = encode(Connect(client_id="sNNN", version=5), 5)
TALKATIVE = encode(
    Connect(
        client_id="sNNN",
        version=5,
        properties=ConnectProperties(user_properties=PAIRS),
    ),
    5,
)
UNFINISHED = b"\x30\xff\xff\xff\x03" + bytes(7 * MB)
ALIASES = b"".join(
    encode(
        Message(
            f"{alias}" + "t" * 60_000,
            properties=PublishProperties(topic_alias=alias),
        ),
        5,
    )
    for alias in range(1, 65)
)


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(partial(hold, count=20, first=PLAIN, data=UNFINISHED), id="parts"),
        pytest.param(partial(hold, count=20, first=PLAIN, data=ALIASES), id="aliases"),
        pytest.param(partial(hold, count=30, first=TALKATIVE, data=b""), id="connects"),
        pytest.param(partial(hold, count=2, first=PLAIN, data=PING * MB), id="pings"),
        pytest.param(
            partial(
                hold, count=2, first=PLAIN, data=encode(Pubrel(packet_id=1), 5) * MB
            ),
            id="releases",
        ),
    ],
)
async def test_what_a_connection_holds_is_bounded(watched, attacker, attack: Attack):
    async with small_broker() as broker, watched(good=broker.uri, grows_mb=GROWS_MB):
        await anyio.to_thread.run_sync(attack, attacker, broker.uri)
