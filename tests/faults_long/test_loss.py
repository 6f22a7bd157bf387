"""100,000 messages over 200 broken connections, with both ends killed on the way.

Not part of the default suite: `nox -s faults` runs it and prints the table that stands
in the docs. Words after `--` go to pytest; `STRUCTIOT_LOSS=10000,20` makes it shorter,
and `STRUCTIOT_MOSQUITTO` names another Mosquitto than the one that is installed.
"""

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
from tests.faults_long.mosquitto_log import flows_to, unexplained

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
async def our_broker() -> AsyncGenerator[int]:
    async with open_broker("mqtt://127.0.0.1:0") as broker:
        yield int(broker.uri.rpartition(":")[2])


async def break_connections(proxy: FaultProxy, random: Random) -> None:
    """Cut, cut in the middle of a packet, swallow and cut, or be away for a while."""
    kind = random.random()
    pause_s = random.uniform(0.1, 0.6)
    if kind < 0.55:
        proxy.cut()
    elif kind < 0.8:
        proxy.cut_after(random.randrange(1, 20_000))
        await anyio.sleep(0.05)
    elif kind < 0.9:
        proxy.stall()
        await anyio.sleep(pause_s)
        proxy.cut()
        proxy.flow()
    else:
        proxy.is_refusing = True
        proxy.cut()
        await anyio.sleep(pause_s)
        proxy.is_refusing = False


async def misbehave(
    proxy: FaultProxy, ends: Ends, random: Random, folder: Path, pace: str
) -> None:
    """Break connections and kill processes, spread over the first four fifths or not."""
    kill_at = [CUTS * (k + 1) // (KILLS + 1) for k in range(KILLS)]
    accepted = folder / "accepted.txt"
    while proxy.cuts < CUTS:
        if pace == "spread":
            await until(
                lambda: last_number(accepted) >= COUNT * 4 // 5 * proxy.cuts // CUTS
            )
        await anyio.sleep(random.uniform(0, 0.1 if pace == "spread" else 0.3))
        if kill_at and proxy.cuts >= kill_at[0]:
            del kill_at[0]
            ends.kill(random.choice(("publisher", "subscriber")))
        await break_connections(proxy, random)
    assert last_number(accepted) < COUNT - 1, "nothing was left to be sent"


async def until(is_so: Callable[[], bool], look_every_s: float = 0.02) -> None:
    while not is_so():  # noqa: ASYNC110 - another process makes it so
        await anyio.sleep(look_every_s)


def last_number(path: Path) -> int:
    """The number in the last whole line of a file."""
    if not path.exists():
        return 0
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 64))
        lines = file.read().split(b"\n")
    return int(lines[-2]) if len(lines) > 2 else 0


def noted(path: Path) -> list[tuple[int, ...]]:
    """The numbers in a file, each with its packet identifier if that was noted."""
    if not path.exists():
        return []
    # A line that is being written counts at the next look.
    lines = path.read_text().split("\n")[:-1]
    return [tuple(map(int, line.split())) for line in lines]


async def run(
    port: int, folder: Path, qos: int, backend: str, pace: str = "spread"
) -> tuple[list[tuple[int, ...]], str]:
    """Send all messages through the broker at this port while everything breaks.

    Returns:
        What was received, and the row of the table that says so.
    """
    started = time.monotonic()
    async with fault_proxy("127.0.0.1", port) as proxy:
        ends = Ends(folder, f"mqtt://127.0.0.1:{proxy.address[1]}/", qos, backend)
        try:
            ends.start("subscriber")
            with anyio.fail_after(20):
                await until((folder / "subscribed").exists)
            ends.start("publisher")
            received = folder / "received.txt"
            with anyio.fail_after(LONGEST_S):
                await misbehave(proxy, ends, Random(qos), folder, pace)
                await until((folder / "published").exists)
                await until(lambda: len({n for n, *_ in noted(received)}) >= COUNT, 0.5)
        finally:
            ends.stop()
    got = noted(received)
    distinct = len({number for number, *_ in got})
    row = (
        f"{backend} | {qos} | {COUNT:,} | {proxy.cuts} | {ends.kills} "
        f"| {COUNT - distinct} | {len(got) - distinct} "
        f"| {len(noted(folder / 'repeated.txt'))} | {time.monotonic() - started:.0f} s"
    )
    return got, row


def show(capsys: pytest.CaptureFixture[str], broker: str, row: str) -> None:
    with capsys.disabled():
        sys.stdout.write(f"\n| {broker} | {row} |\n")


@pytest.mark.parametrize("qos", [1, 2])
async def test_our_broker_loses_nothing_and_qos_2_comes_once_and_in_order(
    qos, tmp_path, anyio_backend_name, capsys
):
    async with our_broker() as port:
        got, row = await run(port, tmp_path, qos, anyio_backend_name)
    show(capsys, "ours | spread", row)
    numbers = [number for number, *_ in got]
    assert set(numbers) == set(range(COUNT))
    if qos == 2:
        assert numbers == list(range(COUNT)), "something came twice or out of order"


async def test_mosquitto_loses_nothing_at_qos_1(
    keeping_mosquitto, tmp_path, anyio_backend_name, capsys
):
    got, row = await run(keeping_mosquitto.port, tmp_path, 1, anyio_backend_name)
    show(capsys, f"Mosquitto {keeping_mosquitto.version} | spread", row)
    assert {number for number, *_ in got} == set(range(COUNT))


@pytest.mark.parametrize("pace", ["spread", "bunched"])
async def test_mosquitto_delivers_qos_2_once_unless_its_own_log_shows_that_it_repeats(
    keeping_mosquitto, tmp_path, pace, anyio_backend_name, capsys
):
    got, row = await run(keeping_mosquitto.port, tmp_path, 2, anyio_backend_name, pace)
    show(capsys, f"Mosquitto {keeping_mosquitto.version} | {pace}", row)
    firsts = list(dict.fromkeys(number for number, *_ in got))
    assert firsts == list(range(COUNT)), "something was lost or came out of order"
    flows = flows_to("loss-subscriber", keeping_mosquitto.log.splitlines())
    assert unexplained([(n, i) for n, i in got], flows) == []
