"""What cannot be is refused in words, before anything is opened or sent."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from structiot import ConfigError, UsageError
from structiot.connector import ConnectorConfig, Device, DevicePool, open_connector
from tests.link.connector.gateways import gateway, lamps, new_environment

pytestmark = pytest.mark.virtual_time

CONFIG: Any = {"host": "127.0.0.1", "port": 1, "user": "u", "password": "p"}

TLS: Any = {"encryption": "yes", "cafile": "/no/ca.pem"}
OURS = ssl.create_default_context()
THEIRS = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"config": 7}, ConfigError, "config is a path, a mapping or a Connector"),
        ({"config": {}}, ConfigError, "to be filled in"),
        ({"config": {**CONFIG, "hots": "x"}}, ConfigError, "unknown key 'hots'"),
        ({"config": {**CONFIG, "port": "x"}}, ConfigError, "port is a number"),
        ({"config": {**CONFIG, "encryption": "7"}}, ConfigError, "yes or no"),
        ({"config": "/nonexistent/connector.conf"}, ConfigError, "cannot be read"),
        ({"devices": [Device("a", "b", "c")]}, UsageError, "is a device manager"),
        ({"devices": None}, UsageError, "is a device manager"),
        ({"platform": "mqtt"}, ConfigError, "platform is sepl or senergy"),
        ({"platform": 7}, UsageError, "platform is str or None"),
        ({"platform": "senergy"}, ConfigError, "api_url"),
        ({"outbox_items": -1}, UsageError, "outbox_items is 0 or more"),
        ({"outbox_items": "many"}, UsageError, "outbox_items is int"),
        ({"wait_ready": 1}, UsageError, "wait_ready is bool"),
        ({"ssl_context": "ca.pem"}, UsageError, "ssl_context is SSLContext or None"),
        ({"ssl_context": OURS}, ConfigError, "ssl_context goes with encryption"),
        ({"ssl_context": THEIRS}, UsageError, "is for the TLS of a client"),
        ({"config": {**CONFIG, **TLS}}, ConfigError, "cannot use /no/ca.pem for TLS"),
    ],
)
async def test_what_cannot_be_opened(
    arguments: dict[str, Any], error: type[Exception], said: str
):
    given = {"config": CONFIG, "devices": lamps(1), **arguments}
    with pytest.raises(error, match=said):
        async with open_connector(**given, environment=new_environment()):
            pytest.fail("it is open")


@pytest.mark.parametrize("call", ["add", "update"])
@pytest.mark.parametrize("device", ["lamp-1", None, 7, DevicePool()])
async def test_what_is_no_device(call: str, device: Any):
    async with gateway() as (_, connector):
        with pytest.raises(UsageError, match="device is Device"):
            await getattr(connector, call)(device)


@pytest.mark.parametrize("call", ["disconnect", "delete"])
@pytest.mark.parametrize("device", [None, 7, b"lamp-1"])
async def test_what_is_no_id(call: str, device: Any):
    async with gateway() as (_, connector):
        with pytest.raises(UsageError, match="device is Device or str"):
            await getattr(connector, call)(device)


async def test_a_file_that_is_missing_is_made_and_said(tmp_path: Path):
    path = tmp_path / "connector.conf"
    with pytest.raises(ConfigError, match="has been made: fill in host"):
        async with open_connector(path, lamps(1), environment=new_environment()):
            pytest.fail("it is open")
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_configuration_that_is_made_already():
    environment = new_environment()
    config = ConnectorConfig(**CONFIG)
    async with open_connector(config, lamps(1), environment=environment) as connector:
        assert "127.0.0.1:1" in repr(connector)
        assert "Connecting" in repr(connector)
