"""A device that is asked, and that may speak by itself as well."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

from structiot._device.device import BaseDevice, InfoT
from structiot._device.poller import POLL_WITHIN_S, Poller
from structiot._device.schedule import PollSchedule
from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.flow.tasks import service_group
from structiot.errors import LinkLost
from structiot.model import Entity

__all__ = ["PolledDevice"]


class PolledDevice(BaseDevice[InfoT]):
    """A `BaseDevice` that is polled while somebody watches it.

    Whoever writes one defines `_poll`, which asks the device and calls `_tell`, and
    `_command`. It is polled once as it is opened, so that whoever holds it finds its
    states. What the device says by itself is told by the same `_tell`: it counts as
    being heard of, ends failures, and brings the device back.

    Args:
        info: Who the device is.
        entities: What it has.
        schedule: When it is polled; every 5 s by default.
        offline_after: Failures in a row that make it unavailable, at least 1.
        poll_within_s: How long a poll may take, that of the opening too; one that takes
            longer is cancelled and has failed with `ReplyTimeout`.
        environment: Network, host network, clock and chance; the system's by default.

    Raises:
        UsageError: `offline_after` is less than 1, or `poll_within_s` not above 0 s.
        AuthRefused: At the end of the block, when the device refuses the credentials
            while it is polled.
    """

    def __init__(
        self,
        info: InfoT,
        entities: Iterable[Entity] = (),
        *,
        schedule: PollSchedule | None = None,
        offline_after: int = 3,
        poll_within_s: float = POLL_WITHIN_S,
        environment: Environment = SYSTEM_ENVIRONMENT,
    ) -> None:
        self._poller: Poller = Poller(
            schedule or PollSchedule(),
            offline_after=offline_after,
            poll_within_s=poll_within_s,
            tell_availability=self._tell_availability,
            label=lambda: self._label,
            log=logging.getLogger(f"structiot.{info.system}"),
            environment=environment,
        )
        super().__init__(info, entities, poller=self._poller, environment=environment)

    async def _poll(self) -> object:
        """Ask the device for all that it reports, and `_tell` it.

        Raises:
            TransportError: It could not be reached; it is asked again.
            PeerError: What it says makes no sense, or it is another one; likewise.
            AuthRefused: It refuses the credentials; it is not asked again.
            RateLimited: It has had enough; it is not asked again before its time.
        """
        raise NotImplementedError

    async def _refresh(self) -> None:
        """Poll now, in turn with the other polls; raises what `_poll` does."""
        self._check_open()
        await self._poller.refresh(self._poll)

    @asynccontextmanager
    async def _commanding(self) -> AsyncGenerator[None]:
        """Take the turn of a command; quick polls follow, or one at once if it fails."""
        self._check_open()
        async with self._poller.commanding():
            yield
            self._poller.commanded()

    def _lost(self, reason: str) -> None:
        """Note that the device is away beyond doubt, such as by its hub's word."""
        self._poller.failed(LinkLost(reason), is_certain=True)

    async def _opening(self) -> None:
        """What is done before anybody holds the device: it is polled once."""
        await self._poller.within(self._poll)

    @asynccontextmanager
    async def _running(self) -> AsyncGenerator[None]:
        async with service_group() as tg:
            await self._opening()
            name = f"structiot.{self.info.system}.poll {self._label}"
            tg.start_soon(self._poller.run, self._poll, name=name)
            yield
