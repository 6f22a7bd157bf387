"""One device that is made of topics of others, as the gateway has it."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import anyio
import anyio.lowlevel

from structiot._kit.environment import Environment
from structiot._kit.flow.tasks import service_group
from structiot._kit.rare_lines import RareLines
from structiot._kit.text import printable
from structiot.devices import BaseDevice
from structiot.errors import LinkLost
from structiot.gateway.config.links import TOPICS_SYSTEM, LinkSection
from structiot.gateway.drivers.topics.mapping import NONSENSE, TopicEntity, is_online
from structiot.gateway.entities.told_members import MISSING, object_in
from structiot.gateway.links.foreign_topics import ForeignTopics
from structiot.model import Command, DeviceInfo, Event, State
from structiot.mqtt import Message

__all__ = ["TopicDevice"]

_LONGEST: Final = 16_384
# So often is looked what has come; of states the latest counts.
_ROUND_S: Final = 0.05
_A_ROUND: Final = 5
_MOST_WAITING: Final = 64
_PUBLISH_S: Final = 10.0
_UNHEARD: Final = "nothing has told yet whether it can be reached"

_log = logging.getLogger(__name__)


class TopicDevice(BaseDevice[DeviceInfo]):
    """A device whose states are on topics of others.

    What is there is a stranger's word, at a stranger's pace: of each topic the latest
    message counts, 20 a second at most. Where something happens, all of them count, up to
    100 a second; what is retained has happened to nobody.

    Args:
        name: What it is called.
        links: Its entities.
        topics: The way to the broker.
        environment: As the driver's.
    """

    def __init__(
        self,
        name: str,
        links: tuple[LinkSection, ...],
        topics: ForeignTopics,
        environment: Environment,
    ) -> None:
        info = DeviceInfo(id=links[0].target.level, system=TOPICS_SYSTEM, name=name)
        self._parts = tuple(map(TopicEntity, links))
        entities = [part.entity for part in self._parts]
        super().__init__(info, entities, is_available=False, environment=environment)
        self._topics = topics
        told = [one for one in links if one.availability is not None]
        self._availability_topic = told[0].availability if told else None
        word = [one.online for one in links if "online" in one.model_fields_set]
        self._online_word = word[0] if word else "online"
        self._by_topic: dict[str, list[TopicEntity]] = {}
        for part in self._parts:
            self._by_topic.setdefault(part.topic, []).append(part)
        self._of_moments = {
            part.topic for part in self._parts if isinstance(part.entity, Event)
        }
        self._latest: dict[str, Message] = {}
        self._moments: deque[Message] = deque()
        self._has_come = anyio.Event()
        self._is_online: bool | None = None if told else True
        self._away: str | None = topics.away
        self._lines = RareLines(_log, anyio.current_time)

    @asynccontextmanager
    async def _running(self) -> AsyncGenerator[None]:
        names = dict.fromkeys([*self._by_topic, self._availability_topic])
        topics = [name for name in names if name is not None]
        async with service_group() as tasks:
            tasks.start_soon(self._keep_reading, name="structiot.gateway.topics")
            with self._topics.following(topics, self._take, self._take_connection):
                yield

    async def _command(self, key: str, command: Command) -> None:
        part = next(one for one in self._parts if one.entity.key == key)
        if not self.is_available:
            reason = self.availability.reason
            raise LinkLost(f"{self._label} is not available: {reason}", reason=reason)
        for topic, payload in part.messages(command):
            await self._topics.publish(topic, payload, within_s=_PUBLISH_S)

    # ------------------------------------------------------------ whether it is there

    def _take_connection(self, away: str | None) -> None:
        self._away = away
        self._show_availability()

    def _show_availability(self) -> None:
        reason = ""
        if self._away is not None:
            reason = f"no broker: {self._away}"
        elif self._is_online is None:
            reason = _UNHEARD
        elif not self._is_online:
            reason = f"{printable(self._availability_topic or '', most=100)} says so"
        self._tell_availability(is_available=not reason, reason=reason)

    # ------------------------------------------------------------ what it tells

    def _take(self, message: Message) -> None:
        topic = message.topic
        if len(message.payload) > _LONGEST:
            text = "%s: %s has a message of over %d bytes, which is left out"
            self._lines.say(text, self._label, printable(topic), _LONGEST, about=topic)
            return
        if topic in self._of_moments:
            if len(self._moments) >= _MOST_WAITING:
                self._moments.popleft()
                text = "%s: %s tells more than can be taken; the oldest is left out"
                self._lines.say(text, self._label, printable(topic), about=topic)
            self._moments.append(message)
        else:
            self._latest[topic] = message
        self._has_come.set()

    async def _keep_reading(self) -> None:
        while True:
            await self._has_come.wait()
            latest, self._latest = self._latest, {}
            moments = [
                self._moments.popleft()
                for _ in range(min(_A_ROUND, len(self._moments)))
            ]
            if not self._moments:
                self._has_come = anyio.Event()
            for message in (*latest.values(), *moments):
                self._read(message)
                await anyio.lowlevel.checkpoint()
            await anyio.sleep(_ROUND_S)

    def _read(self, message: Message) -> None:
        payload, topic = message.payload, message.topic
        text = payload.decode(errors="replace").strip("\0 \t\r\n")
        parts = self._by_topic.get(topic, ())
        is_about = topic == self._availability_topic
        said = None
        if is_about or any(part.is_json for part in parts):
            said = object_in(payload)
        if is_about:
            self._is_online = is_online(text, said, self._online_word)
            self._show_availability()
        # An empty message takes a retained one away, and says nothing.
        if not payload:
            return
        states: dict[str, State | None] = {}
        for part in parts:
            if isinstance(part.entity, Event):
                if not message.retain:
                    self._tell_what_happened(part, text, said)
                continue
            state = part.state(text, said)
            if state is NONSENSE:
                line = "%s: what %s says of %s cannot be, and is ignored: %s"
                shown, key = printable(text, most=100), part.entity.key
                self._lines.say(
                    line, self._label, printable(topic), key, shown, about=key
                )
            elif state is not MISSING:
                states[part.entity.key] = state  # type: ignore[assignment]  # nothing else
        self._tell(states)

    def _tell_what_happened(
        self, part: TopicEntity, text: str, said: Mapping[str, object] | None
    ) -> None:
        if (word := part.happened(text, said)) is not None:
            self._tell_occurrence(part.entity.key, printable(word, most=100))
