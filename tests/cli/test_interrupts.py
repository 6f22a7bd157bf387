"""Ctrl-C ends whatever a command waits for, with the status that shells give for it."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests._support.broker_process import BrokerProcess, program
from tests._support.interpreter import PYTHON
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
        "mqtt passwd {folder}/passwords bob --stdin",
    ],
)
def test_waiting_for_standard_input(
    broker: BrokerProcess, command: str, backend: str, tmp_path: Path
):
    words = command.format(port=broker.port, folder=tmp_path).split()
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
        "mqtt pub -p{port} -ta -f {pipe}",
        "mqtt pub -p{port} -ta -mx --cafile {pipe}",
        "mqtt broker --listen mqtts://127.0.0.1:0 --certfile {pipe}",
        "manager serve --port 0 --dialect structiot --secrets {pipe}",
        "meross devices --email a@b --password-file {pipe}",
        "sim manager --cafile {pipe}",
        "sim sepl --certfile {pipe}",
    ],
)
def test_waiting_for_what_a_file_is_to_hold(
    broker: BrokerProcess, command: str, backend: str, tmp_path: Path
):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    words = command.format(port=broker.port, pipe=pipe).split()
    process = started(*words, "--backend", backend)
    give_up_at = time.monotonic() + _PATIENCE_S
    end = -1
    while end < 0:
        assert process.poll() is None
        assert time.monotonic() < give_up_at
        with suppress(OSError):
            # It is there when somebody reads: a writer who writes nothing.
            end = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        time.sleep(0.01)
    try:
        assert interrupted(process) == INTERRUPTED
    finally:
        os.close(end)


# As the system's is where no name server answers.
_SLOW_NAMES = """
import socket, sys, threading
ask = socket.getaddrinfo
def slow(host, *args, **kwargs):
    flags = kwargs.get("flags") or (args[4] if len(args) > 4 else 0)
    if not flags & socket.AI_NUMERICHOST:
        print("asked", flush=True)
        threading.Event().wait(100)
    return ask(host, *args, **kwargs)
socket.getaddrinfo = slow
from structiot.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("mqtt pub -h nobody.example -ta -mx", INTERRUPTED),
        ("mqtt sub -h nobody.example -ta", 0),
        ("maxsmart state nobody.example", INTERRUPTED),
    ],
)
def test_waiting_for_a_name(command: str, status: int, backend: str):
    process = subprocess.Popen(
        [*PYTHON, "-c", _SLOW_NAMES, *command.split(), "--backend", backend],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"asked\n"
    assert interrupted(process) == status


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


# What Ctrl-C meets while the program is imported, as it is on a slow machine.
_WHILE_IMPORTED = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "structiot.cli.main":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
from structiot.__main__ import main
sys.exit(main())
"""


def test_before_all_is_imported(backend: str):
    words = [*PYTHON, "-c", _WHILE_IMPORTED, "--backend", backend, "--version"]
    done = subprocess.run(words, capture_output=True, timeout=_PATIENCE_S, check=False)
    assert (done.returncode, done.stderr) == (INTERRUPTED, b"")
