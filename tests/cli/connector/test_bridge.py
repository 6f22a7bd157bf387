"""`structiot connector run` and `devices`: the devices of a gateway at a platform."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from structiot.sim import sim_sepl_platform
from tests.cli.connector.conftest import Write
from tests.e2e.processes import running, structiot

PLATFORM = {"host": "127.0.0.1", "port": 9, "user": "me", "password": "word"}


def test_what_would_be_offered_is_listed(call, strip, write):
    write(PLATFORM, strip)
    said = call("devices", "--wait=1.5", "--json")
    (device,) = json.loads(said)
    assert device["id"].startswith("maxsmart:")
    assert (device["type"], device["name"]) == ("iot#strip", "kitchen")
    assert device["services"][:2] == ["port_1", "port_2"]
    (_, line) = call("devices", "--wait=1.5").splitlines()
    assert line.split()[1:4] == ["iot#strip", "kitchen", "port_1"]


def test_without_a_section_it_is_said_what_is_missing(call):
    Path("structiot.toml").write_text("[maxsmart]\n")
    why = "structiot.toml has no [connector]: no device is offered"
    assert call("devices", status=2) == f"structiot: {why}\n"
    assert call("run", status=2) == f"structiot: {why}\n"
    Path("mine.toml").write_text(
        "[connector]\nhost = 'h'\nport = 1\nuser = 'me'\npassword = 'word'\n"
    )
    said = call("run", "--config=mine.toml", status=2)
    assert 'mine.toml has no [[links]] with to = "platform"' in said


@pytest.mark.e2e
@pytest.mark.timeout(60)
async def test_it_offers_devices_until_it_is_ended(
    strip, write: Write, anyio_backend_name, tmp_path
):
    async with sim_sepl_platform() as platform:
        write(platform.config, strip)
        backend = f"--backend={anyio_backend_name}"
        command = structiot("connector", "run", backend)
        async with running(*command) as program:
            await program.until(lambda: "1 device offered" in "".join(program.errors))
            (device,) = platform.devices
            assert (device.name, device.type) == ("kitchen", "iot#strip")
            told = await platform.send_command(device.uri, "port_1", {"data": "false"})
            assert told.data == '{"status":0}'
            said = "".join(program.errors)
            assert "the embedded broker listens at mqtt://127.0.0.1:" in said
            assert "INFO: SEPL platform 127.0.0.1:" in said
            assert ":1883" not in said
            (gid,) = platform.gateways
            program.signal(signal.SIGTERM)
            assert await program.ended() == 0
        # Who starts again is who it was.
        platform.messages.clear()
        async with running(*command) as program:
            await program.until(lambda: "1 device offered" in "".join(program.errors))
            assert [one.handler for one in platform.messages][:1] == ["handshake"]
            assert "put" not in [one.handler for one in platform.messages]
            program.signal(signal.SIGINT)
            assert await program.ended() == 0
        assert [*platform.gateways] == [gid]
