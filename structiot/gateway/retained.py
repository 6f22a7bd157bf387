"""Reads what earlier runs, and other gateways, left on a broker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import anyio

from structiot._kit.flow.tasks import service_group
from structiot.errors import LinkLost, StructiotError, UsageError
from structiot.gateway.entities.announcement import Announcement, read_announcement
from structiot.gateway.entities.discovery import MIGRATE, ORIGIN
from structiot.gateway.entities.topics import (
    GATEWAY_LEVEL,
    OFFLINE,
    ONLINE,
    Topics,
    gateway_availability,
    identifier_of,
    is_level,
)
from structiot.gateway.records import Records
from structiot.mqtt import Message, MqttClient, SubscribeRefused

__all__ = ["Earlier", "no_more_retained", "read_earlier"]

# Retained messages come right after the subscription; there is no sign of the last. A
# broker answers a ping in its turn: what has not come by then, and a while before, is not there.
_QUIET_S = 0.5
_LONGEST_S = 30.0
_LONG_BYTES = 100_000
_PAUSE_S = 0.02
_MOST = 1000
_MOST_BASES = 256
_DRIVERS = f"/{GATEWAY_LEVEL}/drivers/"
_PAGES = f"/{GATEWAY_LEVEL}/devices/"


@dataclass(slots=True, kw_only=True)
class Earlier:
    """What stands on the broker before anything is announced.

    Attributes:
        own: Announcements that this gateway has made.
        foreign: Those of other gateways, by topic, if they are online.
        orphaned: Those of other gateways, by topic, if they are not.
        vouched: Base topics of gateways that are known to be offline.
        seen: Topics that were cleared before, and where something of ours stands.
        drivers: Topics that tell of the drivers of this gateway.
        pages: Those of the further pages of its devices.
        refused: What the broker does not let be read.
    """

    own: list[Announcement] = field(default_factory=list)
    foreign: dict[str, Announcement] = field(default_factory=dict)
    orphaned: dict[str, Announcement] = field(default_factory=dict)
    vouched: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    drivers: list[str] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    refused: list[StructiotError] = field(default_factory=list)

    def takes_report(self, topic: str, bases: list[str]) -> bool:
        """Take a topic by which this gateway has told of itself; False if it is none."""
        for part, kept in ((_DRIVERS, self.drivers), (_PAGES, self.pages)):
            base, is_ours, name = topic.partition(part)
            if is_ours and base in bases:
                if is_level(name) and len(kept) < _MOST:
                    kept.append(topic)
                return True
        return False


async def read_earlier(
    client: MqttClient,
    topics: Topics,
    records: Records,
    *,
    bases: list[str],
    prefixes: list[str],
) -> Earlier:
    """Read what an earlier run left; returns when there is no more.

    An announcement is this gateway's own if its base topic is, for no two gateways share
    one.

    Args:
        client: The connection to the broker.
        topics: The gateway's topics.
        records: What the gateway knows of.
        bases: Its base topics, present and earlier.
        prefixes: Its discovery prefixes, present and earlier.
    """
    found = Earlier()
    own: dict[object, Announcement] = {}
    others: dict[object, Announcement] = {}

    def take(message: Message) -> None:
        topic = message.topic
        if found.takes_report(topic, bases):
            return
        # Nobody else's is worth a look: there may be thousands.
        if f"/{ORIGIN}_" not in topic:
            return
        one = read_announcement(topic, message.payload)
        is_ours = message.payload == MIGRATE.encode()
        if one is not None:
            is_ours = one.base in bases
            is_known = bool(records.of(one.system, one.id))
            identifier = identifier_of(one.system, one.id)
            if is_ours:
                key = (one.topic, one.base, one.slug, one.system, one.id)
                _add(one, key, own, is_known=is_known)
            elif one.topic in {topics.discovery(identifier, p) for p in prefixes}:
                _add(one, (one.topic, one.base), others, is_known=is_known)
        if is_ours and topic in records.cleared:
            found.seen.add(topic)

    filters = [one for prefix in prefixes for one in topics.all_discovery(prefix)]
    filters += [f"{base}{part}+" for base in bases for part in (_DRIVERS, _PAGES)]
    await _read(client, filters, take, found.refused)
    found.own = list(own.values())
    known_first = sorted(
        others.values(), key=lambda one: not records.of(one.system, one.id)
    )
    wanted = list(dict.fromkeys(one.base for one in known_first))[:_MOST_BASES]
    said = await _availability(client, wanted, found.refused)
    found.vouched = {base for base, payload in said.items() if payload == OFFLINE}
    for one in others.values():
        is_online = said.get(one.base) == ONLINE
        kept = found.foreign if is_online else found.orphaned
        kept[one.topic] = one
    return found


def _add(
    one: Announcement, key: object, found: dict[object, Announcement], *, is_known: bool
) -> None:
    """Add an announcement, or an entity's to that of its device."""
    before = found.get(key)
    if before is not None:
        found[key] = before.joined(one)
    elif is_known or len(found) < _MOST:
        found[key] = one


async def _availability(
    client: MqttClient, bases: list[str], refused: list[StructiotError]
) -> dict[str, str]:
    """Give what some gateways say of themselves, by their base topic."""
    by_topic = {gateway_availability(base): base for base in bases}
    said: dict[str, str] = {}

    def take(message: Message) -> None:
        said[by_topic[message.topic]] = message.payload[:100].decode(errors="replace")

    await _read(client, list(by_topic), take, refused)
    return said


async def _read(
    client: MqttClient,
    filters: list[str],
    take: Callable[[Message], None],
    refused: list[StructiotError],
) -> None:
    """Give what is retained on some topics."""
    if not filters:
        return
    waits_for, are_subscribed, count = len(filters), anyio.Event(), 0

    def subscribed() -> None:
        nonlocal waits_for
        waits_for -= 1
        if waits_for == 0:
            are_subscribed.set()

    async def read(topic_filter: str) -> None:
        nonlocal count
        try:
            async with client.subscription(topic_filter, qos=1) as messages:
                subscribed()
                async for message in messages:
                    if message.retain:
                        count += 1
                        take(message)
                    # What takes long to read is not read without a pause.
                    is_long = len(message.payload) > _LONG_BYTES
                    await anyio.sleep(_PAUSE_S if is_long else 0)
        except (SubscribeRefused, UsageError) as exc:
            refused.append(exc)
            subscribed()

    async with service_group() as tasks:
        for topic_filter in filters:
            tasks.start_soon(read, topic_filter, name="structiot.gateway.retained")
        await are_subscribed.wait()
        await no_more_retained(client, lambda: count)


async def no_more_retained(client: MqttClient, count: Callable[[], int]) -> None:
    """Wait until all retained messages have come, or much longer than they take.

    Args:
        client: What has subscribed to them.
        count: Gives how many have come.
    """
    with anyio.move_on_after(_LONGEST_S):
        before = -1
        while before != count():
            before = count()
            await anyio.sleep(_QUIET_S)
            try:
                await client.ping()
            except LinkLost:
                # They come again with the next connection.
                before = -1
