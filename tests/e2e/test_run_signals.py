"""`structiot run` as a process: SIGHUP at odd moments, and files that others broke."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import SocketStream

from structiot._kit.flow.tasks import service_group
from tests._support.interpreter import PYTHON
from tests.e2e.processes import Running, running, structiot
from tests.e2e.test_run_reload import free_port, written

pytestmark = [
    pytest.mark.e2e,
    # The program starts several times slower on a busy machine.
    pytest.mark.timeout(90),
]

READ_AGAIN = "the configuration was read again"
NOT_TAKEN_UP = "is not taken up: all goes on as it was"
ODD = """
class Odd(BaseException):
    def __str__(self):
        raise ValueError("no")

raise Odd
"""
EVIL = r"raise RuntimeError('\x1b]0;owned\x07\x1b[2J\nERROR: forged')"


def said(program: Running, text: str) -> list[str]:
    return [line for line in program.errors if text in line]


def arguments(file: Path, backend: str) -> tuple[str, ...]:
    return ("run", "--config", str(file), "--backend", backend)


async def test_sighup_right_after_the_start_has_the_file_read_again(
    tmp_path: Path, backend: str
):
    file = tmp_path / "structiot.toml"
    file.write_text(written(free_port()))
    told = [*PYTHON, "-X", "importtime", "-m", "structiot"]
    async with running(*told, *arguments(file, backend)) as program:
        # Something else is imported already, but hardly what answers the signal.
        hangups = "structiot.cli._common.hangups"
        await program.until(
            lambda: said(program, hangups) and hangups not in program.errors[-1]
        )
        program.signal(signal.SIGHUP)
        await program.until(lambda: said(program, READ_AGAIN))
        program.signal(signal.SIGTERM)
        assert await program.ended() == 0


@asynccontextmanager
async def deaf_broker() -> AsyncIterator[int]:
    """Accept a client, and answer nothing more."""

    async def serve(stream: SocketStream) -> None:
        async with stream:
            connect = await stream.receive()
            # Who is late is asked again in the older version.
            is_newer = connect[connect.index(b"MQTT") + 4] == 5
            await stream.send(b"\x20\x03\0\0\0" if is_newer else b"\x20\x02\0\0")
            await anyio.sleep_forever()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, service_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield listener.extra(anyio.abc.SocketAttribute.local_port)


async def test_what_leaves_takes_no_other_settings(tmp_path: Path, backend: str):
    file = tmp_path / "structiot.toml"
    async with deaf_broker() as port:
        text = f"gateway.goodbye_s = 1\n[mqtt]\nuri = 'mqtt://127.0.0.1:{port}'\n"
        file.write_text(text)
        async with running(*structiot(*arguments(file, backend))) as program:
            await program.until(lambda: said(program, "connected to the broker"))
            file.write_text(f"{text}[maxsmart]\ndiscover = false\n")
            program.signal(signal.SIGTERM)
            program.signal(signal.SIGHUP)
            assert await program.ended() == 0
            assert not said(program, "internal error")


@pytest.mark.parametrize("module", [ODD, EVIL], ids=["mute", "forging"])
async def test_a_file_or_a_driver_that_is_broken_changes_nothing(
    tmp_path: Path, backend: str, module: str, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "oddmod.py").write_text(module)
    about = tmp_path / "odd-1.0.dist-info"
    about.mkdir()
    about.joinpath("METADATA").write_text(
        "Metadata-Version: 2.1\nName: odd\nVersion: 1.0\n"
    )
    about.joinpath("entry_points.txt").write_text(
        "[structiot.drivers]\nodd = oddmod:D\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    file, text = tmp_path / "structiot.toml", written(free_port())
    file.write_text(text)
    async with running(*structiot(*arguments(file, backend))) as program:
        await program.until(lambda: said(program, "connected to the broker"))
        number = f"x = {'9' * 5000}\n"
        for broken in (f"{text}[odd]\n", f"{number}{text}", "", " \n# all gone\n"):
            program.errors.clear()
            file.write_text(broken)
            program.signal(signal.SIGHUP)
            await program.until(lambda: said(program, NOT_TAKEN_UP))
            assert all(line.isprintable() for line in program.errors)
            assert len(program.errors) == 2
        file.write_text(text)
        program.signal(signal.SIGHUP)
        await program.until(lambda: said(program, READ_AGAIN))
        program.signal(signal.SIGTERM)
        assert await program.ended() == 0
