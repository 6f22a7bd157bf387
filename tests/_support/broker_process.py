"""Our broker as a program of its own: to be killed, and to be measured."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests._support.interpreter import PYTHON
from tests._support.ports import free_port

_STOP_S = 5.0


class BrokerProcess:
    """`structiot mqtt broker` on a free port of loopback."""

    def __init__(
        self, *options: str, backend: str = "asyncio", port: int | None = None
    ) -> None:
        self.options = options
        self.backend = backend
        self.host = "127.0.0.1"
        self.port = free_port() if port is None else port
        self.uris: list[str] = []
        self._process: subprocess.Popen[str] | None = None

    @property
    def uri(self) -> str:
        return f"mqtt://{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it; the port stays the same at the next start."""
        command = program(
            "mqtt",
            "broker",
            *self.options,
            "--json",
            f"--port={self.port}",
            f"--backend={self.backend}",
        )
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self.stop()
        self.uris = json.loads(line)["uris"]
        self.port = int(self.uris[-1].rpartition(":")[2])

    def kill(self) -> None:
        """End it without a word."""
        if self._process is not None:
            self._process.kill()
            self.stop()

    def stop(self) -> str:
        """End it in good order; give what it has said to the log."""
        if self._process is None:
            return ""
        process, self._process = self._process, None
        process.send_signal(signal.SIGTERM)
        try:
            _, errors = process.communicate(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            _, errors = process.communicate()
        return errors

    def memory_bytes(self) -> int:
        """What it has in memory."""
        status = Path(f"/proc/{self.pid}/status").read_text("ascii")
        return int(status.partition("VmRSS:")[2].split(maxsplit=1)[0]) * 1024


def program(*arguments: str) -> Sequence[str]:
    """Give the command line of our program."""
    return [*PYTHON, "-m", "structiot", *arguments]
