"""Several simulated strips on one machine, found together by one broadcast."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from structiot._kit.arguments import check_argument, check_items
from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.flow.tasks import service_group
from structiot._kit.net.host_names import check_host
from structiot._kit.net.memory import BROADCAST
from structiot._kit.net.network import RealNetwork, UdpSocket
from structiot.errors import ConnectFailed, UsageError
from structiot.sim.maxsmart.families import Family
from structiot.sim.maxsmart.simulator import MaxSmartSim, sim_maxsmart
from structiot.sim.shared.clock import SimClock

__all__ = ["MaxSmartFleet", "sim_maxsmart_broadcast", "sim_maxsmart_fleet"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxSmartFleet:
    """The strips of `sim_maxsmart_fleet`.

    Attributes:
        sims: The strips, in order of their addresses.
        hears_broadcasts: Whether a broadcast reaches them.
    """

    sims: tuple[MaxSmartSim, ...]
    hears_broadcasts: bool


@asynccontextmanager
async def sim_maxsmart_broadcast(
    sims: Sequence[MaxSmartSim],
    *,
    udp_port: int = 8888,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> AsyncGenerator[None]:
    """Hand each broadcast to every one of the strips, which answer from their sockets.

    A socket bound to one address receives no broadcasts, so this binds one to the
    broadcast address itself. One process a machine can do so for a port; macOS and
    Windows do not allow it. Strips on a `MemoryNetwork` need none of this.

    Raises:
        ConnectFailed: The broadcast address cannot be bound.
        UsageError: No list of strips.
    """
    check_items("sims", sims, MaxSmartSim)
    check_argument("udp_port", udp_port, int)
    check_argument("environment", environment, Environment)
    async with (
        environment.network.open_udp(BROADCAST, udp_port) as udp,
        service_group() as tasks,
    ):
        tasks.start_soon(_hand_out, udp, sims)
        yield


async def _hand_out(udp: UdpSocket, sims: Sequence[MaxSmartSim]) -> None:
    while True:
        data, peer = await udp.receive()
        for sim in sims:
            await sim.hear(data, peer)


@asynccontextmanager
async def sim_maxsmart_fleet(
    count: int = 6,
    *,
    family: Family | str | Sequence[Family | str] = "mh_strip_130",
    first_host: str = "127.0.0.2",
    names: Sequence[str] = (),
    http_port: int = 80,
    udp_port: int = 8888,
    seed: int = 0,
    clock: SimClock | None = None,
    history: timedelta = timedelta(0),
    broadcast: bool | None = None,
    requests_kept: int = 1000,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> AsyncGenerator[MaxSmartFleet]:
    """Simulate several strips at consecutive addresses.

    Args:
        count: How many.
        family: Family of all, or several that take turns.
        first_host: Address of the first; the others follow it.
        names: Names of the first ones; the others have `Strip 3` and so on.
        http_port: TCP port of each, 0 for free ones.
        udp_port: UDP port of each, 0 for free ones (then no broadcast is heard).
        seed: Seed of the first; every other has the next one.
        clock: The clock they share; wall time by default.
        history: How long they have been drawing power when the block begins.
        broadcast: Whether they hear broadcasts: True insists on it, False does
            without, None tries and logs a warning if the system does not allow it.
        requests_kept: How many of its latest requests each strip holds.
        environment: Where their sockets are, and which time it is; the system's by default.

    Raises:
        ConnectFailed: An address or a port cannot be bound.
        UsageError: No strips, no such family, or an argument that cannot be.
    """
    check_argument("count", count, int)
    check_items("names", names, str, write='names=["Kitchen"]')
    check_argument("seed", seed, int)
    check_argument("clock", clock, SimClock, None)
    check_argument("broadcast", broadcast, bool, None)
    check_argument("environment", environment, Environment)
    if count < 1:
        message = f"a fleet has at least one strip, not {count}"
        raise UsageError(message)
    families = [family] if isinstance(family, Family | str) else family
    check_items("family", families, Family, str)
    check_host("first_host", first_host, port_goes_to="http_port")
    try:
        first = ipaddress.ip_address(first_host)
    except ValueError:
        raise UsageError(f"first_host is no address: {first_host!r:.100}") from None
    clock = SimClock(environment.now_utc()) if clock is None else clock
    async with AsyncExitStack() as stack:
        sims = [
            await stack.enter_async_context(
                sim_maxsmart(
                    str(first + index),
                    family=families[index % len(families)],
                    name=names[index] if index < len(names) else f"Strip {index + 1}",
                    http_port=http_port,
                    udp_port=udp_port,
                    seed=seed + index,
                    clock=clock,
                    history=history,
                    requests_kept=requests_kept,
                    environment=environment,
                )
            )
            for index in range(count)
        ]
        hears = await _hear_broadcasts(stack, sims, udp_port, broadcast, environment)
        yield MaxSmartFleet(sims=tuple(sims), hears_broadcasts=hears)


async def _hear_broadcasts(
    stack: AsyncExitStack,
    sims: Sequence[MaxSmartSim],
    udp_port: int,
    wanted: bool | None,  # noqa: FBT001 - three values, not a flag
    environment: Environment,
) -> bool:
    if not isinstance(environment.network, RealNetwork):
        return True
    if wanted is False or udp_port == 0:
        return False
    try:
        await stack.enter_async_context(
            sim_maxsmart_broadcast(sims, udp_port=udp_port, environment=environment)
        )
    except ConnectFailed as exc:
        if wanted:
            raise
        _log.warning("the strips will hear no broadcast: %s", exc)
        return False
    return True
