"""What the tests with original packages share.

They need PyPI once, root or its equivalent for TCP 80, and some minutes, so they run
on request: `nox -s originals`, or `pytest tests/originals`.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from tests._support.environments import PythonEnvironment
from tests._support.sources import ROOT

DRIVER = Path(__file__).with_name("drive_maxsmart.py")
FOLDER = Path(
    os.environ.get("STRUCTIOT_ORIGINALS", ROOT / ".nox" / "original-packages")
)
V210, V204 = (
    PythonEnvironment(FOLDER / f"maxsmart-{version}", (f"maxsmart=={version}",))
    for version in ("2.1.0", "2.0.4")
)
MEROSS = PythonEnvironment(FOLDER / "meross-iot", ("meross-iot==0.4.10.4",))
MANAGER_005 = PythonEnvironment(FOLDER / "iot-manager-0.0.5", ("iot-manager==0.0.5",))
# Its own requirement of gevent is written so that nobody reads it.
MANAGER_035 = PythonEnvironment(
    FOLDER / "iot-manager-0.0.35", ("iot-manager==0.0.35", "gevent")
)
MANAGER_CLIENT = PythonEnvironment(
    FOLDER / "iot-manager-client-0.0.2", ("iot-manager-client==0.0.2",)
)
_MAX_ANSWER_BYTES = 1_000_000
_ANSWER_S = 70.0

WHEN_PORT_80_IS_REFUSED = """
The original package speaks to TCP port 80 and to no other, so the simulated strips must
be there; this process may not bind {address}: {reason}.
Do one of these:
  run as root, for instance in a container;
  sysctl net.ipv4.ip_unprivileged_port_start=80      (as root, once)
  unshare -r -n sh -c 'ip link set lo up && ip route add 255.255.255.255/32 dev lo && nox -s originals'
      (needs the environments to be there already: this network reaches nobody)
  stop what listens on port 80, if it is "in use".
On macOS also: ifconfig lo0 alias 127.0.0.2, and so on up to 127.0.0.20.
"""


def pytest_sessionstart(session: pytest.Session) -> None:
    """Install the packages before there is a test."""
    if not hasattr(session.config, "workerinput"):
        for one in (V210, V204, MEROSS, MANAGER_005, MANAGER_035, MANAGER_CLIENT):
            one.make()


@pytest.fixture(scope="session", autouse=True)
def network_stays_local() -> None:
    """Let the strips answer a broadcast, which comes from the machine's own address."""


@pytest.fixture(scope="session", autouse=True)
def port_80_can_be_bound() -> None:
    address = ("127.0.0.2", 80)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as exc:
            reason = exc.strerror
            pytest.exit(
                WHEN_PORT_80_IS_REFUSED.format(address="127.0.0.2:80", reason=reason), 1
            )


class Original:
    """The original package in a process of its own."""

    def __init__(self, process: anyio.abc.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin = process.stdin
        self._stdout = BufferedByteReceiveStream(process.stdout)
        self.seconds = 0.0

    async def answer_to(self, do: str, *args: Any, **arguments: Any) -> dict[str, Any]:
        request = {"do": do, "args": args, **arguments}
        await self._stdin.send(json.dumps(request).encode() + b"\n")
        with anyio.fail_after(_ANSWER_S):
            line = await self._stdout.receive_until(b"\n", _MAX_ANSWER_BYTES)
        answer: dict[str, Any] = json.loads(line)
        self.seconds = answer["seconds"]
        return answer

    async def close(self) -> None:
        """Let the process come to its end."""
        await self._stdin.aclose()

    async def do(self, do: str, *args: Any, **arguments: Any) -> Any:
        """Do it and give the result; an error is a failure of the test."""
        answer = await self.answer_to(do, *args, **arguments)
        assert "error" not in answer, answer
        return answer["result"]

    async def call(self, method: str, *args: Any) -> Any:
        return await self.do("call", method, *args)

    async def error_of(self, do: str, *args: Any, **arguments: Any) -> tuple[str, str]:
        """Do it and give the class and text of the error that it ends with."""
        answer = await self.answer_to(do, *args, **arguments)
        assert "error" in answer, answer
        return answer["error"], answer["text"]

    async def start(self, ip: str, /, **arguments: Any) -> None:
        """Make and initialise a device."""
        await self.do("new", ip, **arguments)
        await self.call("initialize_device")


@asynccontextmanager
async def original(package: PythonEnvironment) -> AsyncIterator[Original]:
    """Run the driver with one version of the package for the length of the block."""
    (requirement,) = package.requirements
    command = [str(package.python), str(DRIVER)]
    async with await anyio.open_process(command, stderr=sys.stderr) as process:
        driven = Original(process)
        assert await driven.do("version") == requirement.partition("==")[2]
        try:
            yield driven
        finally:
            with anyio.CancelScope(shield=True):
                await driven.close()
                with anyio.move_on_after(5):
                    await process.wait()


@pytest.fixture
async def v210(anyio_backend: object) -> AsyncIterator[Original]:
    async with original(V210) as driven:
        yield driven


@pytest.fixture
async def v204(anyio_backend: object) -> AsyncIterator[Original]:
    async with original(V204) as driven:
        yield driven
