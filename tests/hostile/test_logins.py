"""Floods of CONNECTs with wrong passwords: a check of one costs 50 ms on purpose."""

from __future__ import annotations

import contextlib
import time

import anyio.to_thread
import pytest

from structiot.mqtt.broker import BrokerLimits, Passwords, hash_password, open_broker
from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import Connect
from tests.hostile.attackers import dial, log_in, read

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]

FLOOD = 2000
HASHES = {name: hash_password(name) for name in ("good", "late", "victim")}
GOOD_S = 2.0
# A check takes 16 MB, and the C library keeps them for each thread that has run one.
MEMORY = {"grows_mb": 96, "keeps_mb": 64}


def wrong(name: str = "victim", version: int = 4) -> bytes:
    connect = Connect(client_id="", username=name, password=b"wrong", version=version)
    return encode(connect, version)


def log_in_late(address: str, uri: str) -> float:
    """Log in for the first time, in the middle of it; give how long that took."""
    connect = Connect(client_id="late", username="late", password=b"late", version=4)
    begun = time.monotonic()
    with log_in(address, uri, connect):
        return time.monotonic() - begun


async def test_wrong_passwords_from_clients_that_go_at_once(watched, attacker):
    flood = wrong()

    def attack(source: str, uri: str) -> float:
        waited_s = 0.0
        for number in range(FLOOD):
            with dial(source, uri) as sock:
                sock.sendall(flood)
            if number % 500 == 499:
                waited_s = max(waited_s, log_in_late("127.0.0.1", uri))
        return waited_s

    async with open_broker("mqtt://127.0.0.1:0", passwords=Passwords(HASHES)) as broker:
        async with watched(good=broker.uri, username="good", **MEMORY):
            waited_s = await anyio.to_thread.run_sync(attack, attacker, broker.uri)
        assert waited_s < GOOD_S


async def test_wrong_passwords_from_clients_that_stay(watched, attacker):
    """Of one address they wait in a queue that ends; another address has its own."""
    flood = wrong()

    def attack(source: str, uri: str) -> float:
        with contextlib.ExitStack() as stack:
            for _ in range(400):
                sock = stack.enter_context(dial(source, uri))
                sock.sendall(flood)
            # From the attacker's own address nobody can tell it from the others.
            return log_in_late("127.0.0.3", uri)

    limits = BrokerLimits(logins_waiting=400)
    async with open_broker(
        "mqtt://127.0.0.1:0", passwords=Passwords(HASHES), limits=limits
    ) as broker:
        async with watched(good=broker.uri, username="good", **MEMORY):
            waited_s = await anyio.to_thread.run_sync(attack, attacker, broker.uri)
        assert waited_s < GOOD_S


@pytest.mark.parametrize(("version", "code"), [(4, 3), (5, 0x89)])
async def test_who_would_wait_in_vain_is_told_so(watched, attacker, version, code):
    flood = wrong(version=version)

    def attack(source: str, uri: str) -> None:
        with contextlib.ExitStack() as stack:
            socks = [stack.enter_context(dial(source, uri)) for _ in range(60)]
            for sock in socks:
                sock.sendall(flood)
            assert read(socks[-1], 4)[3] == code

    limits = BrokerLimits(logins_waiting=80)
    async with open_broker(
        "mqtt://127.0.0.1:0", passwords=Passwords(HASHES), limits=limits
    ) as broker:
        async with watched(good=broker.uri, username="good", **MEMORY):
            await anyio.to_thread.run_sync(attack, attacker, broker.uri)


async def test_what_is_sent_behind_a_connect_that_waits_is_bounded(watched, attacker):
    flood = wrong() + b"\xc0\x00" * 2_000_000

    def attack(source: str, uri: str) -> None:
        with contextlib.ExitStack() as stack:
            for _ in range(50):
                sock = stack.enter_context(dial(source, uri))
                sock.settimeout(0.05)
                with contextlib.suppress(TimeoutError, ConnectionError):
                    sock.sendall(flood)

    async with open_broker("mqtt://127.0.0.1:0", passwords=Passwords(HASHES)) as broker:
        async with watched(good=broker.uri, username="good", **MEMORY):
            await anyio.to_thread.run_sync(attack, attacker, broker.uri)
