"""What all devices and drivers of one gateway share."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, Protocol

import anyio

from structiot._kit.flow.backoff import Backoff
from structiot._kit.rare_lines import RareLines
from structiot.gateway.announcer import Announcer
from structiot.gateway.config.places import DeviceSection
from structiot.gateway.energy_totals import EnergyTotals
from structiot.gateway.entities.topics import Topics
from structiot.gateway.events import GatewayEvent
from structiot.gateway.records import Records
from structiot.gateway.retrying import Retrying
from structiot.gateway.summaries import Summaries
from structiot.model import DeviceInfo

if TYPE_CHECKING:
    from structiot.gateway.device import GatewayDevice

__all__ = ["GatewayContext", "Places", "TopicSink"]

_log = logging.getLogger(__name__)


class TopicSink(Protocol):
    """Where topics are published; none of it waits."""

    def retain(self, topic: str, payload: str) -> None:
        """Want a retained payload on a topic."""
        ...

    def clear(self, topic: str, *, last_words: str = "") -> None:
        """Want a topic to have no retained message; something may be told there before."""
        ...

    def clear_after(self, topic: str, *, after: str) -> None:
        """Clear a topic once what is wanted on another one has been published."""
        ...

    def hold(self, topics: Iterable[str]) -> None:
        """Leave topics as they are until something is wanted on them again."""
        ...

    def wants(self, topic: str) -> bool:
        """Tell whether something shall stand on a topic."""
        ...

    def repeat(self, topics: Iterable[str]) -> None:
        """Publish some retained topics again although nothing has changed."""
        ...

    def tell(
        self, topic: str, payload: str, *, correlation: bytes | None = None
    ) -> None:
        """Publish something once, soon or not at all; an answer with what it goes with."""
        ...


class Places(Protocol):
    """The levels in topics, of which each device has one."""

    def claim(self, device: GatewayDevice, info: DeviceInfo) -> str:
        """Give a device that was opened its place.

        Raises:
            UsageError: It is in the gateway's care already, from another source.
        """
        ...

    def leave(self, device: GatewayDevice) -> None:
        """Take the place of a device that is given up."""
        ...


@dataclass(slots=True, kw_only=True)
class GatewayContext:
    """What all devices and drivers of one gateway share.

    `retry`, `command_s` and `devices` change when the configuration is reloaded.

    Attributes:
        topics: The gateway's topics.
        sink: Where they are published.
        summaries: Publishes what is made of many values.
        version: Version of structiot, for announcements.
        records: What stands on the broker, and which source led to which device.
        announcer: Announces devices, and clears what they leave.
        clock: Tells the time in UTC.
        random: Jitter of the delays.
        retry: When something that failed is tried again.
        command_s: Longest time for one command.
        energy: What the devices have taken in all, over restarts.
        emit: Tells the gateway's holder what happens.
        devices_changed: Told when there are others, or one is another than it was.
        devices: What the configuration says of single devices, by their level in topics.
        warnings: Lines of the log that whoever asks something brings about.
        response_topics_passed_over: How many there were where nobody is answered.
    """

    topics: Topics
    sink: TopicSink
    summaries: Summaries
    version: str
    records: Records
    announcer: Announcer
    clock: Callable[[], datetime]
    random: Random
    retry: Backoff
    command_s: float
    energy: EnergyTotals
    emit: Callable[[GatewayEvent], None]
    devices_changed: Callable[[], None] = lambda: None
    devices: Mapping[str, DeviceSection] = field(default_factory=dict)
    warnings: RareLines = field(
        default_factory=lambda: RareLines(_log, anyio.current_time)
    )
    response_topics_passed_over: int = 0

    def retrying(self) -> Retrying:
        """Begin a schedule of attempts."""
        return Retrying(lambda: self.retry, self.random)
