"""One measurement: a broker in one process, the load in another, two cores."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from peers.environments import ensure_certificate
from peers.libraries import Library

from brokers.programs import Cell

FOLDER = Path(__file__).resolve().parent
START_S = 20.0
LIMIT_S = 45.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """One run of one cell; with a problem, the figures mean nothing."""

    rate: float = 0.0
    """Messages that subscribers got in a second; idle: connections made in one."""
    busy: float = 0.0
    """Processor time of the broker in the elapsed time."""
    memory_kb: float = 0.0
    """Idle connections: what each costs. Else the broker's peak."""
    problem: str = ""


class Server:
    """A process under measurement, whose first line of output says its port.

    Args:
        command: What runs it; its standard input is a pipe.
        environ: Its environment; None is that of this process.
    """

    def __init__(
        self, command: list[str], environ: dict[str, str] | None = None
    ) -> None:
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environ,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.port = json.loads(line)["port"] if line else 0

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()

    def memory_kb(self, field: str) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(status.partition(field + ":")[2].split(maxsplit=1)[0])

    def cpu_s(self) -> float:
        # `stat` counts in hundredths of a second, too coarse for a short cell.
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text("ascii").split()[0]) for task in tasks) / 1e9


class Broker(Server):
    """A broker process under measurement."""

    def __init__(
        self, python: Path, library: Library, loop: str, cpu: int, *, tls: bool = False
    ) -> None:
        command = [str(python), str(FOLDER / library.runner), loop, str(cpu)]
        certificate, cafile = ensure_certificate() if tls else ("", "")
        super().__init__([*command, str(certificate)])
        self.cafile = str(cafile)


class Bench:
    """Runs brokers under load."""

    def __init__(self, *, pin: bool) -> None:
        usable = sorted(os.sched_getaffinity(0))
        self.cpus = (usable[0], usable[1]) if pin and len(usable) > 1 else (-1, -1)

    def run(self, python: Path, row: tuple[Library, str, Cell], count: int) -> Sample:
        library, loop, cell = row
        broker = Broker(python, library, loop, self.cpus[0], tls=cell.tls)
        try:
            if not broker.port or not self.answers(broker):
                return Sample(problem="does not start")
            time.sleep(0.3)
            if cell.idle:
                return self.idle(broker, cell)
            return self.throughput(broker, cell, count)
        finally:
            broker.end()

    def answers(self, broker: Broker) -> bool:
        give_up_at = time.monotonic() + START_S
        while time.monotonic() < give_up_at and broker.process.poll() is None:
            done = self.load(broker, "--count=1", "--window=1")
            if not json.loads(done.stdout.splitlines()[-1])["problem"]:
                return True
            time.sleep(0.1)
        return False

    def command(self, broker: Broker, *arguments: str) -> list[str]:
        return [
            sys.executable,
            str(FOLDER / "load.py"),
            f"--port={broker.port}",
            f"--cpu={self.cpus[1]}",
            f"--cafile={broker.cafile}",
            *arguments,
        ]

    def load(self, broker: Broker, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = self.command(broker, *arguments)
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=LIMIT_S
        )

    def throughput(self, broker: Broker, cell: Cell, count: int) -> Sample:
        arguments = self.command(broker, *cell.arguments, f"--count={count}", "--wait")
        process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        # What it costs to connect and to subscribe is not in it.
        facts = json.loads(process.stdout.readline())
        before = broker.cpu_s()
        try:
            out, _ = process.communicate("\n", timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return Sample(problem=f"not done after {LIMIT_S:.0f} s")
        if "ready" in facts:
            facts = json.loads(out.splitlines()[-1])
        if facts["problem"]:
            return Sample(problem=facts["problem"])
        return Sample(
            rate=facts["delivered"] / facts["seconds"],
            busy=(broker.cpu_s() - before) / facts["seconds"],
            memory_kb=broker.memory_kb("VmHWM"),
        )

    def idle(self, broker: Broker, cell: Cell) -> Sample:
        before = broker.memory_kb("VmRSS")
        process = subprocess.Popen(
            self.command(broker, *cell.arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        if "connected" not in line:
            process.communicate()
            return Sample(problem=json.loads(line)["problem"] if line else "failed")
        time.sleep(0.5)
        memory_kb = (broker.memory_kb("VmRSS") - before) / cell.idle
        try:
            out, _ = process.communicate("\n", timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return Sample(problem="the connections do not answer")
        facts = json.loads(out.splitlines()[-1])
        if facts["problem"]:
            return Sample(problem=facts["problem"])
        return Sample(rate=cell.idle / facts["seconds"], memory_kb=memory_kb)
