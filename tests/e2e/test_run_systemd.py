"""`structiot run` as a service: what systemd is told, and a loop that hangs."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from tests.cli.test_systemd import Systemd
from tests.e2e.processes import PATIENCE_S, Running, running, structiot
from tests.e2e.test_run_reload import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(90)]

HANGS = """
import time
from structiot.gateway.drivers import SystemSection

class Section(SystemSection):
    '''A section without settings.'''

class HangingDriver:
    system = "hanging"
    section = Section
    finds_more = False

    def __init__(self, section, environment):
        pass

    async def run(self, registry):
        registry.started()
        import anyio
        await anyio.sleep(2)
        time.sleep(600)
"""


def written(tmp_path: Path, more: str = "") -> Path:
    file = tmp_path / "structiot.toml"
    text = f"broker.listen = ['mqtt://127.0.0.1:{free_port()}']\ndashboard.enabled = false\n"
    file.write_text(text + more)
    return file


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    with Systemd(str(tmp_path / "notify")) as found:
        yield found


async def until(systemd: Systemd, name: str, program: Running) -> dict[str, str]:
    """Wait for a datagram that says something by a name."""
    with anyio.move_on_after(PATIENCE_S):
        while True:
            if (found := systemd.first(name)) is not None:
                return found
            await anyio.sleep(0.05)
    raise AssertionError(f"no {name}; {program.errors}")


async def test_a_service_tells_all_of_its_life(tmp_path, backend, systemd, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.place)
    monkeypatch.setenv("WATCHDOG_USEC", "600000")
    file = written(tmp_path, "maxsmart.discover = false\n")
    command = structiot("run", "-c", str(file), "--backend", backend)
    async with running(*command) as program:
        ready = await until(systemd, "READY", program)
        assert ready["MAINPID"] == str(program.process.pid)
        assert ready["STATUS"].startswith("0 of 0 devices available")
        for _ in range(3):
            await until(systemd, "WATCHDOG", program)
        program.signal(signal.SIGHUP)
        await until(systemd, "RELOADING", program)
        await until(systemd, "READY", program)
        program.signal(signal.SIGTERM)
        await until(systemd, "STOPPING", program)
        assert await program.ended() == 0


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package with a driver, for the processes that are started."""
    info = folder / "stranger-1.0.dist-info"
    info.mkdir()
    head = "Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n"
    (info / "METADATA").write_text(head)
    point = "[structiot.drivers]\nhanging = hanging:HangingDriver\n"
    (info / "entry_points.txt").write_text(point)
    (folder / "hanging.py").write_text(HANGS)
    path = [str(folder), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, path)))


async def test_a_loop_that_hangs_feeds_no_watchdog(
    tmp_path, backend, systemd, monkeypatch
):
    install(tmp_path, monkeypatch)
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.place)
    monkeypatch.setenv("WATCHDOG_USEC", "900000")
    file = written(tmp_path, "[hanging]\n")
    command = structiot("run", "-c", str(file), "--backend", backend)
    async with running(*command) as program:
        await until(systemd, "WATCHDOG", program)
        silent_s = 0.0
        with anyio.fail_after(PATIENCE_S):
            while silent_s < 1.5:
                await anyio.sleep(0.1)
                silent_s = 0.0 if systemd.told() else silent_s + 0.1
        # So does systemd; nothing else would help.
        program.signal(signal.SIGABRT)
        assert await program.ended() == -signal.SIGABRT
