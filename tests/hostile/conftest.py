"""`nox -s hostile`: peers that want harm, on real sockets, from two addresses.

What is attacked runs in the test's own loop. The attackers are plain functions with
plain sockets in threads of their own, so that their time does not count:

    def attack(source: str, uri: str) -> None:
        with dial(source, uri) as sock:
            sock.sendall(SOMETHING_BAD)

    async def test_something(mqtt_broker, watched, attacker):
        async with watched(good=mqtt_broker.uri):
            await anyio.to_thread.run_sync(attack, attacker, mqtt_broker.uri)
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from urllib.parse import urlsplit

import pytest

from tests.hostile import watching
from tests.hostile.good_client import GoodClient, GoodPeer
from tests.hostile.watching import Damage, Watched

DAMAGES = pytest.StashKey[list[Damage]]()
HEAD = (
    "| attack | longest step | good client waits | grows | keeps |",
    "|---|---|---|---|---|",
)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[DAMAGES] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if damages := terminalreporter.config.stash.get(DAMAGES, []):
        terminalreporter.write_sep("=", "damage done")
        for line in (*HEAD, *(damage.row() for damage in damages)):
            terminalreporter.write_line(line)


@pytest.fixture(params=["127.0.0.2", "127.0.0.1"], ids=["stranger", "neighbour"])
def attacker(request: pytest.FixtureRequest) -> str:
    """Where the attack comes from: an address of its own, then the good client's."""
    address: str = request.param
    return address


@pytest.fixture(autouse=True)
def threads_take_turns_quickly() -> Iterator[None]:
    """Let no attacker's thread keep the interpreter for long: that is not the loop."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def watched(request: pytest.FixtureRequest) -> Watched:
    """Watch an attack: `async with watched(good=broker.uri, grows_mb=64): ...`.

    Args of what it gives: `good`, the URI of a broker that a good client pings all the
    time, or such a peer itself (None: there is none), `username`, with which it logs in (its password
    is the same), `grows_mb` and `keeps_mb`, how much the memory may grow meanwhile, and
    how much of it may be left.
    """

    def watch(
        *,
        good: str | GoodPeer | None = None,
        username: str | None = None,
        grows_mb: float = 64,
        keeps_mb: float = 16,
    ) -> AbstractAsyncContextManager[Damage]:
        client = good if isinstance(good, GoodPeer) else None
        if isinstance(good, str):
            parts = urlsplit(good)
            client = GoodClient(str(parts.hostname), int(parts.port or 1883), username)
        damage = Damage(request.node.name)
        request.config.stash[DAMAGES].append(damage)
        return watching.watched(
            damage, good=client, grows_mb=grows_mb, keeps_mb=keeps_mb
        )

    return watch
