"""`[[links]]` in the configuration: what is joined to what, by names alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Final,
    Literal,
    TypeAlias,
    get_args,
)

from pydantic import AfterValidator, BeforeValidator, Field

from structiot._kit.text import printable
from structiot.errors import UsageError
from structiot.gateway.config.fields import Section, SystemSection
from structiot.gateway.entities.told_members import path_of
from structiot.gateway.entities.topics import slug_of

if TYPE_CHECKING:
    from structiot.gateway.drivers.driver import ServedDevice

__all__ = [
    "KINDS",
    "PLATFORM",
    "TOGGLE",
    "TOPIC",
    "TOPICS_SYSTEM",
    "EntityPattern",
    "LinkKind",
    "LinkSection",
    "TopicsSection",
    "kind_of_link",
]

PLATFORM: Final = "platform"
TOPIC: Final = "mqtt:"
TOGGLE: Final = "TOGGLE"
# The system of the devices that are made of the topics of others.
TOPICS_SYSTEM: Final = "mqtt"
_WILDCARDS: Final = frozenset("*?[")
_LONGEST: Final = 300

LinkKind: TypeAlias = Literal["offer", "device", "publish", "command"]
_Kind: TypeAlias = Literal[
    "switch", "sensor", "binary_sensor", "number", "select", "text", "light", "cover",
    "lock", "event",
]  # fmt: skip
KINDS: Final[tuple[str, ...]] = get_args(_Kind)


@dataclass(frozen=True)
class EntityPattern:
    """An end of a link: `kitchen/port_1`, `kitchen`, `*/port_?`.

    Attributes:
        device: The level of a device in topics, its name, or a pattern of either.
        entity: The key of an entity, or a pattern.
    """

    device: str
    entity: str = "*"

    @classmethod
    def of(cls, text: str) -> EntityPattern:
        """Read an end; without a `/` it is all of a device."""
        device, slash, entity = text.partition("/")
        return cls(device, entity if slash else "*")

    @property
    def is_exact(self) -> bool:
        """Whether it can mean one entity alone."""
        return self.is_one_device and not _WILDCARDS & {*self.entity}

    @property
    def is_one_device(self) -> bool:
        """Whether it can mean entities of one device alone."""
        return not _WILDCARDS & {*self.device}

    @cached_property
    def level(self) -> str:
        """The level in topics of the one device that it means."""
        return slug_of(self.device) or self.device

    def fits_device(self, level: str, name: str) -> bool:
        """Tell whether a device is meant, by its level in topics or by its name."""
        if self.level == level or self.device == name:
            return True
        return fnmatchcase(level, self.device) or fnmatchcase(name, self.device)

    def fits(self, level: str, name: str, key: str) -> bool:
        """Tell whether an entity is meant."""
        return fnmatchcase(key, self.entity) and self.fits_device(level, name)


def kind_of_link(sources: tuple[str, ...], target: str) -> LinkKind:
    """Tell what a link is for: it is said by its ends."""
    if target == PLATFORM:
        return "offer"
    if any(one.startswith(TOPIC) for one in sources):
        return "device"
    return "publish" if target.startswith(TOPIC) else "command"


def _several(given: object) -> object:
    return (given,) if isinstance(given, str) else given


def _check_some(texts: tuple[str, ...]) -> tuple[str, ...]:
    if not texts:
        raise ValueError("name at least one")
    return texts


def _check_end(text: str) -> str:
    if not text.strip() or not text.isprintable() or len(text) > _LONGEST:
        shown = printable(repr(text), most=60)
        raise ValueError(f"{shown} is not 1 to {_LONGEST} characters that can be shown")
    return text


def _payload(given: object) -> object:
    """Write a command as it would be published."""
    if isinstance(given, bool):
        return "ON" if given else "OFF"
    if isinstance(given, int | float | Mapping | list):
        try:
            return json.dumps(given, allow_nan=False, ensure_ascii=False)
        except (TypeError, ValueError, RecursionError):
            raise ValueError("dates, times, inf and nan cannot be sent") from None
    return given


def _check_member(member: str) -> str:
    path_of(member)
    return member


def _check_tags(tags: Mapping[str, str]) -> Mapping[str, str]:
    # Who has no platform needs no connector.
    from structiot.connector import Device  # noqa: PLC0415

    device = Device("any", "any", "any")
    try:
        for tag_id, tag in tags.items():
            device.add_tag(tag_id, tag)
    except UsageError as exc:
        raise ValueError(str(exc)) from None
    return tags


_End: TypeAlias = Annotated[str, AfterValidator(_check_end)]
_Ends: TypeAlias = Annotated[
    tuple[_End, ...],
    BeforeValidator(_several, json_schema_input_type=str | list[str]),
    AfterValidator(_check_some),
    Field(strict=False),
]
_Texts: TypeAlias = Annotated[tuple[_End, ...], Field(strict=False)]
_Member: TypeAlias = Annotated[
    str, AfterValidator(_check_member), Field(examples=["wifi.rssi"])
]
_Figure: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]


class LinkSection(Section):
    """`[[links]]`: something that is joined to something else.

    An end is an entity, `"kitchen/port_1"`: the level of its device in topics, or the
    device's name, and its key. `*` stands for any characters and `?` for one. A topic of
    others is `"mqtt:"` and the topic.

    Attributes:
        from_: What is joined: entities, of one pattern or several; or a topic.
        to: To what: `"platform"`, an entity, or a topic.
        on: Only when this happens, or when the state becomes this.
        set: What is then commanded or published; `"TOGGLE"` is the opposite of what is.
            By default the state itself is handed on.
        values: What words on the left side are on the right side.
        system: Only of devices of this system.
        model: Only of devices of this model.
        type: The device type, as the platform names it.
        tags: Tags of the devices at the platform.
        retain: Whether the broker keeps what is published.
        kind: What a topic of others is shown as.
        member: Where in the JSON object on the topic the value stands, such as
            `"ENERGY.Power"`; by default the whole message is the value.
        set_topic: Where commands are published.
        set_member: The member of the JSON object that commands are published as; by
            default they are plain texts.
        level_member: Where the brightness of a light or the position of a cover stands.
        level_max: What the largest of these is.
        level_set_topic: Where these are published; by default in the JSON object on
            `set_topic`.
        availability: The topic that tells whether the device can be reached.
        online: What stands there if it can, in any case.
        name: What people call the entity.
        device_class: Home Assistant's device class.
        unit: Unit of a figure, as Home Assistant writes it.
        state_class: How a figure behaves over time.
        decimals: Decimals of a figure that are worth showing.
        minimum: Lowest value of a number.
        maximum: Highest value of a number.
        step: Resolution of a number.
        options: What a select or a sensor can be, or what can happen.
    """

    also_called: ClassVar[Mapping[str, str]] = {
        "source": "from", "when": "on", "do": "set", "then": "set", "map": "values",
        "value": "member", "target": "to", "entities": "from", "event_types": "options",
        "min": "minimum", "max": "maximum",
    }  # fmt: skip

    from_: _Ends = Field(alias="from", examples=["kitchen/port_1"])
    to: Annotated[_End, Field(examples=["hall/light"])]
    on: _End | None = None
    set: Annotated[
        str | None, BeforeValidator(_payload, json_schema_input_type=Any)
    ] = None
    values: Mapping[str, str] | None = None
    system: str | None = None
    model: str | None = None
    type: Annotated[str | None, Field(min_length=1, max_length=_LONGEST)] = None
    tags: Annotated[Mapping[str, str], AfterValidator(_check_tags)] | None = None
    retain: bool = False
    kind: _Kind | None = None
    member: _Member | None = None
    set_topic: str | None = None
    set_member: _End | None = None
    level_member: _Member | None = None
    level_max: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 100.0
    level_set_topic: str | None = None
    availability: str | None = None
    online: _End = "online"
    name: Annotated[str, Field(max_length=64), AfterValidator(_check_end)] | None = None
    device_class: (
        Annotated[str, Field(pattern="^[a-z_]{1,32}$", examples=["temperature"])] | None
    ) = None
    unit: _End | None = None
    state_class: Literal["measurement", "total", "total_increasing"] | None = None
    decimals: Annotated[int, Field(ge=0, le=9)] | None = None
    minimum: _Figure = 0.0
    maximum: _Figure = 100.0
    step: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    options: _Texts = ()

    @property
    def what(self) -> LinkKind:
        """What the link is for."""
        return kind_of_link(self.from_, self.to)

    @property
    def title(self) -> str:
        """What it is called in messages."""
        which = ", ".join(self.from_) + (f" of {self.system}" if self.system else "")
        return printable(f"{which} -> {self.to}", most=120)

    # Each look at a house asks it, for each of its entities.
    @cached_property
    def sources(self) -> tuple[EntityPattern, ...]:
        """The entities that it is from."""
        return tuple(map(EntityPattern.of, self.from_))

    @property
    def target(self) -> EntityPattern:
        """The entity that it is to."""
        return EntityPattern.of(self.to)

    @property
    def topic(self) -> str:
        """The topic at its one end."""
        ends = (*self.from_, self.to)
        found = next((one for one in ends if one.startswith(TOPIC)), TOPIC)
        return found.removeprefix(TOPIC)

    @property
    def follows(self) -> bool:
        """Whether a state is handed on, so that the latest counts and no other."""
        return self.on is None and self.set is None

    def keys_of(self, level: str, served: ServedDevice) -> AbstractSet[str] | None:
        """Give the keys of a device's entities that it is from; None for another device."""
        info = served.info
        has = (served.system, "" if info is None else info.model or "")
        for want, given in zip((self.system, self.model), has, strict=True):
            if want is not None and not fnmatchcase(given, want):
                return None
        name = served.name
        ends = [one for one in self.sources if one.fits_device(level, name)]
        if not ends:
            return None
        return {
            key
            for key in served.entities
            if any(fnmatchcase(key, one.entity) for one in ends)
        }


class TopicsSection(SystemSection):
    """The devices that links make of topics of others.

    Attributes:
        devices: The links of each, by the name of the device.
    """

    devices: Mapping[str, tuple[LinkSection, ...]]

    @classmethod
    def of(cls, links: tuple[LinkSection, ...]) -> TopicsSection | None:
        """Find the devices; None if there are none."""
        devices: dict[str, tuple[LinkSection, ...]] = {}
        names: dict[str, str] = {}
        for link in links:
            if link.what == "device":
                target = link.target
                name = names.setdefault(target.level, target.device)
                devices[name] = (*devices.get(name, ()), link)
        return cls.model_construct(devices=devices) if devices else None
