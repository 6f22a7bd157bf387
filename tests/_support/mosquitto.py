"""A real Mosquitto for the tests that need a broker which is not ours."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests._support.ports import free_port

DEFAULT_CONFIG = """\
allow_anonymous true
persistence false
set_tcp_nodelay true
log_type error
log_type warning
user root
"""
# Debian puts servers where an ordinary user's PATH does not look.
_SEARCH_PATH = os.pathsep.join(
    [os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]
)
_START_S = 10.0
_STOP_S = 5.0


def mosquitto_program(name: str = "mosquitto") -> str:
    """Find a program of Mosquitto, or fail the test that asked for it.

    `STRUCTIOT_MOSQUITTO` names another broker than the one that is installed.
    """
    wanted = os.environ.get("STRUCTIOT_MOSQUITTO") if name == "mosquitto" else None
    program = shutil.which(wanted or name, path=_SEARCH_PATH)
    if program is None:
        package = "mosquitto" if name == "mosquitto" else "mosquitto-clients"
        pytest.fail(
            f"{name} is needed by this test: apt-get install {package}", pytrace=False
        )
    return program


class Mosquitto:
    """One broker process on a loopback port of its own.

    All methods block for some milliseconds; in an async test that matters, call
    them by `anyio.to_thread.run_sync`. The port stays the same across restarts.
    """

    def __init__(self, folder: Path, config: str = DEFAULT_CONFIG) -> None:
        self.host = "127.0.0.1"
        self.port = free_port()
        self._config_file = folder / f"mosquitto-{self.port}.conf"
        self._log_file = folder / f"mosquitto-{self.port}.log"
        listener = f"listener {self.port} {self.host}\n"
        self._config_file.write_text(listener + config)
        # Those for websockets are opened last.
        self._ports = re.findall(
            r"^listener ([1-9]\d*)", listener + config, re.MULTILINE
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"mqtt://{self.host}:{self.port}/"

    @property
    def version(self) -> str:
        """Its version, such as `2.0.11`."""
        command = [mosquitto_program(), "-h"]
        said = subprocess.run(command, capture_output=True, text=True, check=False)
        found = re.search(r"version (\S+)", said.stdout + said.stderr)
        return found[1] if found else "of unknown version"

    @property
    def log(self) -> str:
        return self._log_file.read_text() if self._log_file.exists() else ""

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the broker; returns when it accepts connections."""
        if self.is_running:
            return
        command = [mosquitto_program(), "-c", str(self._config_file)]
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        give_up_at = time.monotonic() + _START_S
        while not self._accepts():
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                self.stop()
                pytest.fail(f"mosquitto does not start: {self.log}", pytrace=False)
            time.sleep(0.005)

    def stop(self) -> None:
        """End the broker; its clients lose their connections."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """End the broker as a crash does: nothing is saved, nobody told."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def send_signal(self, number: int) -> None:
        """Send a signal to the broker, which is running."""
        assert self._process is not None
        self._process.send_signal(number)

    def restart(self) -> None:
        self.stop()
        self.start()

    def _accepts(self) -> bool:
        try:
            for port in self._ports:
                socket.create_connection((self.host, int(port)), timeout=1).close()
        except OSError:
            return False
        return True
