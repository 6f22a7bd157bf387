"""What a program stands in: network, host network, clock and chance, in one value.

Every `open_*`, driver and simulator takes `environment=`. By default that is the
operating system's; a test puts a network in memory, a clock of its own and a seeded
`Random` there, and the same code runs a simulated day in milliseconds, alike each time.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import TypeAlias

from structiot._kit.net.host_network import HostNetwork, host_network_of
from structiot._kit.net.network import REAL_NETWORK, Network

__all__ = ["SYSTEM_ENVIRONMENT", "Clock", "Environment", "system_clock"]

Clock: TypeAlias = Callable[[], datetime]
"""Tells the local time, with its zone."""


def system_clock() -> datetime:
    """Tell the local time of this computer, with its zone."""
    return datetime.now(UTC).astimezone()


class Environment:
    """Where a program runs; safe to share, and never changed once it is made.

    Args:
        network: Where connections and datagrams go.
        host_network: Which networks the machine is part of, and whom it knows there;
            by default the system's where the network is, else nothing.
        clock: Tells the local time with its zone.
        random: Jitter of delays, made-up names; seeded, they repeat. Nothing secret.

    Attributes:
        network: As given.
        host_network: As given, or what fits the network.
        clock: As given.
        random: As given, or one that is seeded by the system.
    """

    __slots__ = ("clock", "host_network", "network", "random")

    def __init__(
        self,
        *,
        network: Network = REAL_NETWORK,
        host_network: HostNetwork | None = None,
        clock: Clock = system_clock,
        random: Random | None = None,
    ) -> None:
        self.network: Network = network
        self.host_network: HostNetwork = host_network or host_network_of(network)
        self.clock: Clock = clock
        self.random: Random = random or Random()  # noqa: S311 - nothing secret

    def __repr__(self) -> str:
        return f"<Environment on {type(self.network).__name__}>"

    def now_utc(self) -> datetime:
        """Tell the time in UTC."""
        if self.clock is system_clock:
            # The way by the local zone costs many times as much.
            return datetime.now(UTC)
        return self.clock().astimezone(UTC)


SYSTEM_ENVIRONMENT = Environment()
