"""From what stands on topics of others to states, and from commands to what they take. Pure.

Words are taken in any case, and as `values` of the link says. What Tasmota and zigbee2mqtt
publish needs no `values`: `ON`, `true`, `1`; `OPEN`, `CLOSE`; `LOCK`, `UNLOCK`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from structiot._kit.json_text import compact, number_of, text_of
from structiot.errors import UsageError
from structiot.gateway.config.links import LinkSection
from structiot.gateway.entities.members import on_off
from structiot.gateway.entities.told_members import (
    MISSING,
    MemberPath,
    path_of,
    spoken,
    state_of,
    value_at,
)
from structiot.model import (
    BinarySensor,
    Command,
    Cover,
    CoverAction,
    CoverMotion,
    CoverState,
    Entity,
    Event,
    Light,
    LightState,
    Lock,
    LockAction,
    LockState,
    Number,
    Select,
    Sensor,
    State,
    Switch,
    Text,
)

__all__ = ["NONSENSE", "TopicEntity", "is_online"]

NONSENSE: Final = object()
"""What a value is that the entity cannot be."""

_COVER_WORDS: Final = {
    "open": CoverMotion.OPEN,
    "close": CoverMotion.CLOSED,
    "closed": CoverMotion.CLOSED,
    "opening": CoverMotion.OPENING,
    "closing": CoverMotion.CLOSING,
    "stop": CoverMotion.STOPPED,
    "stopped": CoverMotion.STOPPED,
}
_LOCK_WORDS: Final = {
    **{one.value: one for one in LockState},
    "lock": LockState.LOCKED,
    "unlock": LockState.UNLOCKED,
}
_NOTHING: Final = {"", "none", "null"}


class TopicEntity:
    """One entity of a device that is made of topics.

    Args:
        link: Where it is, and what.

    Attributes:
        topic: Where its state is told.
        entity: What the gateway shows.
        is_json: Whether it stands in a JSON object.
    """

    def __init__(self, link: LinkSection) -> None:
        self._link = link
        self.topic: str = link.topic
        self.entity: Entity = _made(link)
        self._path = None if link.member is None else path_of(link.member)
        level = link.level_member
        self._level_path = None if level is None else path_of(level)
        self.is_json: bool = (self._path or self._level_path) is not None
        values = link.values or {}
        self._ours = {word.casefold(): ours for word, ours in values.items()}
        self._theirs = {ours.casefold(): word for word, ours in values.items()}

    # ------------------------------------------------------------ what it tells

    def state(self, text: str, said: Mapping[str, object] | None) -> object:
        """Read its state.

        Args:
            text: What stands on its topic.
            said: The same as a JSON object; None if it is none.

        Returns:
            The state; `MISSING` if nothing is said of it, `NONSENSE` if what is said
            cannot be.
        """
        if self.is_json and said is None:
            return NONSENSE
        value = self._value(self._path, text, said)
        level: object = MISSING
        if self._level_path is not None:
            level = self._value(self._level_path, text, said)
        if value is MISSING and level is MISSING:
            return MISSING
        if value is None and (level is MISSING or level is None):
            return None
        found = self._state(value, level)
        return NONSENSE if found is None else found

    def happened(self, text: str, said: Mapping[str, object] | None) -> str | None:
        """Read what has happened; None if nothing has."""
        value = self._value(self._path, text, said)
        word = None if value is MISSING else text_of(value)
        return None if word is None or word.casefold() in _NOTHING else word

    def _value(
        self, path: MemberPath | None, text: str, said: Mapping[str, object] | None
    ) -> object:
        if path is None:
            return MISSING if self.is_json else self._mapped(text)
        return MISSING if said is None else self._mapped(value_at(said, path))

    def _mapped(self, value: object) -> object:
        if not self._ours:
            return value
        # As JSON writes it: `true`, `1`.
        word = json.dumps(value) if isinstance(value, bool | int | float) else value
        return (
            self._ours.get(word.casefold(), value) if isinstance(word, str) else value
        )

    def _state(self, value: object, level: object) -> State | None:
        """Give a state; None if it is none."""
        entity = self.entity
        if isinstance(entity, Light):
            return self._light(value, level)
        if isinstance(entity, Cover):
            return self._cover(value, level)
        if isinstance(entity, Number):
            return number_of(value)
        word = (text_of(value) or "").casefold()
        if isinstance(entity, Lock):
            return _LOCK_WORDS.get(word)
        state = state_of(entity, value)
        options = entity.options if isinstance(entity, Select | Sensor) else ()
        return state if not options or state in options else None

    def _light(self, value: object, level: object) -> LightState | None:
        is_on = value if isinstance(value, bool) else None
        if is_on is None and value is not MISSING:
            is_on = on_off(text_of(value) or "")
        percent = self._percent(level)
        if is_on is None and percent is None:
            return None
        return LightState(is_on=is_on, brightness_percent=percent)

    def _cover(self, value: object, level: object) -> CoverState | None:
        motion = _COVER_WORDS.get((text_of(value) or "").casefold())
        percent = self._percent(level)
        if motion is None and percent is None:
            return None
        position = None if percent is None else round(percent)
        return CoverState(motion=motion, position_percent=position)

    def _percent(self, level: object) -> float | None:
        figure = None if level is MISSING else number_of(level)
        if figure is None or not 0 <= figure <= self._link.level_max:
            return None
        return round(figure * 100 / self._link.level_max, 1)

    # ------------------------------------------------------------ what it is told

    def messages(self, command: Command) -> Iterator[tuple[str, str]]:
        """Give what is published for a command: topics and payloads.

        Raises:
            UsageError: It takes no such command.
        """
        link = self._link
        word, percent = self._told(command)
        level = None if percent is None else _plain(percent * link.level_max / 100)
        set_topic = link.set_topic or ""
        if level is not None and link.level_set_topic is not None:
            yield link.level_set_topic, str(level)
            level = None
        if level is None and word is None:
            return
        if link.set_member is None:
            if level is not None:
                message = (
                    f"{self.entity.key} cannot be told a level: no level_set_topic"
                )
                raise UsageError(message)
            yield set_topic, word or ""
            return
        told: dict[str, object] = {}
        if word is not None:
            told[link.set_member] = self._as_json(word)
        if level is not None and self._level_path is not None:
            told[self._level_path[-1]] = level
        yield set_topic, compact(told, is_ascii=False)

    def _told(self, command: Command) -> tuple[str | None, float | None]:
        """Give the word of a command, and the level that it asks for."""
        match command:
            case bool():
                return self._their("ON" if command else "OFF"), None
            case LightState(is_on=is_on, brightness_percent=percent):
                told = None if is_on is None else self._their("ON" if is_on else "OFF")
                return told, None if is_on is False else percent
            case CoverAction() | LockAction():
                return self._their(command.upper()), None
            case int() if isinstance(self.entity, Cover):
                return None, float(command)
            case int() | float():
                return self._their(str(_plain(command))), None
            case str():
                return self._their(command), None
        raise UsageError(f"{self.entity.key} takes no such command")

    def _their(self, word: str) -> str:
        return self._theirs.get(word.casefold(), word)

    def _as_json(self, word: str) -> object:
        if isinstance(self.entity, Number):
            return number_of(word)
        return {"true": True, "false": False}.get(word, word)


def is_online(text: str, said: Mapping[str, object] | None, online: str) -> bool:
    """Tell whether a topic of availability says that a device can be reached.

    zigbee2mqtt writes `{"state": "online"}`, Tasmota and others the word alone.
    """
    word = text if said is None else said.get("state")
    return isinstance(word, str) and word.strip().casefold() == online.casefold()


def _plain(figure: float) -> float:
    """Drop a fraction of nothing: 50, not 50.0; and what nobody needs of another."""
    figure = round(figure, 3)
    return int(figure) if figure == int(figure) else figure


def _made(link: LinkSection) -> Entity:
    """Make the entity of a link."""
    key = link.target.entity
    about: dict[str, Any] = {
        "key": key,
        "name": link.name or spoken((key,)),
        "device_class": link.device_class,
    }
    has_level = link.level_member is not None or link.level_set_topic is not None
    makes: dict[str, Callable[[], Entity]] = {
        "switch": lambda: Switch(**about),
        "sensor": lambda: Sensor(
            **about,
            unit=link.unit,
            state_class=link.state_class,
            decimals=link.decimals,
            options=link.options,
        ),
        "binary_sensor": lambda: BinarySensor(**about),
        "number": lambda: Number(
            **about,
            minimum=link.minimum,
            maximum=link.maximum,
            step=link.step,
            unit=link.unit,
        ),
        "select": lambda: Select(**about, options=link.options),
        "text": lambda: Text(**about),
        "event": lambda: Event(**about, event_types=link.options),
        "lock": lambda: Lock(**about),
        "light": lambda: Light(
            **about, color_modes=frozenset(["brightness"] if has_level else [])
        ),
        "cover": lambda: Cover(**about, has_position=has_level, has_stop=True),
    }
    return makes[link.kind or "sensor"]()
