"""The same program on both platforms, in memory and on real sockets."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme

from structiot import CertificateRefused, Environment, UsageError
from structiot.connector import (
    Command,
    Connector,
    Device,
    DevicePool,
    PlatformRefused,
    http,
    open_connector,
)
from structiot.sim import sim_senergy, sim_sepl_platform
from tests.link.connector.gateways import until


def program_devices() -> DevicePool:
    devices = DevicePool()
    lamp = Device("lamp-1", "lamp", "Lamp")
    lamp.add_tag("room", "kitchen")
    devices.add(lamp)
    return devices


async def run_program(
    config: Any, platform: Any, environment: Environment, heard: list[str], **given: Any
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
        **given,
    ) as connector:
        assert await connector.add(Device("fan-1", "fan", "Fan"))
        response = await connector.event("lamp-1", "state", {"on": True})
        assert response is not None
        assert response.status == 200
        await connector.serve(handle)


SIMULATORS: dict[str, Any] = {"sepl": sim_sepl_platform, "senergy": sim_senergy}


async def check(
    platform_name: str,
    environment: Environment,
    *,
    trusted: Callable[[dict[str, Any]], dict[str, Any]] = lambda told: {"config": told},
    **options: Any,
) -> None:
    heard: list[str] = []
    simulated = SIMULATORS[platform_name](environment=environment, **options)
    async with simulated as platform, anyio.create_task_group() as tg:
        config = {key: one for key, one in platform.config.items() if key != "platform"}
        given = trusted(config)
        run = partial(
            run_program,
            platform=platform_name,
            environment=environment,
            heard=heard,
            **given,
        )
        tg.start_soon(run)
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


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def cafile(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.mark.parametrize("platform", SIMULATORS)
async def test_one_program_runs_on_both_platforms_over_tls(
    platform, server_context, cafile, monkeypatch
):
    """The authority is among the system's for the test."""
    monkeypatch.setenv("SSL_CERT_FILE", str(cafile))
    await check(platform, Environment(), ssl_context=server_context)


@pytest.mark.parametrize("platform", SIMULATORS)
async def test_an_authority_of_one_s_own_is_named_by_the_file(
    platform, server_context, cafile
):
    """Relative to the file that names it, wherever the program runs."""

    def trusted(told: dict[str, Any]) -> dict[str, Any]:
        path = cafile.with_name("connector.conf")
        told = {**told, "encryption": "yes"}
        lines = [f"{name} = {value}" for name, value in told.items()]
        path.write_text("\n".join(["[CONNECTOR]", *lines, f"cafile = {cafile.name}"]))
        return {"config": path}

    await check(platform, Environment(), trusted=trusted, ssl_context=server_context)


@pytest.mark.parametrize("platform", SIMULATORS)
async def test_a_context_of_one_s_own_is_an_argument(
    platform, server_context, authority
):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    await check(
        platform,
        Environment(),
        trusted=lambda told: {"config": told, "ssl_context": context},
        ssl_context=server_context,
    )


async def test_the_http_helper_trusts_whom_it_is_told_to(server_context, authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with sim_senergy(ssl_context=server_context) as platform:
        url = str(platform.config["api_url"])
        response = await http.get(f"{url}/hubs/x", ssl_context=context)
        assert response.status == 401
        with pytest.raises(CertificateRefused, match="give it as cafile="):
            await http.get(url)
        with pytest.raises(UsageError, match="is for the TLS of a client"):
            await http.get(url, ssl_context=server_context)


@pytest.mark.parametrize("platform", SIMULATORS)
async def test_an_authority_that_nobody_has_named_is_refused(platform, server_context):
    simulated = SIMULATORS[platform](ssl_context=server_context)
    async with simulated as sim:
        with pytest.raises(CertificateRefused, match="unknown authority"):
            await run_program(sim.config, platform, Environment(), [])


@asynccontextmanager
async def connected(
    name: str, environment: Environment
) -> AsyncIterator[tuple[Any, Connector, DevicePool]]:
    devices = program_devices()
    async with (
        SIMULATORS[name](environment=environment) as platform,
        open_connector(
            platform.config, devices, wait_ready=True, environment=environment
        ) as connector,
    ):
        ids = platform.gateways if name == "sepl" else platform.hubs
        assert [*ids] == [connector.gid]
        # What it is reached by once it is connected.
        yield getattr(platform, "broker", platform), connector, devices


async def refusal(connector: Connector, device: str, service: str = "state") -> str:
    with pytest.raises(PlatformRefused) as caught:
        await connector.event(device, service, 1)
    assert not caught.value.was_sent
    return f"{caught.value.status} {caught.value}"


@pytest.mark.virtual_time
@pytest.mark.parametrize("platform", SIMULATORS)
async def test_an_event_of_no_device_is_the_same_error_without_a_connection(
    platform, environment
):
    async with connected(platform, environment) as (host, connector, devices):
        at_first = await refusal(connector, "lamp-2")
        assert "event state of device lamp-2: not sent: the " in at_first
        await host.unplug()
        await until(lambda: not connector.is_ready)
        assert await refusal(connector, "lamp-2") == at_first
        assert connector.events_waiting == 0
        assert await connector.event("lamp-1", "state", 1) is None
        # The device manager has it, and the next connection will offer it.
        devices.add(Device("lamp-2", "lamp", "Another"))
        assert await connector.event("lamp-2", "state", 1) is None
        await host.plug_in()
        await until(lambda: not connector.events_waiting)
        await connector.event("lamp-2", "state", 2)


@pytest.mark.virtual_time
async def test_a_device_that_was_disconnected_may_tell_only_where_that_is_known(
    environment,
):
    for platform in SIMULATORS:
        async with connected(platform, environment) as (host, connector, _):
            assert await connector.disconnect("lamp-1")
            await host.unplug()
            await until(lambda: not connector.is_ready)
            if platform == "sepl":
                assert "does not offer" in await refusal(connector, "lamp-1")
                continue
            assert await connector.event("lamp-1", "state", 1) is None
            assert "has '/' in it" in await refusal(connector, "lamp-1", "a/b")
            await connector.delete("lamp-1")
            assert "no such device" in await refusal(connector, "lamp-1")


@pytest.mark.virtual_time
@pytest.mark.parametrize("platform", SIMULATORS)
async def test_an_event_without_a_device_or_a_service_is_refused_at_once(
    platform, environment
):
    async with connected(platform, environment) as (host, connector, _):
        for device, service in (("lamp-1", ""), ("", "state"), ("", "")):
            with pytest.raises(UsageError, match="has a device and a service"):
                await connector.event(device, service, 1)
        await host.unplug()
        await until(lambda: not connector.is_ready)
        with pytest.raises(UsageError, match="has a device and a service"):
            await connector.event("lamp-1", "", 1)


@pytest.mark.virtual_time
@pytest.mark.parametrize("platform", SIMULATORS)
async def test_a_tag_may_be_empty(platform, environment):
    """Both platforms can carry it, so it is not refused."""
    lamp = Device("lamp-1", "lamp", "Lamp")
    assert lamp.add_tag("", "")
    assert lamp.add_tag("room", "")
    devices = DevicePool()
    devices.add(lamp)
    async with (
        SIMULATORS[platform](environment=environment) as sim,
        open_connector(sim.config, devices, wait_ready=True, environment=environment),
    ):
        pass
    (known,) = sim.devices if platform == "sepl" else sim.devices.values()
    if platform == "sepl":
        assert known.tags == [":", "room:"]
    else:
        assert [one["key"] for one in known.attributes] == ["", "room"]


@pytest.mark.virtual_time
@pytest.mark.parametrize("platform", SIMULATORS)
async def test_no_secret_is_logged(platform, environment, caplog):
    caplog.set_level("DEBUG")
    await check(platform, environment, users={"testuser": "her word"})
    assert "her word" not in caplog.text
    # As every JSON web token begins.
    assert "eyJ" not in caplog.text
    assert "connector" in caplog.text
