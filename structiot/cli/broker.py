"""Which broker a demonstration runs on; the one place where that is decided."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import anyio
from anyio.abc import Process

from structiot.errors import ConnectFailed, StructiotError
from structiot.mqtt import open_mqttclient

__all__ = ["DemoBroker", "demo_broker"]

HOST = "127.0.0.1"
USUAL_PORT = 1883
USUAL_URI = f"mqtt://{HOST}:{USUAL_PORT}/"
# Debian puts servers where an ordinary user's PATH does not look.
_MORE_PATHS = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
_START_S = 10.0
_STOP_S = 3.0
_NO_BROKER = (
    f"no MQTT broker: none answers at {HOST}:{USUAL_PORT}, and the program mosquitto is not "
    "installed; apt-get install mosquitto (Debian, Ubuntu) or brew install mosquitto "
    "(macOS), or name a broker by --uri"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoBroker:
    """A broker to show things on.

    Attributes:
        uri: Its address; it may hold a password.
        origin: Where it comes from, for people.
    """

    uri: str
    origin: str

    @property
    def host(self) -> str:
        """Its host."""
        return urlsplit(self.uri).hostname or HOST

    @property
    def port(self) -> int:
        """Its port."""
        return urlsplit(self.uri).port or USUAL_PORT

    @property
    def options(self) -> str:
        """What Mosquitto's programs need to find it, with a blank behind."""
        host = "" if self.host in {HOST, "localhost"} else f"-h {self.host} "
        port = "" if self.port == USUAL_PORT else f"-p {self.port} "
        return host + port


@asynccontextmanager
async def demo_broker(uri: str | None) -> AsyncGenerator[DemoBroker]:
    """Choose a broker: the one named, else one that runs here, else one of our own.

    Raises:
        ConnectFailed: There is none, and no program to start one.
    """
    if uri is not None:
        yield DemoBroker(uri=uri, origin="as you named it")
        return
    if await _accepts(USUAL_URI):
        yield DemoBroker(uri=USUAL_URI, origin="which runs here already")
        return
    async with _private_mosquitto() as broker:
        yield broker


async def _accepts(uri: str) -> bool:
    settings = {"reconnect_retries": 0, "connect_s": 2.0}
    try:
        async with open_mqttclient(uri, config=settings):
            return True
    except StructiotError:
        return False


def _program() -> str | None:
    path = os.pathsep.join([os.environ.get("PATH", ""), *_MORE_PATHS])
    return shutil.which("mosquitto", path=path)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _write_settings(folder: str, port: int) -> Path:
    file = Path(folder) / "mosquitto.conf"
    file.write_text(
        f"listener {port} {HOST}\nallow_anonymous true\npersistence false\n"
        "log_type error\nlog_type warning\n",
        encoding="utf-8",
    )
    return file


@asynccontextmanager
async def _private_mosquitto() -> AsyncGenerator[DemoBroker]:
    run_sync = anyio.to_thread.run_sync
    program = await run_sync(_program)
    if program is None:
        raise ConnectFailed(_NO_BROKER, host=HOST, port=USUAL_PORT)
    port = await run_sync(_free_port)
    uri = f"mqtt://{HOST}:{port}/"
    with tempfile.TemporaryDirectory(prefix="structiot-") as folder:
        settings = await run_sync(_write_settings, folder, port)
        # In a session of its own: Ctrl-C is for us, who still need the broker then.
        process = await anyio.open_process(
            [program, "-c", str(settings)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            await _await_start(process, program, uri)
            yield DemoBroker(uri=uri, origin="a private Mosquitto")
        finally:
            await _stop(process)  # noqa: ASYNC102 - bounded, shielded


async def _await_start(process: Process, program: str, uri: str) -> None:
    with anyio.move_on_after(_START_S):
        while process.returncode is None:
            if await _accepts(uri):
                return
            await anyio.sleep(0.05)
    ended = f"it ended with status {process.returncode}"
    what = "it does not answer" if process.returncode is None else ended
    raise ConnectFailed(f"{program} was started, but {what}", host=HOST)


async def _stop(process: Process) -> None:
    with anyio.CancelScope(shield=True):
        if process.returncode is None:
            process.terminate()
            with anyio.move_on_after(_STOP_S):
                await process.wait()
        if process.returncode is None:
            process.kill()
        await process.aclose()
