"""A connector is killed between any two steps of synchronisation, and started again."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from structiot.connector import (
    ConnectorConfig,
    Device,
    DeviceStore,
    open_connector,
)
from structiot.sim import SeplPlatformSim
from tests._support.interpreter import PYTHON

pytestmark = pytest.mark.e2e

PROGRAM = """\
import sys
import anyio
from structiot.connector import DeviceStore, open_connector

async def main(folder):
    with DeviceStore(f"{folder}/devices.sqlite") as devices:
        async with open_connector(f"{folder}/connector.conf", devices, wait_ready=True):
            print("ready", flush=True)
            await anyio.sleep_forever()

anyio.run(main, sys.argv[1])
"""
STEPS = ["handshake", "clear", "put1", "put2", "put3", "commit"]


@asynccontextmanager
async def running(folder: Path) -> AsyncGenerator[anyio.abc.Process]:
    """The connector as a process, killed at the end of the block."""
    command = [*PYTHON, "-c", PROGRAM, str(folder)]
    async with await anyio.open_process(command, stderr=sys.stderr) as process:
        yield process
        process.kill()


async def ready(process: anyio.abc.Process) -> None:
    assert process.stdout is not None
    assert (await process.stdout.receive()).startswith(b"ready")


@pytest.fixture
def folder(tmp_path: Path, sepl_platform_sim: SeplPlatformSim) -> Path:
    with DeviceStore(tmp_path / "devices.sqlite") as devices:
        for number in range(3):
            devices.add(Device(f"dev-{number}", "iot#type", f"Device {number}"))
    config = sepl_platform_sim.config
    lines = [f"{name} = {config[name]}" for name in config]
    path = tmp_path / "connector.conf"
    path.write_text("\n".join(["[CONNECTOR]", *lines, "gid =", ""]))
    path.chmod(0o600)
    return tmp_path


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("kind", ["drop_next", "lose_reply_next"])
@pytest.mark.timeout(60)
async def test_it_is_synchronised_after_it_was_killed_before_or_after_a_step(
    step: str, kind: str, folder: Path, sepl_platform_sim: SeplPlatformSim
):
    platform = sepl_platform_sim
    getattr(platform.faults, kind)(on=step)
    # The platform has been asked, has done it or not, and does not say so.
    handler = step.rstrip("123")
    async with running(folder):
        with anyio.fail_after(30):
            while not platform.faults.shown:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        assert platform.messages[-1].handler == handler
    async with running(folder) as process:
        with anyio.fail_after(30):
            await ready(process)
        assert {one.uri for one in platform.devices if one.is_online} == {
            "dev-0",
            "dev-1",
            "dev-2",
        }
        path = folder / "connector.conf"
        config = await anyio.to_thread.run_sync(ConnectorConfig.of, path)
        assert len(platform.gateways[config.gid].hash) == 40
    before = len(platform.messages)
    store = await anyio.to_thread.run_sync(DeviceStore, folder / "devices.sqlite")
    with store as devices, anyio.fail_after(30):
        async with open_connector(config, devices, wait_ready=True):
            # It was all there.
            asked = [one.handler for one in platform.messages][before:]
            assert asked == ["handshake"]
