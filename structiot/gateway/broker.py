"""The broker that a gateway runs itself where its configuration names no other."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import anyio

from structiot._kit.environment import Environment
from structiot._kit.flow.tasks import service_group
from structiot.errors import ConnectFailed
from structiot.gateway.config import BrokerSection
from structiot.mqtt import BrokerServer, open_broker

__all__ = ["embedded_broker", "uri_for_us"]

_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - names, no binding

# A house goes on without what would outlast a restart.
_STORE_PATIENCE_S = 2.0

_log = logging.getLogger(__name__)


@asynccontextmanager
async def embedded_broker(
    section: BrokerSection, environment: Environment
) -> AsyncGenerator[BrokerServer]:
    """Run the embedded broker for the length of the block, however that ends.

    Whoever cancels the block does not cancel the broker: the goodbyes of its clients,
    ours among them, have still to reach each other.

    Raises:
        ConnectFailed: An address cannot be bound; it says what else can be done.
        ConfigError: The store or the password file cannot be used.
    """
    held: list[BrokerServer] = []
    is_ready, is_done = anyio.Event(), anyio.Event()

    async def hold() -> None:
        with anyio.CancelScope(shield=True):
            async with _opened(section, environment) as broker:
                held.append(broker)
                is_ready.set()
                await is_done.wait()

    async with service_group() as tasks:
        try:
            tasks.start_soon(hold, name="structiot.gateway.broker")
            await is_ready.wait()
            yield held[0]
        finally:
            is_done.set()


@asynccontextmanager
async def _opened(
    section: BrokerSection, environment: Environment
) -> AsyncGenerator[BrokerServer]:
    async with AsyncExitStack() as stack:
        opened = open_broker(
            *section.listen,
            passwords=section.password_file,
            allowed_origins=section.allowed_origins,
            store=section.store,
            store_patience_s=_STORE_PATIENCE_S,
            environment=environment,
        )
        try:
            broker = await stack.enter_async_context(opened)
        except ConnectFailed as exc:
            message = (
                f"the embedded broker does not start: {exc}; if it is another broker "
                "that runs there, name it by uri in [mqtt], else give this one another "
                "address by listen in [broker]"
            )
            raise ConnectFailed(message, host=exc.host, port=exc.port) from exc
        _log.info("the embedded broker listens at %s", ", ".join(broker.uris))
        yield broker


def uri_for_us(uri: str) -> str:
    """Give the address by which this machine reaches a broker that listens at `uri`."""
    address = urlsplit(uri)
    here = _ANYWHERE.get(address.hostname or "")
    if here is None:
        return uri
    return f"{address.scheme}://{here}:{address.port}"
