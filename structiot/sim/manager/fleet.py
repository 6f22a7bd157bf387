"""`sim_devices`: a fleet of devices that dial in, for the length of a block."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import TypeAlias
from uuid import UUID

import anyio

from structiot._kit.arguments import (
    check_argument,
    check_context,
    check_items,
    check_port_argument,
)
from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.flow.tasks import service_group
from structiot._kit.rare_lines import RareLines
from structiot.errors import UsageError
from structiot.manager.wire.dialects import Dialect
from structiot.manager.wire.info import canonical_uuid, fault_of_type
from structiot.sim.manager.behaviour import DialInBehaviour
from structiot.sim.manager.device import DialInSim

__all__ = ["DialInFleet", "sim_devices"]

_log = logging.getLogger("structiot.sim.manager")

DialInFleet: TypeAlias = tuple[DialInSim, ...]
"""Simulated devices, in the order of their UUIDs."""


@asynccontextmanager
async def sim_devices(
    count: int = 1,
    *,
    type: str = "lamp",  # noqa: A002 - the field's word
    host: str = "127.0.0.1",
    port: int = 8595,
    dialect: Dialect | str = Dialect.D0,
    uuids: Sequence[str] | None = None,
    secret: str | bytes | None = None,
    behaviour: DialInBehaviour | None = None,
    ssl_context: ssl.SSLContext | None = None,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> AsyncGenerator[DialInFleet]:
    """Simulate devices that dial in to a manager for the length of the block.

    Each says who it is, answers heartbeats and messages as its type does, and comes again
    when its connection is lost; why, the log of `structiot.sim.manager` says at INFO.
    `misbehave` makes it do otherwise.

    Args:
        count: How many.
        type: What they are: `"lamp"` is switched by `on`, `off`, `toggle` and asked by
            `state`, `"sensor"` tells temperature and humidity each minute, `"test"` answers
            `hello client`, any other sends back what it is sent.
        host: The manager's address.
        port: Its TCP port.
        dialect: What they speak.
        uuids: Their UUIDs; made up by default, the same each time. Two alike are two
            devices that replace each other.
        secret: What all of them share with the manager, in our own dialect alone.
        behaviour: What they do with messages, and tell by themselves; by default what
            their type does.
        ssl_context: Whom they trust, and the certificate that they show; None is no TLS.
        environment: Network, clock and chance; the system's by default.

    Yields:
        The devices.

    Raises:
        UsageError: An argument that cannot be, or that another leaves without effect;
            not as many UUIDs as devices.
    """
    check_argument("count", count, int)
    check_argument("type", type, str)
    check_argument("host", host, str)
    check_port_argument("port", port)
    check_argument("dialect", dialect, str)
    check_argument("secret", secret, str, bytes, None)
    check_argument("behaviour", behaviour, DialInBehaviour, None)
    check_context("ssl_context", ssl_context, is_server=False)
    if uuids is not None:
        check_items("uuids", uuids, str)
    check_argument("environment", environment, Environment)
    if count < 1 or (uuids is not None and len(uuids) != count):
        raise UsageError(f"count is how many devices and UUIDs there are, not {count}")
    try:
        spoken = Dialect(dialect)
    except ValueError:
        message = f"no dialect {dialect!r}; there are {', '.join(Dialect)}"
        raise UsageError(message) from None
    if fault := fault_of_type(type):
        raise UsageError(f"the type {type!r:.80} {fault}")
    if secret is not None and spoken is not Dialect.STRUCTIOT:
        raise UsageError(f"secret goes with dialect='structiot', not with {spoken}")
    key = secret.encode() if isinstance(secret, str) else secret
    names = uuids or [str(UUID(int=number + 1)) for number in range(count)]
    names = [canonical_uuid(one) for one in names]
    ends = RareLines(_log, anyio.current_time, logging.INFO)
    async with service_group() as tg:
        fleet = tuple(
            DialInSim(
                uuid,
                type,
                spoken,
                address=(host, port),
                secret=key,
                ssl_context=ssl_context,
                behaviour=behaviour,
                ends=ends,
                environment=environment,
            )
            for uuid in names
        )
        for device in fleet:
            tg.start_soon(device.run)
        yield fleet
