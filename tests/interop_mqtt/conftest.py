"""One process of each foreign broker for all tests, and others to be restarted."""

from __future__ import annotations

from collections.abc import Callable, Generator

import pytest

from tests.interop_mqtt.environments import ON_NODE, ON_PYTHON
from tests.interop_mqtt.servers import Nats, RabbitMq, Server, missing_packages

KINDS: dict[str, type[Server]] = {"nats": Nats, "rabbitmq": RabbitMq}


def pytest_sessionstart(session: pytest.Session) -> None:
    """Say once what is missing, and install the clients, before there is a test."""
    # A worker finds done what was done by who has started it.
    if hasattr(session.config, "workerinput") or session.config.option.collectonly:
        return
    if missing := missing_packages():
        say = "scripts/prepare.sh interop installs what these tests need and is missing"
        pytest.exit(f"{say}: {' '.join(missing)}", 1)
    for environment in (*ON_PYTHON.values(), *ON_NODE.values()):
        environment.make()


@pytest.fixture(scope="session")
def server_of(
    tmp_path_factory: pytest.TempPathFactory,
) -> Generator[Callable[[str], Server]]:
    """Give the running server of a kind; it is started at first use."""
    running: dict[str, Server] = {}

    def get(kind: str) -> Server:
        if kind not in running:
            server = KINDS[kind](tmp_path_factory.mktemp(kind))
            running[kind] = server
            server.start()
        return running[kind]

    yield get
    for server in running.values():
        server.stop()


@pytest.fixture(params=list(KINDS))
def server(
    request: pytest.FixtureRequest, server_of: Callable[[str], Server]
) -> Server:
    return server_of(request.param)


@pytest.fixture
def nats(server_of: Callable[[str], Server]) -> Server:
    return server_of("nats")


@pytest.fixture
def rabbitmq(server_of: Callable[[str], Server]) -> Server:
    return server_of("rabbitmq")
