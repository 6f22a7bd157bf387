"""`sim_senergy`: a SENERGY platform for the length of a block."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Final

from structiot._kit.arguments import check_argument
from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot.errors import UsageError
from structiot.sim.connector.senergy import SenergySim
from structiot.sim.connector.senergy_state import SenergyRules, SenergyState

__all__ = ["sim_senergy"]

_USERS: Final = MappingProxyType({"testuser": "secret"})


@asynccontextmanager
async def sim_senergy(
    users: Mapping[str, str] = _USERS,
    *,
    host: str = "127.0.0.1",
    http_port: int = 0,
    mqtt_port: int = 0,
    device_types: Mapping[str, Collection[str]] | None = None,
    rules: SenergyRules | None = None,
    ssl_context: ssl.SSLContext | None = None,
    records_kept: int = 20_000,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> AsyncGenerator[SenergySim]:
    """Simulate the SENERGY platform for the length of the block.

    It has a token end point, the device manager's API and a broker that keeps the
    platform's rules: clean sessions, topics with the owner, a limit for connections; what
    it ignores is acknowledged.

    Args:
        users: Passwords by user, one at least. The first is who `config` is for.
        host: Address of both sides.
        http_port: Port of the HTTP side; 0 takes a free one.
        mqtt_port: Port of the broker; 0 takes a free one.
        device_types: The services of each device type that there is; None lets any be.
        rules: What it forbids, and how it is set up; `device_types` goes before.
        ssl_context: Certificate and key; without one nothing is encrypted.
        records_kept: How many of the latest calls and messages are held.
        environment: Where its sockets are, and which time it is; the system's by default.

    Yields:
        The platform; `platform.config` is what a connector needs to reach it.

    Raises:
        ConnectFailed: The address or a port cannot be bound.
        UsageError: An argument of another class, or no user.
    """
    check_argument("users", users, Mapping)
    check_argument("http_port", http_port, int)
    check_argument("mqtt_port", mqtt_port, int)
    check_argument("device_types", device_types, Mapping, None)
    check_argument("rules", rules, SenergyRules, None, write="SenergyRules(token_s=60)")
    check_argument("ssl_context", ssl_context, ssl.SSLContext, None)
    check_argument("records_kept", records_kept, int)
    check_argument("environment", environment, Environment)
    if not users or records_kept < 1:
        raise UsageError("a platform has one user at least, and keeps one record")
    rules = rules or SenergyRules()
    if device_types is not None:
        rules.device_types = device_types
    state = SenergyState(rules, environment.random)
    known = [state.add_user(name, password) for name, password in users.items()]
    platform = SenergySim(
        state,
        known[0],
        host=host,
        http_port=http_port,
        mqtt_port=mqtt_port,
        ssl_context=ssl_context,
        records_kept=records_kept,
        environment=environment,
    )
    async with platform.broker, platform:
        yield platform
