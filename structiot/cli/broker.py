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

import anyio
from anyio.abc import Process

from structiot.errors import ConnectFailed, StructiotError
from structiot.mqtt import open_mqttclient

__all__ = ["DemoBroker", "demo_broker"]

HOST = "127.0.0.1"
USUAL_URI = f"mqtt://{HOST}:1883/"
# Debian puts servers where an ordinary user's PATH does not look.
_MORE_PATHS = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
_START_S = 10.0
_STOP_S = 3.0
_NO_BROKER = (
    f"no MQTT broker: none answers at {HOST}:1883, and the program mosquitto is not "
    "installed; apt-get install mosquitto (Debian, Ubuntu) or brew install mosquitto "
    "(macOS), or name a broker by --uri"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoBroker:
    """A broker to show things on.

    Attributes:
        uri: Its address.
        port: Its port; None where the user named the broker.
        origin: Where it comes from, for people.
    """

    uri: str
    port: int | None
    origin: str


@asynccontextmanager
async def demo_broker(uri: str | None) -> AsyncGenerator[DemoBroker]:
    """Choose a broker: the one named, else one that runs here, else one of our own.

    Raises:
        ConnectFailed: There is none, and no program to start one.
    """
    if uri is not None:
        yield DemoBroker(uri=uri, port=None, origin="as you named it")
        return
    if await _accepts(USUAL_URI):
        yield DemoBroker(uri=USUAL_URI, port=1883, origin="which runs here already")
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
        raise ConnectFailed(_NO_BROKER, host=HOST, port=1883)
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
            yield DemoBroker(uri=uri, port=port, origin="a private Mosquitto")
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
