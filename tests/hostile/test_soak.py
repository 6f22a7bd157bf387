"""Clients that come and go for long, with sessions that last, leave nothing behind.

    nox -s soak
    STRUCTIOT_SOAK_S=600 nox -s soak

300 clients, each with a session, subscriptions, a will and a queue of its own, connect,
subscribe, publish, and leave in every way there is, until the time is over; then all
sessions are ended. Of no class of ours are there more objects than at the start, and the
memory is what it was. The session has Python take its memory from malloc: a megabyte of
its own arenas stays for the sake of a single object that was made in it, so that what is
free could not be told from what is lost.
"""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from random import Random

import anyio.to_thread
import pytest

from structiot.mqtt.broker import BrokerServer, open_broker
from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import (
    Connect,
    Disconnect,
    Message,
    Packet,
    Subscribe,
    SubscriptionRequest,
    Unsubscribe,
    Will,
)
from structiot.mqtt.wire.properties import (
    ConnectProperties,
    PublishProperties,
    WillProperties,
)
from tests.hostile.attackers import log_in, read
from tests.hostile.watching import MB, resident_bytes

SOAK_S = float(os.environ.get("STRUCTIOT_SOAK_S", "60"))
CLIENTS = 300
THREADS = 6
WARM_UP_S = 10.0
KEEPS_MB = 20

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(SOAK_S + WARM_UP_S + 120)]


class Visitor:
    """One client, and what it does while it is connected."""

    def __init__(self, number: int, chance: Random) -> None:
        self.name = f"client{number}"
        self._chance = chance

    def connect(self, *, clean: bool = False) -> Connect:
        lasting_s = self._chance.choice((86_400, 600, 0xFFFF_FFFF))
        version = self._chance.choice((4, 5))
        delay_s = self._chance.choice((0, 60)) if version == 5 else None
        will = Will(
            topic=f"wills/{self.name}",
            payload=bytes(100),
            retain=True,
            properties=WillProperties(will_delay_s=delay_s),
        )
        properties = ConnectProperties()
        if version == 5 and not clean:
            properties = ConnectProperties(session_expiry_s=lasting_s)
        return Connect(
            client_id=self.name,
            version=version,
            clean_start=clean or self._chance.random() < 0.1,
            keep_alive_s=60,
            will=None if clean else will,
            properties=properties,
        )

    def packets(self, version: int) -> Iterator[Packet]:
        chance = self._chance
        for _ in range(chance.randrange(1, 8)):
            topic = f"rooms/{chance.randrange(50)}/{chance.randrange(4)}"
            what = chance.randrange(4)
            if what == 0:
                requests = tuple(
                    SubscriptionRequest(topic_filter=name, qos=chance.randrange(3))
                    for name in (topic, f"rooms/{chance.randrange(50)}/#")
                )
                yield Subscribe(packet_id=1, subscriptions=requests)
            elif what == 1:
                yield Unsubscribe(packet_id=2, topic_filters=(topic,))
            else:
                qos = chance.randrange(3)
                properties = PublishProperties(
                    message_expiry_s=chance.choice((1, 60)),
                    user_properties=(("by", self.name),),
                )
                yield Message(
                    topic,
                    bytes(chance.randrange(2000)),
                    qos=qos,
                    retain=chance.random() < 0.2,
                    packet_id=chance.randrange(1, 1000) if qos else 0,
                    properties=properties if version == 5 else None,
                )

    def visit(self, source: str, uri: str) -> None:
        connect = self.connect()
        with log_in(source, uri, connect) as sock:
            version = connect.version
            sock.sendall(
                b"".join(encode(one, version) for one in self.packets(version))
            )
            sock.settimeout(0.005)
            with contextlib.suppress(TimeoutError):
                while sock.recv(65_536):
                    pass
            if self._chance.random() < 0.5:
                sock.sendall(encode(Disconnect(), version))


def come_and_go(source: str, uri: str, until: float, seed: int) -> None:
    """Visit the broker as this thread's share of the clients."""
    chance = Random(seed)
    visitors = [Visitor(number, chance) for number in range(seed, CLIENTS, THREADS)]
    while time.monotonic() < until:
        with contextlib.suppress(ConnectionError, AssertionError):
            chance.choice(visitors).visit(source, uri)


def end_all(source: str, uri: str) -> None:
    chance = Random(0)
    for number in range(CLIENTS):
        with log_in(source, uri, Visitor(number, chance).connect(clean=True)) as sock:
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65_536):
                pass


def write_down(source: str, uri: str) -> None:
    """Wait until the store has all that was before."""
    with log_in(source, uri, Connect(client_id="last", version=4)) as sock:
        message = Message("last", b"", qos=1, retain=True, packet_id=1)
        sock.sendall(encode(message, 4))
        assert read(sock, 4)[0] == 0x40
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65_536):
            pass


def crowd(source: str, uri: str, duration_s: float) -> None:
    until = time.monotonic() + duration_s
    threads = [
        threading.Thread(target=come_and_go, args=(source, uri, until, seed))
        for seed in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def living() -> Counter[str]:
    """How many objects there are of each class of ours."""
    gc.collect()
    kinds = (type(one) for one in gc.get_objects())
    return Counter(
        f"{kind.__module__}.{kind.__qualname__}"
        for kind in kinds
        if kind.__module__.startswith("structiot.")
    )


async def clear(broker: BrokerServer, source: str) -> None:
    """End all sessions, and erase what is retained."""
    await anyio.to_thread.run_sync(end_all, source, broker.uri)
    for item in list(broker.core.retained):
        broker.publish(item.topic, b"", retain=True)
    await anyio.to_thread.run_sync(write_down, source, broker.uri)
    assert broker.core.sessions == {}


async def come_to_rest(before: Counter[str]) -> dict[str, str]:
    """Say what is left beyond `before` once the last connection has been put away."""
    more: dict[str, str] = {}
    for _ in range(50):
        after = living()
        more = {name: f"{before[name]} to {after[name]}" for name in after - before}
        if not more:
            break
        await anyio.sleep(0.1)
    return more


async def test_soak(attacker: str, tmp_path):
    store = tmp_path / "broker.sqlite"
    async with open_broker(
        "mqtt://127.0.0.1:0", store=store, sys_interval_s=None
    ) as broker:
        # All that is made once is made: caches, threads, tables.
        await anyio.to_thread.run_sync(crowd, attacker, broker.uri, WARM_UP_S)
        await clear(broker, attacker)
        await come_to_rest(Counter())
        before, before_bytes = living(), resident_bytes(trim=True)
        await anyio.to_thread.run_sync(crowd, attacker, broker.uri, SOAK_S)
        await clear(broker, attacker)
        assert await come_to_rest(before) == {}
        assert resident_bytes(trim=True) - before_bytes < KEEPS_MB * MB
        assert broker.core.ledger.held_bytes == 0
