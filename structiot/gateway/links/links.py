"""Carries out the links from entities to entities, and to topics of others.

A link hands the state of its source on, or it does something when the source becomes
something or something happens to it. What it hands on is the latest state, whenever its
target is there; what it does once is done within the time that commands have, or not at
all. Whatever a link fails of is said once and costs itself.

A change that a link has brought about carries the links that led to it: none of them acts
on it again. What comes round another way is bounded by a number of turns a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import Final

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from structiot._kit.flow.tasks import service_group
from structiot._kit.text import did_you_mean, printable, told_apart
from structiot.errors import UsageError
from structiot.gateway.config.links import LinkSection
from structiot.gateway.drivers.driver import GatewayView, ServedDevice
from structiot.gateway.entities.handing_on import word_of
from structiot.gateway.events import BrokerConnected, DeviceUpdate, GatewayEvent
from structiot.gateway.links.delivering import Delivery
from structiot.gateway.links.running_link import Deed, Place, RunningLink
from structiot.gateway.status import LinkStatus
from structiot.model import (
    Availability,
    DeviceEvent,
    EntitiesChanged,
    Entity,
    Occurrence,
    State,
    StateChange,
)

__all__ = ["GatewayLinks"]

_SETTLED_S: Final = 30.0
# What it has when it is back is told within that.
_BACK_S: Final = 1.0
_ORIGIN_S: Final = 10.0
_MOST_ROUTES: Final = 16_384
_MOST_ORIGINS: Final = 4096
_DEVICES_A_TURN: Final = 32
_EVENTS_A_TURN: Final = 16


class GatewayLinks:
    """The links of a gateway; made by it.

    Args:
        gateway: What is in the gateway's care.
        command_s: Gives the longest time for one command.
    """

    def __init__(self, gateway: GatewayView, command_s: Callable[[], float]) -> None:
        self._gateway = gateway
        self._command_s = command_s
        self._delivery = Delivery(gateway, command_s, self._mark)
        self._links: list[RunningLink] = []
        self._offers: list[RunningLink] = []
        self._routes: dict[Place, tuple[RunningLink, ...]] = {}
        # Which links have brought about what is at a place, and until when that counts.
        self._origins: dict[Place, tuple[tuple[RunningLink, ...], float]] = {}
        self._of_topics: dict[str, list[Place]] = {}
        self._back: set[str] = set()
        self._tasks: TaskGroup | None = None
        self._has_any = anyio.Event()
        self._taken = anyio.Event()

    @property
    def status(self) -> tuple[LinkStatus, ...]:
        """How each link fares, those to the platform as well."""
        return tuple(one.status for one in (*self._links, *self._offers))

    def take(self, sections: Iterable[LinkSection]) -> None:
        """Take the links of a configuration; those that are the same go on."""
        before = {one.written: one for one in (*self._links, *self._offers)}
        links: list[RunningLink] = []
        self._of_topics = {}
        for section in sections:
            if section.what == "device":
                place = (section.target.level, section.target.entity)
                for topic in filter(None, (section.topic, section.set_topic)):
                    self._of_topics.setdefault(topic, []).append(place)
                continue
            link = RunningLink(section)
            links.append(before.get(link.written, link))
        for link, title in zip(
            links, told_apart([one.section.title for one in links]), strict=True
        ):
            link.title = title
        present = {one.written for one in links}
        for written, link in before.items():
            if written not in present:
                link.life.cancel()
        self._links = [one for one in links if one.section.what != "offer"]
        self._offers = [one for one in links if one.section.what == "offer"]
        self._routes.clear()
        if self._links:
            self._has_any.set()
        new = [one for one in self._links if one.written not in before]
        if self._tasks is not None and new:
            name = "structiot.gateway.links.present"
            self._tasks.start_soon(self._see_present, new, name=name)
        self._taken.set()

    async def run(self) -> None:
        """Carry out the links of the gateway until cancelled."""
        self.take(self._gateway.links)
        async with service_group() as self._tasks:
            name = "structiot.gateway.links.names"
            self._tasks.start_soon(self._keep_looking, name=name)
            await self._has_any.wait()
            taken = 0
            async with self._gateway.events() as events:
                async for event in events:
                    await self._take_event(event)
                    taken += 1
                    if taken % _EVENTS_A_TURN == 0:
                        await anyio.lowlevel.checkpoint()

    # ------------------------------------------------------------ what happens

    async def _take_event(self, event: GatewayEvent) -> None:
        if isinstance(event, DeviceUpdate):
            self._take_update(event.device, event.event)
        elif isinstance(event, BrokerConnected):
            await self._see_present(
                [one for one in self._links if one.section.what == "publish"]
            )

    def _take_update(self, level: str, event: DeviceEvent) -> None:
        match event:
            case StateChange(key=key, state=state):
                for link in self._from((level, key)):
                    self._see_state(link, (level, key), state)
            case Occurrence(key=key, event_type=event_type):
                for link in self._from((level, key)):
                    if link.fires_on(event_type):
                        told = link.told(event_type)
                        self._act(link, (level, key), told)
            case Availability(is_available=True):
                self._came_back(level)
            case EntitiesChanged():
                self._routes.clear()

    def _from(self, place: Place) -> tuple[RunningLink, ...]:
        """Give the links that come from an entity."""
        if (known := self._routes.get(place)) is not None:
            return known
        served = self._gateway.devices.get(place[0])
        if served is None:
            return ()
        found = tuple(
            one
            for one in self._links
            if place[1] in (one.section.keys_of(place[0], served) or ())
        )
        if len(self._routes) >= _MOST_ROUTES:
            self._routes.clear()
        self._routes[place] = found
        return found

    def _see_state(self, link: RunningLink, place: Place, state: State | None) -> None:
        """See what an entity is, and have a link do what that is a reason for."""
        served = self._gateway.devices.get(place[0])
        entity = None if served is None else served.entities.get(place[1])
        word = None if entity is None else self._word(entity, state)
        if word is None:
            return
        before = link.changed(place, word)
        if link.section.follows:
            self._hand_on(link, place, self._origin_of(place))
        elif before is not None and link.fires_on(word):
            # What was not known before has not become anything.
            self._act(link, place, link.told(word))

    def _word(self, entity: Entity, state: State | None) -> str | None:
        try:
            return word_of(entity, state)
        except UsageError:
            # The entity is another one by now.
            return None

    def _act(self, link: RunningLink, place: Place, told: str | None) -> None:
        if told is None:
            return
        origin = self._origin_of(place)
        if link in origin:
            link.broke_a_loop()
            return
        until = anyio.current_time() + self._command_s()
        deed = Deed(place, told, (*origin, link), until)
        link.act(self._target_of(link, place), deed)
        self._begin(link)

    def _hand_on(
        self, link: RunningLink, place: Place, origin: tuple[RunningLink, ...]
    ) -> None:
        if link in origin:
            link.broke_a_loop()
            return
        deed = Deed(place, None, (*origin, link))
        link.hand_on(self._target_of(link, place), deed)
        self._begin(link)

    def _target_of(self, link: RunningLink, place: Place) -> str:
        target = link.section.to
        if link.section.what == "publish":
            device, entity = place
            topic = link.section.topic
            return topic.replace("{device}", device).replace("{entity}", entity)
        return target

    def _begin(self, link: RunningLink) -> None:
        if not link.is_busy and self._tasks is not None:
            link.is_busy = True
            name = f"structiot.gateway.link {link.title}"
            self._tasks.start_soon(self._delivery.carry_out, link, name=name)

    # ------------------------------------------------------------ what comes back

    async def _see_present(self, links: Sequence[RunningLink]) -> None:
        """Have links see what their sources are now; in portions, where it takes long."""
        present = set(links).intersection(self._links)
        looks = product(links, self._gateway.devices.items())
        for number, (link, (level, served)) in enumerate(looks, 1):
            if number % _DEVICES_A_TURN == 0:
                await anyio.lowlevel.checkpoint()
                # A reload may have taken some away meanwhile.
                present.intersection_update(self._links)
            if not (link in present and served.is_available):
                continue
            keys = link.section.keys_of(level, served) or ()
            for key, state in tuple(served.states.items()):
                if key in keys:
                    self._see_state(link, (level, key), state)

    def _came_back(self, level: str) -> None:
        if level in self._back or self._tasks is None or not self._to(level):
            return
        self._back.add(level)
        self._tasks.start_soon(
            self._bring_up, level, name="structiot.gateway.links.back"
        )

    def _to(self, level: str) -> list[RunningLink]:
        """Give the links that hand states on to a device."""
        served = self._gateway.devices.get(level)
        return [
            one
            for one in self._links
            if one.section.what == "command"
            and one.section.follows
            and served is not None
            and one.section.target.fits_device(level, served.name)
        ]

    async def _bring_up(self, level: str) -> None:
        """Bring a device that is back to the present state of what it follows."""
        try:
            await anyio.sleep(_BACK_S)
        finally:
            self._back.discard(level)
        for link in self._to(level):
            if link.words:
                self._hand_on(link, next(reversed(link.words)), ())

    # ------------------------------------------------------------ loops

    def _origin_of(self, place: Place) -> tuple[RunningLink, ...]:
        origin, until = self._origins.get(place, ((), 0.0))
        return origin if anyio.current_time() < until else ()

    def _mark(self, target: Place | str, origin: tuple[RunningLink, ...]) -> None:
        """Note which links bring about what is now at a place, or on a topic."""
        now = anyio.current_time()
        if len(self._origins) >= _MOST_ORIGINS:
            kept = {k: one for k, one in self._origins.items() if one[1] > now}
            self._origins = kept
        places = (
            [target] if isinstance(target, tuple) else self._of_topics.get(target, [])
        )
        for place in places:
            self._origins[place] = (origin, now + _ORIGIN_S)

    # ------------------------------------------------------------ names

    async def _keep_looking(self) -> None:
        """Say once which names no device has, when all should be there."""
        while True:
            self._taken = anyio.Event()
            with anyio.move_on_after(_SETTLED_S):
                await self._taken.wait()
                continue
            await self._look_for_names()

    async def _look_for_names(self) -> None:
        for link in [*self._links, *self._offers]:
            missing = await self._missing(link.section)
            # A reload may have taken it away meanwhile.
            if link in self._links or link in self._offers:
                link.settle(missing)

    async def _missing(self, section: LinkSection) -> str | None:
        """Say which name no device has; in portions, as there may be very many."""
        ends = list(section.sources)
        if section.what == "command":
            ends.append(section.target)
        for end in ends:
            devices: Mapping[str, ServedDevice] = self._gateway.devices
            known: set[str] = set()
            is_there = is_known = has_it = False
            for number, (level, one) in enumerate(devices.items()):
                if number % _DEVICES_A_TURN == 0:
                    await anyio.lowlevel.checkpoint()
                if not end.fits_device(level, one.name):
                    continue
                is_there, is_known = True, is_known or one.info is not None
                if any(end.fits(level, one.name, key) for key in one.entities):
                    has_it = True
                    break
                known.update(one.entities)
            shown = printable(end.device, most=60)
            if not is_there:
                return (
                    f"there is no device {shown!r}{did_you_mean(end.device, devices)}"
                )
            if is_known and not has_it:
                near = did_you_mean(end.entity, sorted(known))
                return f"{shown} has no {printable(end.entity, most=60)!r}{near}"
        return None
