"""Tests that every engine passes: `nox -s engines`, or `pytest tests/engines`.

By default they run on our engine alone, for the package distmqtt needs an old setuptools
and nine more packages. `--engines structiot,distmqtt` runs them on both, and adds the
tests of what the package is known not to do.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from structiot.mqtt import MqttClient, open_mqttclient
from tests._support.ports import free_port

OpenClient = Callable[..., AbstractAsyncContextManager[MqttClient]]

NEEDS_THE_PACKAGE = "test_distmqtt_limits.py"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--engines", default="structiot", help="engines to test, with commas between"
    )


def _engines(config: pytest.Config) -> list[str]:
    # The option is not known when pytest was started from above this folder.
    return str(config.getoption("--engines", "structiot")).split(",")


def pytest_ignore_collect(collection_path: Any, config: pytest.Config) -> bool | None:
    is_limits = collection_path.name == NEEDS_THE_PACKAGE
    return True if is_limits and "distmqtt" not in _engines(config) else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" in metafunc.fixturenames:
        metafunc.parametrize("engine", _engines(metafunc.config))


@pytest.fixture
def open_client(engine: str) -> OpenClient:
    """Open a client of the engine under test; it speaks MQTT 3.1.1, as both can."""

    def opened(
        uri: str, client_id: str | None = None, **options: Any
    ) -> AbstractAsyncContextManager[MqttClient]:
        config = {"protocol": "3.1.1", **options.pop("config", {})}
        return open_mqttclient(uri, client_id, config, engine=engine, **options)

    return opened


@pytest.fixture
def unused_port() -> int:
    """A loopback port where nobody listens."""
    return free_port()


@pytest.fixture
def topic(request: pytest.FixtureRequest) -> str:
    """A topic of the test's own, below which it may do as it likes."""
    # The name may hold a parameter of 70,000 characters.
    name = request.node.name[:200]
    return "engines/" + "".join(c if c.isalnum() else "_" for c in name)
