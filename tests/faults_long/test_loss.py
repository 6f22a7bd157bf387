"""100,000 messages over 200 broken connections, with both ends killed on the way.

Not part of the default suite: `nox -s faults` runs it and prints the table that stands
in the docs. Words after `--` go to pytest; `STRUCTIOT_LOSS=10000,20` makes it shorter.
"""

# One test has many fixtures.
# ruff: noqa: PLR0917

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import anyio
import pytest

from structiot.mqtt.broker import open_broker
from structiot.sim import FaultProxy, fault_proxy

HERE = Path(__file__).parent
COUNT, CUTS = (
    int(n) for n in os.environ.get("STRUCTIOT_LOSS", "100000,200").split(",")
)
KILLS = 6
LONGEST_S = 900

pytestmark = [pytest.mark.timeout(LONGEST_S + 60), pytest.mark.e2e]


class Ends:
    """The publisher's and the subscriber's process, killed and started at will."""

    def __init__(self, folder: Path, uri: str, qos: int, backend: str) -> None:
        common = [f"--uri={uri}", f"--folder={folder}", f"--qos={qos}"]
        common.append(f"--backend={backend}")
        self.commands = {
            "subscriber": [sys.executable, str(HERE / "subscriber.py"), *common],
            "publisher": [
                sys.executable,
                str(HERE / "publisher.py"),
                *common,
                f"--count={COUNT}",
            ],
        }
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.kills = 0

    def start(self, name: str) -> None:
        self.running[name] = subprocess.Popen(self.commands[name])

    def kill(self, name: str) -> None:
        process = self.running[name]
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()
            self.kills += 1
        self.start(name)

    def stop(self) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()


@asynccontextmanager
async def broker_of(kind: str, mosquitto) -> AsyncGenerator[int]:
    if kind == "mosquitto":
        yield mosquitto.port
    else:
        async with open_broker("mqtt://127.0.0.1:0") as broker:
            yield int(broker.uri.rpartition(":")[2])


async def misbehave(proxy: FaultProxy, ends: Ends, random: Random, done: Path) -> int:
    """Cut, stall and kill until enough was broken and everything has arrived."""
    deadline = time.monotonic() + LONGEST_S
    kill_at = {int(CUTS * (k + 1) / (KILLS + 1)) for k in range(KILLS)}
    faults = 0
    while faults < CUTS:
        await anyio.sleep(random.uniform(0.05, 0.25))
        faults += 1
        if faults in kill_at:
            ends.kill(random.choice(("publisher", "subscriber")))
        kind = random.random()
        if kind < 0.6:
            proxy.cut()
        elif kind < 0.9:
            proxy.cut_after(random.randrange(1, 20_000))
        else:
            proxy.stall()
            await anyio.sleep(random.uniform(0.1, 0.6))
            proxy.cut()
            proxy.flow()
        assert time.monotonic() < deadline
    with anyio.fail_after(deadline - time.monotonic()):
        await until(done.exists)
    return faults


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110 - another process makes it so
        await anyio.sleep(0.2)


def numbers(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()] if path.exists() else []


@pytest.mark.parametrize("broker", ["mosquitto", "ours"])
@pytest.mark.parametrize("qos", [1, 2])
async def test_nothing_is_lost_and_qos_2_comes_once_and_in_order(
    broker, qos, tmp_path, anyio_backend_name, mosquitto_keeping_everything, capsys
):
    random = Random(qos)
    started = time.monotonic()
    async with (
        broker_of(broker, mosquitto_keeping_everything) as port,
        fault_proxy("127.0.0.1", port) as proxy,
    ):
        uri = f"mqtt://127.0.0.1:{proxy.address[1]}/"
        ends = Ends(tmp_path, uri, qos, anyio_backend_name)
        try:
            ends.start("subscriber")
            with anyio.fail_after(20):
                await until((tmp_path / "subscribed").exists)
            ends.start("publisher")
            faults = await misbehave(proxy, ends, random, tmp_path / "published")
            received = tmp_path / "received.txt"
            with anyio.fail_after(120):
                await until(lambda: len(set(numbers(received))) >= COUNT)
        finally:
            ends.stop()
    got = numbers(received)
    repeated = numbers(tmp_path / "repeated.txt")
    with capsys.disabled():
        sys.stdout.write(
            f"\n| {broker} | {anyio_backend_name} | {qos} | {COUNT:,} | {faults} "
            f"| {proxy.connections} | {ends.kills} | {COUNT - len(set(got))} "
            f"| {len(got) - len(set(got))} | {len(repeated)} "
            f"| {time.monotonic() - started:.0f} s |\n"
        )
    assert set(got) == set(range(COUNT))
    if qos == 2:
        assert len(got) == COUNT, "something came twice"
        assert got == sorted(got), "something came out of order"
