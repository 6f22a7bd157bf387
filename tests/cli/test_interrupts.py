"""Ctrl-C ends whatever a command waits for, with the status that shells give for it."""

from __future__ import annotations

import fcntl
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests._support.broker_process import BrokerProcess, program
from tests._support.terminal import terminal

pytestmark = [
    pytest.mark.e2e,
    # The programs start several times slower on a busy machine.
    pytest.mark.timeout(120),
    pytest.mark.parametrize("backend", ["asyncio", "trio"]),
]

INTERRUPTED = 130
_PATIENCE_S = 50.0


@pytest.fixture(scope="module")
def broker() -> Iterator[BrokerProcess]:
    process = BrokerProcess("--sys-interval=0")
    process.start()
    yield process
    process.stop()


def started(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        program(*arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def interrupted(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGINT)
    # What is behind a pipe goes on: a program that ends only with its input is found.
    status = process.wait(_PATIENCE_S)
    assert process.stderr is not None
    said = process.stderr.read().decode()
    process.communicate()
    assert "Traceback" not in said
    assert "Fatal" not in said
    return status


@pytest.mark.parametrize(
    "command",
    [
        "mqtt pub -p{port} -ta -l",
        "mqtt pub -p{port} -ta -s",
        "manager send --uri mqtt://127.0.0.1:{port} --all",
    ],
)
def test_waiting_for_standard_input(broker: BrokerProcess, command: str, backend: str):
    words = command.format(port=broker.port).split()
    process = started(*words, "--backend", backend)
    assert process.stdin is not None
    process.stdin.write(b"begun")
    process.stdin.flush()
    give_up_at = time.monotonic() + _PATIENCE_S
    # It waits for more when it has taken this.
    while struct.unpack("i", fcntl.ioctl(process.stdin, termios.FIONREAD, b"0000"))[0]:
        assert process.poll() is None
        assert time.monotonic() < give_up_at
        time.sleep(0.01)
    assert interrupted(process) == INTERRUPTED


@pytest.mark.parametrize(
    "command",
    [
        "pub -ta -mx --repeat 9 --repeat-delay 9",
        "request -ta -mx",
        "ping --interval 9",
    ],
)
def test_waiting_for_a_broker(broker: BrokerProcess, command: str, backend: str):
    where = [f"-p{broker.port}", "-d", "--backend", backend]
    process = started("mqtt", *command.split(), *where)
    assert process.stderr is not None
    while b"connected to" not in (line := process.stderr.readline()):
        assert line
    assert interrupted(process) == INTERRUPTED


def test_waiting_for_a_password(tmp_path: Path, backend: str):
    store = str(tmp_path / "token")
    sign_in = ("meross", "login", "--email", "a@b.example", "--store", store)
    with terminal(*sign_in, "--backend", backend) as screen:
        screen.wait_for("Password")
        assert screen.end(signal.SIGINT) == INTERRUPTED
    with terminal("mqtt", "pub", "-ta", "-mx", "-P-", "--backend", backend) as screen:
        screen.wait_for("Password")
        assert screen.end(signal.SIGINT) == INTERRUPTED
