"""The ways to one device, and what was learnt about them."""

from __future__ import annotations

from random import Random
from typing import Final, Literal, TypeAlias

import anyio

from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.flow.backoff import Backoff
from structiot.errors import StructiotError
from structiot.meross.link.batching import BatchMemory
from structiot.meross.link.brokers import BrokerPlace
from structiot.meross.link.lan import LanLink
from structiot.meross.stats import Transport

__all__ = ["LanHealth", "Policy", "Route"]

Policy: TypeAlias = Literal["lan_first", "lan_only", "cloud_only"]
"""Which ways are taken: the local network, or the cloud where that fails; or one alone."""

# Failures in a row until the local network is left alone, and for how long.
_MOST_FAILURES: Final = 2
_PAUSES: Final = Backoff(first_s=30.0, cap_s=300.0, jitter=0.25)


class LanHealth:
    """Whether it is worth to try the local network while there is the cloud.

    After two failures in a row it is left alone for a while, and then tried by one
    request; as long as that fails, the pauses grow from half a minute to five.

    Attributes:
        error: The last failure; None after a success.
        failures: How many there were in a row.
    """

    def __init__(self, random: Random) -> None:
        self.error: StructiotError | None = None
        self.failures: int = 0
        self._pauses = _PAUSES.start(random)
        self._random = random
        self._paused_until = 0.0

    def may_try(self) -> bool:
        """Tell whether a request may try it; who may has to tell what came of it."""
        if self.failures < _MOST_FAILURES:
            return True
        if anyio.current_time() < self._paused_until:
            return False
        # Others go through the cloud while this one finds out.
        self._pause()
        return True

    def failed(self, error: StructiotError) -> None:
        """A request did not get through."""
        self.error = error
        self.failures += 1
        if self.failures == _MOST_FAILURES:
            self._pause()

    def succeeded(self) -> None:
        """A request was answered."""
        if self.failures:
            self.error = None
            self.failures = 0
            self._pauses = _PAUSES.start(self._random)

    def _pause(self) -> None:
        self._paused_until = anyio.current_time() + (self._pauses.next_delay_s() or 0.0)


class Route:
    """The ways to one device.

    Args:
        uuid: The device.
        broker: The broker that it is connected to; None without a cloud.
        lan: The way to it in the local network; None while its address is not known.
        max_batch: How many requests it takes at once, see `BatchMemory`.
        policy: Which ways to take; None as the router says.
        environment: Draws pauses.

    Attributes:
        uuid: As given.
        name: What the device is called; empty while nobody has said.
        broker: As given; it may be changed.
        policy: As given; it may be changed.
        health: Of the local network.
        batches: What is known about batches.
        last_transport: The way of the last answer; None before there was one, and
            where there is another address to try.
    """

    def __init__(
        self,
        uuid: str,
        *,
        broker: BrokerPlace | None = None,
        lan: LanLink | None = None,
        max_batch: int = 1,
        policy: Policy | None = None,
        environment: Environment = SYSTEM_ENVIRONMENT,
    ) -> None:
        self.uuid: str = uuid
        self.name: str = ""
        self.broker: BrokerPlace | None = broker
        self.policy: Policy | None = policy
        self.batches: BatchMemory = BatchMemory(max_batch)
        self._random = environment.random
        self.lan = lan

    @property
    def label(self) -> str:
        """The device in messages to people: its name as well, where it has one."""
        return f"{self.name} ({self.uuid})" if self.name else self.uuid

    @property
    def lan(self) -> LanLink | None:
        """The way in the local network; another one begins without failures."""
        return self._lan

    @lan.setter
    def lan(self, lan: LanLink | None) -> None:
        self._lan = lan
        self.last_transport: Transport | None = None
        self.health: LanHealth = LanHealth(self._random)
