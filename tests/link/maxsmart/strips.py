"""A strip in memory and its client, for the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from random import Random
from typing import Any, TypeVar

import anyio

from structiot import Environment
from structiot._kit.environment import Clock
from structiot._kit.net.host_network import HostNetwork
from structiot.maxsmart import MaxSmartStrip, maxsmart_device
from structiot.maxsmart.wire.messages import HttpNumber, Request
from structiot.sim import FAMILIES, Family, MaxSmartSim, sim_maxsmart
from structiot.testing import MemoryNetwork

T = TypeVar("T")

HOST = "127.0.0.2"
SERIAL = "SWP6000000000001"
HTTP_FAMILIES = [name for name, family in FAMILIES.items() if family.has_http]
V3_FAMILIES = [name for name, family in FAMILIES.items() if not family.has_http]


class WallClock:
    """Local time that runs with the loop's clock, two hours ahead of UTC."""

    def __init__(self) -> None:
        zone = timezone(timedelta(hours=2))
        self.start = datetime(2024, 5, 1, 13, 45, 10, tzinfo=zone)

    def __call__(self) -> datetime:
        return self.start + timedelta(seconds=anyio.current_time())

    def utc(self) -> datetime:
        return self().astimezone(UTC)


@dataclass
class Bench:
    """A simulated strip with its client.

    Attributes:
        sim: The simulator.
        strip: The client.
        network: The network of both.
    """

    sim: MaxSmartSim
    strip: MaxSmartStrip
    network: MemoryNetwork

    def asked(self, *numbers: int) -> list[Request]:
        """Give the HTTP requests with these numbers that reached the strip so far."""
        return [
            request.asked
            for request in self.sim.requests
            if request.number in numbers and isinstance(request.asked, Request)
        ]

    @property
    def polls(self) -> int:
        return len(self.asked(HttpNumber.DATA))

    @property
    def questions(self) -> int:
        """How often the strip was asked who it is."""
        return sum(request.channel == "discovery" for request in self.sim.requests)


def at(*fields: int) -> datetime:
    """Give a time of a device's wall clock, which has no zone."""
    return datetime(*fields)  # type: ignore[arg-type] # noqa: DTZ001


def is_there(strip: MaxSmartStrip) -> bool:
    """Whether the strip is available; a function, so that types do not remember it."""
    return strip.is_available


async def waiting(events: AsyncIterator[T]) -> list[T]:
    """Take everything that waits in an iterator."""
    found: list[T] = []
    while True:
        with anyio.move_on_after(0.001) as scope:
            found.append(await anext(events))
        if scope.cancelled_caught:
            return found


@asynccontextmanager
async def bench(
    family: Family | str = "mh_strip_130",
    *,
    sim: dict[str, Any] | None = None,
    clock: Clock | None = None,
    host_network: HostNetwork | None = None,
    **options: Any,
) -> AsyncGenerator[Bench]:
    """Simulate a strip in memory and open it."""
    network = MemoryNetwork()
    simulated = {"serial": SERIAL} if family == "mh_strip_130" else {}
    environment = Environment(
        network=network,
        host_network=host_network,
        clock=clock or WallClock(),
        random=Random(1),
    )
    async with (
        sim_maxsmart(
            HOST,
            family=family,
            environment=Environment(network=network),
            **{**simulated, **(sim or {})},
        ) as simulator,
        maxsmart_device(HOST, environment=environment, **options) as strip,
    ):
        yield Bench(simulator, strip, network)
