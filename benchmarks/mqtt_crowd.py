"""What a thousand idle MQTT clients of structiot cost in one process.

    python benchmarks/mqtt_crowd.py --clients 1000 --loop trio

Run it where structiot is installed; its broker gets a process beside it. Each client is
connected and has one subscription. Linux only: the memory is read from /proc.
"""

from __future__ import annotations

import argparse
import gc
import resource
import sys
import time
from pathlib import Path

import anyio
from brokers.programs import BROKERS, OURS
from brokers.running import Broker

from structiot.mqtt import open_mqttclient

AT_ONCE = 50


def memory_kb() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split(maxsplit=1)[0])


class SlowConsumers:
    """Clients that do nothing but stay."""

    def __init__(self, port: int) -> None:
        self.uri = f"mqtt://127.0.0.1:{port}"
        self.room = anyio.Semaphore(AT_ONCE)
        self.connected = 0
        self.wanted = 0
        self.all_there = anyio.Event()

    async def one(self) -> None:
        await self.room.acquire()
        async with (
            open_mqttclient(self.uri, config={"protocol": "3.1.1"}) as client,
            client.subscription("bench/crowd"),
        ):
            self.room.release()
            self.connected += 1
            if self.connected == self.wanted:
                self.all_there.set()
            await anyio.sleep_forever()

    async def grow(self, tasks: anyio.abc.TaskGroup, wanted: int) -> None:
        self.wanted, self.all_there = wanted, anyio.Event()
        for _ in range(wanted - self.connected):
            tasks.start_soon(self.one)
        await self.all_there.wait()


async def measure(port: int, clients: int, idle_s: float) -> list[float]:
    """Give kB and ms for each client, and how busy all of them are while idle."""
    crowd = SlowConsumers(port)
    async with anyio.create_task_group() as tasks:
        await crowd.grow(tasks, 1)
        gc.collect()
        before_kb, began_s = memory_kb(), time.process_time()
        await crowd.grow(tasks, clients + 1)
        connected_s = time.process_time()
        gc.collect()
        each_kb = (memory_kb() - before_kb) / clients
        idle_from_s = time.process_time()
        await anyio.sleep(idle_s)
        busy = (time.process_time() - idle_from_s) / idle_s
        tasks.cancel_scope.cancel()
    return [each_kb, (connected_s - began_s) / clients * 1000, busy * 100]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--loop", choices=("asyncio", "trio"), default="asyncio")
    parser.add_argument("--idle", type=float, default=5.0, metavar="SECONDS")
    args = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    ours = next(library for library in BROKERS if library.name == OURS)
    broker = Broker(Path(sys.executable), ours, "asyncio", -1)
    try:
        each_kb, connect_ms, busy = anyio.run(
            measure, broker.port, args.clients, args.idle, backend=args.loop
        )
    finally:
        broker.end()
    print(
        f"{args.clients} clients on {args.loop}: {each_kb:.0f} kB and "
        f"{connect_ms:.1f} ms of processor time to connect each; "
        f"all together {busy:.1f} % of a core while idle"
    )


if __name__ == "__main__":
    main()
