"""The same program on both platforms, in memory and on real sockets."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme

from structiot import Environment
from structiot.connector import Command, Device, DevicePool, open_connector
from structiot.sim import sim_senergy, sim_sepl_platform
from tests.link.connector.gateways import until


def program_devices() -> DevicePool:
    devices = DevicePool()
    lamp = Device("lamp-1", "lamp", "Lamp")
    lamp.add_tag("room", "kitchen")
    devices.add(lamp)
    return devices


async def run_program(
    config: dict[str, Any], platform: Any, environment: Environment, heard: list[str]
) -> None:
    """Offer a lamp: tell what it does, and have it do what is asked."""

    async def handle(command: Command) -> None:
        heard.append(f"{command.device_id} {command.service} {command.data}")
        await command.respond({"status": 0})

    async with open_connector(
        config,
        program_devices(),
        platform=platform,
        wait_ready=True,
        environment=environment,
    ) as connector:
        assert await connector.add(Device("fan-1", "fan", "Fan"))
        response = await connector.event("lamp-1", "state", {"on": True})
        assert response is not None
        assert response.status == 200
        await connector.serve(handle)


SIMULATORS: dict[str, Any] = {"sepl": sim_sepl_platform, "senergy": sim_senergy}


async def check(platform_name: str, environment: Environment, **options: Any) -> None:
    heard: list[str] = []
    simulated = SIMULATORS[platform_name](environment=environment, **options)
    async with simulated as platform, anyio.create_task_group() as tg:
        config = {key: one for key, one in platform.config.items() if key != "platform"}
        tg.start_soon(run_program, config, platform_name, environment, heard)
        await until(lambda: platform.events)
        with anyio.fail_after(10):
            (event,) = platform.events
            assert event.data == '{"on":true}'
            parts = {"metadata": "", "data": "1"}
            response = await platform.send_command("lamp-1", "on", parts)
        assert response.data == '{"status":0}'
        assert heard == ["lamp-1 on 1"]
        tg.cancel_scope.cancel()


@pytest.mark.virtual_time
@pytest.mark.parametrize("platform", SIMULATORS)
async def test_one_program_runs_on_both_platforms(platform, environment):
    await check(platform, environment)


@pytest.mark.parametrize("platform", SIMULATORS)
async def test_one_program_runs_on_both_platforms_on_real_sockets(platform):
    await check(platform, Environment())


@pytest.fixture
def server_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A certificate of an authority that is among the system's for the test."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return context


@pytest.mark.parametrize("platform", SIMULATORS)
async def test_one_program_runs_on_both_platforms_over_tls(platform, server_context):
    await check(platform, Environment(), ssl_context=server_context)


@pytest.mark.virtual_time
@pytest.mark.parametrize("platform", SIMULATORS)
async def test_no_secret_is_logged(platform, environment, caplog):
    caplog.set_level("DEBUG")
    await check(platform, environment, users={"testuser": "her word"})
    assert "her word" not in caplog.text
    # As every JSON web token begins.
    assert "eyJ" not in caplog.text
    assert "connector" in caplog.text
