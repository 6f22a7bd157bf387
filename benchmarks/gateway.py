"""What a whole gateway costs: devices, MQTT, history and pages at once.

300 devices dial in and tell 1,000 readings a second; `structiot run` serves them on a
broker in another process, writes the history and has ten browsers' event streams open.
Each reading is the time at which it was told, so whoever gets it knows how old it is.

    python benchmarks/gateway.py                  # a minute
    python benchmarks/gateway.py --seconds 600
    python benchmarks/gateway.py --embedded       # the broker in the gateway's process
    python benchmarks/gateway.py --profile FILE   # of the gateway, for pstats

Devices, subscriber and browsers share a process of their own: what it cannot keep up
with counts as delay of the gateway. A state that is overtaken by the next before it is
told need not be told (the latest value wins); the history has all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack, closing
from pathlib import Path

import anyio
from anyio.abc import SocketStream

from structiot.mqtt import open_mqttclient
from structiot.sim import sim_devices
from structiot.sim.manager.fleet import DialInFleet

FIRST_PORT = 18_600
START_S, SETTLE_S, END_S = 120.0, 5.0, 30.0
TOLD = re.compile(rb'"manager_([0-9a-f_]+)/stamp":\{"value":([0-9.]+)')
CONFIG = """
[gateway]
state_file = "state.json"
{broker}
[dashboard]
listen = ["http://127.0.0.1:{page}"]
[history]
path = "history.sqlite"
[manager]
port = {dial_in}
dialect = "structiot"
[[manager.types.probe.sensors]]
name = "Stamp"
member = "stamp"
unit = "us"
state_class = "measurement"
"""


def now_us() -> int:
    return time.monotonic_ns() // 1000


class Ages:
    """How old values were when they came, and which was the last of each device."""

    def __init__(self) -> None:
        self.ages_us: list[int] = []
        self.latest: dict[str, int] = {}
        self.begins_us = sys.maxsize

    def take(self, device: str, stamp: int) -> None:
        if stamp > self.latest.get(device, 0):
            self.latest[device] = stamp
            if stamp >= self.begins_us:
                self.ages_us.append(now_us() - stamp)

    def quantile_ms(self, share: float) -> float:
        ages = sorted(self.ages_us)
        return ages[min(len(ages) - 1, int(share * len(ages)))] / 1000 if ages else -1.0


class Process:
    """A process under measurement."""

    def __init__(self, command: list[str], folder: Path) -> None:
        # Whatever it says is read only if it ends too early.
        self.log = (folder / f"{len(list(folder.iterdir()))}.log").open("w+b")
        self.process = subprocess.Popen(
            [sys.executable, *command], cwd=folder, stderr=self.log, stdout=self.log
        )

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2]
        user, system = fields.split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self, what: str) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition(f"{what}:")[2].split(maxsplit=1)[0]) / 1024

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


async def until_listening(port: int) -> None:
    with anyio.fail_after(START_S):
        while True:
            try:
                await (await anyio.connect_tcp("127.0.0.1", port)).aclose()
            except OSError:
                await anyio.sleep(0.1)
            else:
                return


async def watch_broker(uri: str, ages: Ages) -> None:
    async with (
        open_mqttclient(uri) as client,
        client.subscription("structiot/+/stamp/state") as messages,
    ):
        async for message in messages:
            device = message.topic.split("/")[1].removeprefix("manager_")
            ages.take(device, int(float(message.payload)))


async def browse(port: int, ages: Ages) -> None:
    """Be a browser: read the event stream, piece by piece of its chunked coding."""
    stream: SocketStream = await anyio.connect_tcp("127.0.0.1", port)
    async with stream:
        host = f"127.0.0.1:{port}"
        await stream.send(f"GET /events HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        text, rest = b"", b""
        while True:
            rest += await stream.receive()
            while b"\r\n" in rest:
                head, _, after = rest.partition(b"\r\n")
                try:
                    size = int(head, 16)
                except ValueError:
                    rest = after  # a line of the head
                    continue
                if len(after) < size + 2:
                    break
                text += after[:size]
                rest = after[size + 2 :]
            *whole, text = text.split(b"\n\n")
            for event in whole:
                for device, stamp in TOLD.findall(event):
                    ages.take(device.decode(), int(float(stamp)))


async def tell(fleet: DialInFleet, a_second: float, until: float) -> Counter[str]:
    """Have one device after the other tell the time; give how often each did."""
    sent: Counter[str] = Counter()
    began = time.monotonic()
    number = 0
    while time.monotonic() < until:
        while number < (time.monotonic() - began) * a_second:
            device = fleet[number % len(fleet)]
            device.state["stamp"] = stamp = now_us()
            await device.send(json.dumps({"stamp": stamp}))
            sent[device.uuid.replace("-", "_")] += 1
            number += 1
        await anyio.sleep(0.002)
    return sent


def readings_kept(file: Path) -> Counter[str]:
    """Give how many different readings the history has of each device."""
    with closing(sqlite3.connect(file)) as history:
        query = (
            "SELECT device, count(DISTINCT value) FROM figures JOIN series ON "
            "series.number = series WHERE entity = 'stamp' AND value > 0 GROUP BY device"
        )
        return Counter({d.replace("-", "_"): n for d, n in history.execute(query)})


async def measure(args: argparse.Namespace, folder: Path) -> dict[str, object]:
    broker_port, page, dial_in = (args.port + n for n in range(3))
    uri = f"mqtt://127.0.0.1:{broker_port}"
    section = (
        f'[broker]\nlisten = ["{uri}"]' if args.embedded else f'[mqtt]\nuri = "{uri}"'
    )
    text = CONFIG.format(broker=section, page=page, dial_in=dial_in)
    (folder / "structiot.toml").write_text(text)
    async with AsyncExitStack() as stack:
        if not args.embedded:
            options = ["-m", "structiot", "mqtt", "broker", f"--port={broker_port}"]
            stack.callback(Process(options, folder).end)
            await until_listening(broker_port)
        options = ["-m", "structiot", "run", f"--backend={args.loop}"]
        if args.profile:
            options = ["-m", "cProfile", "-o", str(args.profile.resolve()), *options]
        gateway = Process(options, folder)
        stack.callback(gateway.end)
        await until_listening(page)
        fleet = await stack.enter_async_context(
            sim_devices(args.devices, type="probe", port=dial_in, dialect="structiot")
        )
        tasks = await stack.enter_async_context(anyio.create_task_group())
        stack.callback(tasks.cancel_scope.cancel)
        at_broker, at_page = Ages(), [Ages() for _ in range(args.browsers)]
        await until_dialled_in(fleet)
        tasks.start_soon(watch_broker, uri, at_broker)
        for one in at_page:
            tasks.start_soon(browse, page, one)
        warm = await tell(fleet, args.readings, time.monotonic() + args.warm_up)
        for one in (at_broker, *at_page):
            one.begins_us = now_us()
        cpu_s, began = gateway.cpu_s(), time.monotonic()
        own_s, rss_mb = time.process_time(), gateway.memory_mb("VmRSS")
        sent = await tell(fleet, args.readings, began + args.seconds)
        took_s = time.monotonic() - began
        result = {
            "took_s": took_s,
            "sent": sent.total(),
            "cpu": (gateway.cpu_s() - cpu_s) / took_s,
            "own_cpu": (time.process_time() - own_s) / took_s,
            "rss_mb": (rss_mb, gateway.memory_mb("VmRSS")),
            "peak_mb": gateway.memory_mb("VmHWM"),
        }
        await anyio.sleep(SETTLE_S)
        last = {d.uuid.replace("-", "_"): d.state["stamp"] for d in fleet}
        result["wrong"] = [
            sum(one.latest.get(device) != stamp for device, stamp in last.items())
            for one in (at_broker, *at_page)
        ]
        result["told"] = len(at_broker.ages_us)
        result["page_told"] = len(at_page[0].ages_us) if at_page else 0
        for name, one in (("broker", at_broker), *(("page", p) for p in at_page[:1])):
            for share in (0.5, 0.99, 1.0):
                result[f"{name}_p{100 * share:g}_ms"] = one.quantile_ms(share)
        tasks.cancel_scope.cancel()
    kept = readings_kept(folder / "history.sqlite")
    result["not_kept"] = (warm + sent - kept).total()
    return result


async def until_dialled_in(fleet: DialInFleet) -> None:
    with anyio.fail_after(START_S):
        while not all(device.is_connected for device in fleet):  # noqa: ASYNC110
            await anyio.sleep(0.1)


def show(args: argparse.Namespace, result: dict[str, object]) -> None:
    print(f"{args.devices} devices, {args.browsers} browsers, {result['took_s']:.0f} s")
    print(f"readings told by devices     {result['sent']:,}")
    print(f"states on the broker         {result['told']:,}")
    print(f"states at a browser          {result['page_told']:,}")
    print(f"readings not in the history  {result['not_kept']:,}")
    print(f"wrong last states            {sum(result['wrong'])}")
    for name in ("broker", "page"):
        p50, p99, most = (result.get(f"{name}_p{n}_ms", -1) for n in (50, 99, 100))
        print(f"to {name:6} p50 {p50:,.1f} ms, p99 {p99:,.1f} ms, most {most:,.1f} ms")
    first, last = result["rss_mb"]
    print(f"CPU of the gateway           {100 * result['cpu']:.0f} % of a core")
    print(f"CPU of devices and watchers  {100 * result['own_cpu']:.0f} % of a core")
    print(f"memory                       {first:.0f} MB, then {last:.0f} MB", end="")
    print(f", at most {result['peak_mb']:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--devices", type=int, default=300)
    parser.add_argument("--readings", type=float, default=1000, help="a second, of all")
    parser.add_argument("--browsers", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--warm-up", type=float, default=5)
    parser.add_argument("--loop", default="asyncio", help="asyncio, uvloop or trio")
    parser.add_argument("--embedded", action="store_true")
    parser.add_argument("--port", type=int, default=FIRST_PORT, help="and the next two")
    parser.add_argument("--profile", type=Path, metavar="FILE")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = anyio.run(measure, args, Path(folder))
    show(args, result)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1), encoding="utf-8")
    if result["not_kept"] or sum(result["wrong"]):
        raise SystemExit("something was lost")


if __name__ == "__main__":
    main()
