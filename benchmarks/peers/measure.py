"""One measurement: the peer in one process, the client in another, two cores."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import selectors
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO

from peers.environments import ensure_certificate
from peers.libraries import Cell, Library
from peers.raw_peer import window_of

FOLDER = Path(__file__).resolve().parent
TOPIC = "bench/device/{}/power"
CALIBRATE_COUNT = 3_000
LEAST, MOST = 1_000, 3_000_000
# Of large messages a run has so many bytes at the least.
LEAST_BYTES = 1 << 26


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """One run of one cell; with a problem, the figures mean nothing."""

    count: int = 0
    rate: float = 0.0
    """Messages in a second of elapsed time."""
    busy: float = 0.0
    """The client's processor time in the elapsed time: well under 1, it waited."""
    peak_mb: float = 0.0
    base_mb: float = 0.0
    problem: str = ""

    @property
    def is_hopeless(self) -> bool:
        """Whether the client cannot do this at all, so that it need not try again."""
        return self.problem.startswith(("TypeError", "not installed"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bench:
    """How long a measurement takes, and on which cores its two processes run."""

    seconds: float
    limit_s: float = 45.0
    pin: bool = True

    def count_for(self, rate: float, payload: int) -> int:
        wanted = min(MOST, int(rate * self.seconds))
        return max(fewest(payload), wanted // 100 * 100)

    def calibrate(
        self, python: Path, library: Library, loop: str, cell: Cell
    ) -> Sample:
        """A short run, and one more when that was too short to tell."""
        few = min(CALIBRATE_COUNT, 3 * fewest(cell.payload))
        sample = self.once(python, library, loop, cell, few)
        if not sample.problem and sample.rate > few * 10:
            count = int(sample.rate * 0.2)
            sample = self.once(python, library, loop, cell, count)
        return sample

    def once(
        self, python: Path, library: Library, loop: str, cell: Cell, count: int
    ) -> Sample:
        window = 1000 if cell.mode == "receive" else library.window
        window = cell.window or min(window, window_of(cell.payload))
        job = [f"--mode={cell.mode}", f"--qos={cell.qos}", f"--count={count}"]
        job += [f"--window={window}", f"--topic={TOPIC}", f"--payload={cell.payload}"]
        job.append(f"--topics={cell.topics}")
        cpus = self.cpus()
        peer_command = [sys.executable, str(FOLDER / "raw_peer.py"), *job]
        peer_command.append(f"--cpu={cpus[1]}")
        client_command = [str(python), str(FOLDER / library.runner), *job]
        client_command += [f"--loop={loop}", f"--cpu={cpus[0]}"]
        client_command.append(f"--filters={cell.filters}")
        if cell.is_tls:
            certificate, cafile = ensure_certificate()
            peer_command.append(f"--certificate={certificate}")
            client_command.append(f"--cafile={cafile}")
        with tempfile.TemporaryFile("w+") as errors:
            peer = start(peer_command, subprocess.DEVNULL, errors)
            port = read_line(peer).get("port")
            client = start([*client_command, f"--port={port}"], subprocess.PIPE, errors)
            try:
                return self.join(client, peer, count, cell, errors)
            finally:
                for process in (client, peer):
                    process.kill()
                    process.wait()
                    close_pipes(process)

    def join(
        self,
        client: subprocess.Popen[str],
        peer: subprocess.Popen[str],
        count: int,
        cell: Cell,
        errors: IO[str],
    ) -> Sample:
        timer = Deadline(self.limit_s, client, peer)
        try:
            first = first_to_speak(client, peer)
            if first is peer and cell.name == "publish0":
                theirs = read_line(peer)
                tell(client)
                ours = read_line(client)
            else:
                ours = read_line(client)
                if not ours or ours["problem"]:
                    peer.kill()
                elif cell.mode == "receive":
                    client.kill()
                theirs = read_line(peer)
        finally:
            timer.cancel()
        problem = ours.get("problem", "") if ours else last_line(errors)
        if timer.passed:
            problem = f"not done after {self.limit_s:.0f} s"
        if not problem and (cell.mode == "publish" or not theirs):
            problem = theirs.get("problem", "") if theirs else "the peer failed"
        if problem:
            return Sample(count=count, problem=problem)
        begin = theirs["first_at"] if cell.mode == "receive" else ours["started_at"]
        end = theirs["last_at"] if cell.name == "publish0" else ours["stopped_at"]
        elapsed = end - begin
        return Sample(
            count=count,
            rate=count / elapsed,
            busy=ours["cpu_s"] / elapsed,
            peak_mb=ours["peak_rss_kb"] / 1024,
            base_mb=ours["base_rss_kb"] / 1024,
        )

    def cpus(self) -> tuple[int, int]:
        if not self.pin or not hasattr(os, "sched_getaffinity"):
            return -1, -1
        usable = sorted(os.sched_getaffinity(0))
        return (usable[0], usable[1]) if len(usable) > 1 else (-1, -1)


def fewest(payload: int) -> int:
    """How many messages of this size a run has at the least."""
    return min(LEAST, max(16, LEAST_BYTES // payload))


class Deadline:
    """Ends both processes when the measurement takes too long."""

    def __init__(self, seconds: float, *processes: subprocess.Popen[str]) -> None:
        self.passed = False
        self.processes = processes
        self.timer = threading.Timer(seconds, self.strike)
        self.timer.start()

    def strike(self) -> None:
        self.passed = True
        for process in self.processes:
            process.kill()

    def cancel(self) -> None:
        self.timer.cancel()


def start(command: list[str], stdin: int, stderr: IO[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, text=True
    )


def close_pipes(process: subprocess.Popen[str]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream:
            with contextlib.suppress(OSError):
                stream.close()


def first_to_speak(*processes: subprocess.Popen[str]) -> subprocess.Popen[str]:
    """The process that prints, or ends, before the others."""
    with selectors.DefaultSelector() as selector:
        for process in processes:
            assert process.stdout is not None
            selector.register(process.stdout, selectors.EVENT_READ, process)
        return selector.select()[0][0].data


def read_line(process: subprocess.Popen[str]) -> dict:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):
            return json.loads(line)
    return {}


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write("\n")
        process.stdin.flush()
    except OSError:  # it is gone; its report, if any, says why
        return


def last_line(errors: IO[str]) -> str:
    errors.seek(0)
    lines = [line.strip() for line in errors if line.strip()]
    return lines[-1] if lines else "ended without a word"
