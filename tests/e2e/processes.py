"""The programs that a user runs: ours by its command line, and Mosquitto's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream

from structiot._kit.flow.tasks import service_group
from tests._support.interpreter import PYTHON
from tests._support.mosquitto import mosquitto_program

PROGRAM = [*PYTHON, "-m", "structiot"]

# For what has no time of its own to keep: a busy machine takes seconds to start Python.
PATIENCE_S = 30.0


class Running:
    """A program and the lines it has written so far."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._changed = anyio.Event()

    async def read(self, stream: Any, lines: list[str]) -> None:
        rest = ""
        async for text in TextReceiveStream(stream):
            *whole, rest = (rest + text).split("\n")
            lines += whole
            self._changed.set()
            self._changed = anyio.Event()

    async def until(
        self, condition: Callable[[], Any], *, within_s: float = PATIENCE_S
    ) -> Any:
        """Wait until what was written fulfils a condition; give what it gives."""
        try:
            with anyio.fail_after(within_s):
                while not (found := condition()):
                    await self._changed.wait()
        except TimeoutError:
            shown = "\n".join(self.lines[-20:] + self.errors[-20:])
            raise AssertionError(
                f"not within {within_s:g} s; written:\n{shown}"
            ) from None
        return found

    async def until_line(self, line: str, *, within_s: float = PATIENCE_S) -> None:
        """Wait for a line after the last `forget`."""
        await self.until(lambda: line in self.lines, within_s=within_s)

    async def until_begin(self, start: str, *, within_s: float = PATIENCE_S) -> None:
        """Wait for a line that begins so, after the last `forget`."""
        await self.until(
            lambda: [line for line in self.lines if line.startswith(start)],
            within_s=within_s,
        )

    def forget(self) -> None:
        """Look only at what is written from now on."""
        self.lines.clear()

    async def type(self, line: str) -> None:
        """Give it a line, where it was started with a pipe."""
        assert self.process.stdin is not None
        await self.process.stdin.send(f"{line}\n".encode())

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self, *, within_s: float = PATIENCE_S) -> int:
        """Wait for the end and give the status."""
        with anyio.fail_after(within_s):
            return await self.process.wait()


@asynccontextmanager
async def running(
    *command: str, stdin: int = subprocess.DEVNULL
) -> AsyncIterator[Running]:
    """Run a program for the length of the block; it is killed at the end."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
    process = await anyio.open_process(command, stdin=stdin, env=environment)
    try:
        async with service_group() as tg:
            program = Running(process)
            tg.start_soon(program.read, process.stdout, program.lines)
            tg.start_soon(program.read, process.stderr, program.errors)
            yield program
    finally:
        with anyio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()
            await process.aclose()


def structiot(*arguments: str) -> tuple[str, ...]:
    return (*PROGRAM, *arguments)


def mosquitto_sub(port: int, *filters: str) -> tuple[str, ...]:
    topics = [word for name in filters for word in ("-t", name)]
    return (mosquitto_program("mosquitto_sub"), "-p", str(port), "-v", *topics)


async def mosquitto_pub(port: int, topic: str, payload: str) -> None:
    program = mosquitto_program("mosquitto_pub")
    await anyio.run_process([program, "-p", str(port), "-t", topic, "-m", payload])


def told_on(lines: list[str], topic: str) -> Any:
    """Find what was told on a topic last, as JSON."""
    for line in reversed(lines):
        if line.startswith(f"{topic} {{"):
            return json.loads(line.partition(" ")[2])
    return None


def announced(lines: list[str], device: str) -> Any:
    """Find the announcement that points to a device's topics."""
    topics = {line.partition(" ")[0] for line in lines if "/config {" in line}
    for topic in topics:
        one = told_on(lines, topic)
        if one["availability"][1]["topic"] == f"structiot/{device}/availability":
            return one
    return None
