"""Simulated strips in a thread, and the program that is called against them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from structiot.sim import MaxSmartSim, sim_maxsmart

HOST = "127.0.0.1"


@dataclass
class Simulated:
    """A strip on real sockets, living in another thread."""

    sim: MaxSmartSim
    portal: BlockingPortal

    @property
    def udp(self) -> list[str]:
        """The option for its UDP port."""
        return ["--udp-port", str(self.sim.udp_port)]

    @property
    def where(self) -> list[str]:
        """Its place on the command line."""
        # A family without HTTP refuses connections: so does port 9 here.
        return [HOST, "--http-port", str(self.sim.http_port or 9), *self.udp]

    @property
    def states(self) -> list[bool]:
        """Whether each port is on."""
        ports = range(1, self.sim.family.ports + 1)
        return self.portal.call(lambda: [self.sim.ports[port] for port in ports])

    def set(self, port: int, *, is_on: bool) -> None:
        """Press the button of a port until it is so."""
        self.portal.call(lambda: self.sim.ports.__setitem__(port, is_on))

    def unplug(self) -> None:
        self.portal.call(self.sim.unplug)

    def plug_in(self) -> None:
        self.portal.call(self.sim.plug_in)


Simulate: TypeAlias = Callable[..., Simulated]
Call: TypeAlias = Callable[..., str]


@pytest.fixture
def simulate() -> Iterator[Simulate]:
    """Start a strip of a family; it runs until the test ends."""
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal("asyncio"))

        def start(family: str = "mh_strip_130", **options: Any) -> Simulated:
            options = {"http_port": 0, "udp_port": 0, **options}
            manager = sim_maxsmart(HOST, family=family, **options)
            sim = stack.enter_context(portal.wrap_async_context_manager(manager))
            return Simulated(sim, portal)

        yield start


@pytest.fixture
def strip(simulate: Simulate) -> Simulated:
    """A strip with six ports of known power."""
    loads = [10.0, 0.0, 30.5, 1.25, 0.0, 1200.0]
    return simulate(name="Desk", serial="SWP6000000000001", loads=loads)


@pytest.fixture
def call(call_of: Callable[[str], Call]) -> Call:
    return call_of("maxsmart")
