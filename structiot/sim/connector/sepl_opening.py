"""`sim_sepl_platform`: a SEPL platform for the length of a block."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Final

from structiot._kit.arguments import check_argument
from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot.errors import UsageError
from structiot.sim.connector.sepl import SeplPlatformSim

__all__ = ["sim_sepl_platform"]

_USERS: Final = MappingProxyType({"testuser": "secret"})


@asynccontextmanager
async def sim_sepl_platform(
    users: Mapping[str, str] = _USERS,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    device_types: Mapping[str, Collection[str]] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    busy_s: float = 0.0,
    strict_legacy: bool = False,
    records_kept: int = 20_000,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> AsyncGenerator[SeplPlatformSim]:
    """Simulate the SEPL platform, to which gateways offer devices, for the block.

    It speaks the websocket protocol of 2018, is as strict and as silent as the original,
    and keeps devices and gateways for as long as the block runs, whatever becomes of
    connections. A message of more than 1 MiB closes its connection.

    Args:
        users: Passwords by user; one of them at least.
        host: Its address.
        port: Its TCP port; 0 takes a free one.
        device_types: The services of each device type that there is, such as `{"iot#lamp":
            ["on", "state"]}`; None has any type, with any services.
        ssl_context: Certificate and key; without one nothing is encrypted.
        busy_s: How long it is busy at each `clear` and `commit`, see `SeplPlatformSim`.
        strict_legacy: Answer twice what cannot be read, as the platform of 2018 did.
        records_kept: How many of the latest messages, events, responses are held.
        environment: Where its sockets are, and which time it is; the system's by default.

    Yields:
        The platform.

    Raises:
        ConnectFailed: The address or the port cannot be bound.
        UsageError: An argument of another class, or no user.
    """
    check_argument("users", users, Mapping)
    check_argument("port", port, int)
    check_argument("device_types", device_types, Mapping, None)
    check_argument("ssl_context", ssl_context, ssl.SSLContext, None)
    check_argument("busy_s", busy_s, float)
    check_argument("strict_legacy", strict_legacy, bool)
    check_argument("records_kept", records_kept, int)
    check_argument("environment", environment, Environment)
    if not users or records_kept < 1:
        raise UsageError("a platform has one user at least, and keeps one record")
    platform = SeplPlatformSim(
        host=host,
        port=port,
        users=users,
        device_types=device_types,
        ssl_context=ssl_context,
        busy_s=busy_s,
        strict_legacy=strict_legacy,
        records_kept=records_kept,
        environment=environment,
    )
    try:
        async with platform:
            yield platform
    finally:
        platform.end()
