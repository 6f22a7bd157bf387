"""Opening a manager: `open_manager`."""

from __future__ import annotations

import logging
import ssl
import sys
from collections.abc import AsyncGenerator, Collection, Generator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from structiot._kit.arguments import check_argument, check_context, check_items
from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.flow.tasks import service_group
from structiot._kit.net.serving import ClientServer, ServingLimits, serve_clients
from structiot._kit.net.sockets import MOST_BACKLOG
from structiot.errors import ConfigError, UsageError
from structiot.manager.backplane.node import BackplaneNode
from structiot.manager.client import ManagerClient
from structiot.manager.heartbeats import Heartbeats
from structiot.manager.limits import (
    Listener,
    ManagerLimits,
    check_limits,
    check_seconds,
)
from structiot.manager.manager import Manager
from structiot.manager.secrets import DeviceSecret, bytes_of
from structiot.manager.serving import ManagerEndpoint, SecretOf, Serving
from structiot.manager.unacknowledged import Exchanges
from structiot.manager.wire.dialects import Dialect
from structiot.manager.wire.info import canonical_uuid, fault_of_type
from structiot.mqtt import MqttClient

__all__ = ["open_manager"]

# Of so many nodes' devices the latest messages are remembered.
_NODES: Final = 4

_log: Final = logging.getLogger("structiot.manager")


@asynccontextmanager
async def open_manager(
    types: Collection[str] | None = None,
    host: str = "127.0.0.1",
    port: int | None = 8595,
    *,
    ssl_context: ssl.SSLContext | None = None,
    dialect: Dialect | str = Dialect.D0,
    listeners: Sequence[Listener] = (),
    secrets: Mapping[str, DeviceSecret] | None = None,
    heartbeat_s: float = 60.0,
    reply_s: float = 15.0,
    backlog: int = MOST_BACKLOG,
    limits: ManagerLimits = ManagerLimits(),  # noqa: B008 - frozen
    backplane: MqttClient | None = None,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> AsyncGenerator[Manager]:
    """Serve devices that dial in for the length of the block.

    Leaving it says goodbye to all of them, in bounded time. What goes wrong with one
    device costs nobody else anything, and is told by events and in the log of
    `structiot.manager`.

    Args:
        types: Which types of devices are taken; None takes all.
        host: The address to listen at; `"0.0.0.0"` for all of the machine's.
        port: The TCP port; 0 takes a free one. With None only `listeners` count: with none
            of those either, it is a node of a backplane that has no devices of its own.
        ssl_context: Certificate and key; with `verify_mode` devices need one, too.
        dialect: What is spoken there: `"D0"` to `"D4"` or `"structiot"`, see the reference.
        listeners: Further places to listen at.
        secrets: The secret of each device by UUID. With it, the listeners of our own
            dialect take only devices that prove that they know theirs, and those of other
            dialects, which can prove nothing, none of these UUIDs.
        heartbeat_s: How often each device is asked whether it is there.
        reply_s: How long it may take to say who it is, TLS included, and to answer.
        backlog: How many connections may wait to be accepted, if the system lets so many.
            Of a fleet that comes at once the system drops those beyond, and a device that
            waits for the server to speak first may not notice: with 10, 338 of 400 never
            came.
        limits: What devices may have.
        backplane: A client of `open_backplane`, by which several managers are one: each
            knows the devices of all, has their messages, and sends to them.
        environment: Network, clock and chance; the system's by default.

    Yields:
        The manager.

    Raises:
        ConnectFailed: An address cannot be bound.
        ConfigError: No such dialect, times, a backlog or secrets that cannot be, a client
            that is none of `open_backplane`; while the block runs, that another node has
            the name of this one and was there before.
        LinkLost: The client of the backplane has given up.
        UsageError: An argument of another class, or a client of `open_backplane` that
            serves another manager.
    """
    check_argument("host", host, str)
    check_argument("port", port, int, None)
    check_context("ssl_context", ssl_context, is_server=True)
    check_argument("secrets", secrets, Mapping, None)
    check_argument("backplane", backplane, MqttClient, None)
    check_items("listeners", listeners, Listener)
    check_limits(limits)
    _check_types(types)
    _check_numbers(heartbeat_s, reply_s, backlog)
    if port is not None:
        listeners = (Listener(host, port, dialect, ssl_context), *listeners)
    endpoints = _endpoints(listeners, backlog, has_secrets=secrets is not None)
    heartbeats = Heartbeats(
        heartbeat_s, reply_s, on_silence=_end_silent, random=environment.random
    )
    nodes = 1 if backplane is None else _NODES
    exchanges = Exchanges(limits.connections * nodes)
    manager = Manager(types, heartbeats, exchanges, environment)
    node = None
    if backplane is not None:
        manager.sharing = node = BackplaneNode(manager, backplane, environment)
    serving = Serving(
        manager,
        limits,
        reply_s=reply_s,
        secret_of=None if secrets is None else _secrets(secrets),
        environment=environment,
    )
    async with serve_clients(
        environment.network,
        endpoints,
        serving.serve,
        limits=ServingLimits(
            clients=limits.connections,
            unidentified=limits.unidentified,
            per_address=limits.per_address or sys.maxsize,
            first_words_s=reply_s,
            waiting_bytes=limits.waiting_bytes,
            stall_s=limits.stall_s,
        ),
        goodbyes=lambda: _goodbyes(manager, server),
        on_unheard=serving.unheard,
        log=_log,
    ) as server:
        manager.addresses = tuple(server.addresses)
        async with service_group() as tg:
            tg.start_soon(heartbeats.run, name="structiot.manager heartbeats")
            if node is not None:
                await tg.start(node.run, name="structiot.manager backplane")
            yield manager


def _goodbyes(manager: Manager, server: ClientServer) -> Generator[None]:
    # First those that could become devices while others have a turn.
    for stream in list(server.unidentified):
        stream.end()
        yield
    yield from manager.goodbyes()


def _check_numbers(heartbeat_s: float, reply_s: float, backlog: int) -> None:
    check_seconds("heartbeat_s", heartbeat_s)
    check_seconds("reply_s", reply_s)
    check_argument("backlog", backlog, int)
    if backlog < 1:
        raise ConfigError(f"backlog is 1 or more, not {backlog}")


def _check_types(types: Collection[str] | None) -> None:
    if types is None:
        return
    check_items("types", types, str)
    if not types:
        raise UsageError("no type is taken: name some, or give None for all")
    for one in types:
        if fault := fault_of_type(one):
            raise UsageError(f"the type {one!r:.80} {fault}")


def _endpoints(
    listeners: Sequence[Listener], backlog: int, *, has_secrets: bool
) -> list[ManagerEndpoint]:
    endpoints = [_endpoint(one, backlog) for one in listeners]
    if has_secrets and Dialect.STRUCTIOT not in {one.dialect for one in endpoints}:
        raise ConfigError("secrets are of no listener: none speaks our own dialect")
    return endpoints


def _endpoint(listener: Listener, backlog: int) -> ManagerEndpoint:
    check_argument("host of a listener", listener.host, str)
    check_argument("port of a listener", listener.port, int)
    check_context("ssl_context of a listener", listener.ssl_context, is_server=True)
    try:
        dialect = Dialect(listener.dialect)
    except ValueError:
        message = f"no dialect {listener.dialect!r}; there are {', '.join(Dialect)}"
        raise ConfigError(message) from None
    return ManagerEndpoint(
        host=listener.host,
        port=listener.port,
        ssl_context=listener.ssl_context,
        dialect=dialect,
        backlog=backlog,
    )


def _secrets(secrets: Mapping[str, DeviceSecret]) -> SecretOf:
    known: dict[str, bytes] = {}
    for uuid, secret in secrets.items():
        check_argument("each of the UUIDs of secrets", uuid, str)
        try:
            canonical = canonical_uuid(uuid)
        except UsageError:
            # Not shown: it may be the secret, where the two were exchanged.
            message = "secrets stand behind UUIDs of 36 characters, and one does not"
            raise UsageError(message) from None
        known[canonical] = bytes_of(secret)
    if len(known) < len(secrets):
        raise ConfigError("two secrets are of one UUID, written in two ways")
    return known.get


def _end_silent(client: ManagerClient) -> None:
    client.end_now("it did not answer a heartbeat")
