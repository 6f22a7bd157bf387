"""Reads what earlier runs, and other gateways, left on a broker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field

import anyio
import anyio.lowlevel

from structiot._kit.flow.tasks import service_group
from structiot.gateway.entities.announcement import Announcement, read_announcement
from structiot.gateway.entities.discovery import ORIGIN
from structiot.gateway.entities.topics import (
    GATEWAY_LEVEL,
    ONLINE,
    Topics,
    gateway_availability,
    identifier_of,
)
from structiot.mqtt import Message, MqttClient, SubscribeRefused

__all__ = ["Earlier", "read_earlier"]

# Retained messages come right after the subscription; there is no sign of the last.
_QUIET_S = 0.5
_LONGEST_S = 10.0
_MOST = 1000
_DRIVERS = f"/{GATEWAY_LEVEL}/drivers/"


@dataclass(slots=True, kw_only=True)
class Earlier:
    """What stands on the broker before anything is announced.

    Attributes:
        own: Announcements that this gateway has made.
        foreign: Those of other gateways, by topic, if they are online.
        orphaned: Those of other gateways, by topic, if they are not.
        seen: Every topic of a device's discovery that has something of this program.
        drivers: Topics that tell of the drivers of this gateway.
        refused: What the broker does not let be read.
    """

    own: list[Announcement] = field(default_factory=list)
    foreign: dict[str, Announcement] = field(default_factory=dict)
    orphaned: dict[str, Announcement] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    drivers: list[str] = field(default_factory=list)
    refused: list[SubscribeRefused] = field(default_factory=list)


async def read_earlier(
    client: MqttClient, topics: Topics, *, bases: list[str], prefixes: list[str]
) -> Earlier:
    """Read what an earlier run left; returns when no more has come for a while.

    An announcement is this gateway's own if its base topic is, for no two gateways share
    one.

    Args:
        client: The connection to the broker.
        topics: The gateway's topics.
        bases: Its base topics, present and earlier.
        prefixes: Its discovery prefixes, present and earlier.
    """
    found = Earlier()
    own: dict[object, Announcement] = {}
    others: dict[object, Announcement] = {}

    def take(message: Message) -> None:
        base, is_driver, _ = message.topic.partition(_DRIVERS)
        if is_driver and base in bases:
            found.drivers.append(message.topic)
            return
        if f"/device/{ORIGIN}_" in message.topic and len(found.seen) < _MOST:
            found.seen.add(message.topic)
        # Nobody else's is worth a look: there may be thousands.
        if f"/{ORIGIN}_" not in message.topic:
            return
        one = read_announcement(message.topic, message.payload)
        if one is None:
            return
        if one.base in bases:
            _add(one, (one.topic, one.base, one.slug, one.system, one.id), own)
        elif one.topic == topics.discovery(identifier_of(one.system, one.id)):
            _add(one, (one.topic, one.base), others)

    filters = [one for prefix in prefixes for one in topics.all_discovery(prefix)]
    filters += [f"{base}{_DRIVERS}+" for base in bases]
    await _read(client, filters, take, found.refused)
    found.own = list(own.values())
    bases_of_others = {one.base for one in others.values()}
    online = await _online(client, bases_of_others, found.refused)
    for one in others.values():
        kept = found.foreign if one.base in online else found.orphaned
        kept[one.topic] = one
    return found


def _add(one: Announcement, key: object, found: dict[object, Announcement]) -> None:
    """Add an announcement, or an entity's to that of its device."""
    before = found.get(key)
    if before is not None:
        found[key] = before.joined(one)
    elif len(found) < _MOST:
        found[key] = one


async def _online(
    client: MqttClient, bases: set[str], refused: list[SubscribeRefused]
) -> set[str]:
    """Give those of some gateways, by their base topic, that are online."""
    by_topic = {gateway_availability(base): base for base in bases}
    online: set[str] = set()

    def take(message: Message) -> None:
        if message.payload == ONLINE.encode():
            online.add(by_topic[message.topic])

    await _read(client, by_topic, take, refused)
    return online


async def _read(
    client: MqttClient,
    filters: Iterable[str],
    take: Callable[[Message], None],
    refused: list[SubscribeRefused],
) -> None:
    """Give what is retained on some topics."""

    async def read(topic_filter: str) -> None:
        try:
            async with client.subscription(topic_filter, qos=1) as messages:
                await _until_quiet(messages, take)
        except SubscribeRefused as exc:
            refused.append(exc)

    async with service_group(is_awaited=True) as tasks:
        for topic_filter in filters:
            tasks.start_soon(read, topic_filter, name="structiot.gateway.retained")


async def _until_quiet(
    messages: AsyncIterator[Message], take: Callable[[Message], None]
) -> None:
    with anyio.move_on_after(_LONGEST_S) as patience:
        at_last = patience.deadline
        patience.deadline = anyio.current_time() + _QUIET_S
        async for message in messages:
            if message.retain:
                take(message)
            await anyio.lowlevel.checkpoint()
            patience.deadline = min(at_last, anyio.current_time() + _QUIET_S)
