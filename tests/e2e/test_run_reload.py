"""`structiot run` as a process: SIGHUP has the file read again, SIGTERM ends it."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from structiot.sim import MaxSmartSim
from tests.e2e.processes import PROGRAM, running, structiot
from tests.gateway.broker_watch import watching
from tests.gateway.serving import strips

pytestmark = pytest.mark.e2e


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
    return port


def written(port: int, *sims: MaxSmartSim, more: str = "") -> str:
    lines = [
        f"broker.listen = ['mqtt://127.0.0.1:{port}']",
        # Its port is the same for all who run at a time.
        "dashboard.enabled = false",
        "[maxsmart]",
        "discover = false",
        "poll_s = 0.5",
        more,
    ]
    for sim, name in zip(sims, ("Kitchen", "Desk"), strict=False):
        lines += [
            "[[maxsmart.devices]]",
            f"host = '{sim.host}'",
            f"http_port = {sim.http_port}",
            f"udp_port = {sim.udp_port}",
            f"name = '{name}'",
        ]
    return "\n".join([*lines, ""])


async def test_the_file_is_read_again_at_sighup(tmp_path: Path, backend: str):
    file, port = tmp_path / "structiot.toml", free_port()
    async with strips(2) as sims:
        kitchen = sims[0]
        file.write_text(written(port, kitchen))
        arguments = ("run", "--config", str(file), "--backend", backend)
        async with running(*structiot(*arguments)) as program:
            listens = "the embedded broker listens"
            await program.until(lambda: [e for e in program.errors if listens in e])
            uri = f"mqtt://127.0.0.1:{port}/"
            async with watching(uri, "structiot/#", "homeassistant/#") as watch:
                await watch.until_is(
                    "structiot/kitchen/availability", "online", within_s=30
                )
                watch.seen.clear()
                # A mistake changes nothing, and is said with its place.
                file.write_text(written(port, *sims, more="pol_s = 1"))
                program.signal(signal.SIGHUP)
                place = f"{file}:6:1: unknown key 'pol_s'"
                await program.until(lambda: [e for e in program.errors if place in e])
                await program.until(
                    lambda: [e for e in program.errors if "is not taken up" in e]
                )
                # Without it the second strip comes, beside the first.
                file.write_text(written(port, *sims))
                program.signal(signal.SIGHUP)
                await watch.until_is(
                    "structiot/desk/availability", "online", within_s=30
                )
                node = f"structiot_maxsmart_{sims[1].serial}"
                config = f"homeassistant/device/{node}/config"
                await watch.until(lambda: watch.latest.get(config), within_s=30)
                file.write_text(written(port, kitchen))
                program.signal(signal.SIGHUP)
                await watch.until_is(config, "", within_s=30)
                await watch.client.publish(
                    "structiot/kitchen/port_1/set", b"OFF", qos=1
                )
                await watch.until_is("structiot/kitchen/port_1/state", "OFF")
                assert kitchen.ports[1] is False
                kitchens = [p for t, p in watch.seen if t.endswith("n/availability")]
                assert "offline" not in kitchens
                program.signal(signal.SIGTERM)
                await watch.until_is("structiot/kitchen/availability", "offline")
            assert await program.ended() == 0


def test_a_terminal_that_is_closed_ends_it(tmp_path: Path):
    file = tmp_path / "structiot.toml"
    file.write_text(written(free_port()))
    command = [*PROGRAM, "run", "--config", str(file)]
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        said = b""
        while b"connected to the broker" not in said:
            said += os.read(ours, 4096)
        os.close(ours)
        process.send_signal(signal.SIGHUP)
        assert process.wait() == 0
