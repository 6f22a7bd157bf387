"""`[[manager.types.NAME.sensors]]` and its like: what a device of a type has."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Field

from structiot.errors import UsageError
from structiot.gateway.config.fields import Section
from structiot.gateway.entities.announcement import KEY
from structiot.gateway.entities.told_members import MemberPath, path_of, spoken
from structiot.gateway.entities.topics import slug_of
from structiot.model import (
    BinarySensor,
    Button,
    Command,
    Entity,
    Event,
    Lock,
    LockAction,
    Sensor,
    Siren,
    SirenState,
    Switch,
    Text,
    Update,
)

__all__ = [
    "ManagerBinarySensorSection",
    "ManagerButtonSection",
    "ManagerEntitySection",
    "ManagerEventSection",
    "ManagerLockSection",
    "ManagerSensorSection",
    "ManagerSirenSection",
    "ManagerSwitchSection",
    "ManagerTextSection",
    "ManagerUpdateSection",
]

_TEXT = "{text}"
_LONGEST_SENT = 16_384


def _check_key(key: str) -> str:
    if not KEY.fullmatch(key):
        raise ValueError(
            f"{key!r} is no key, which has 1 to 64 letters, digits and '_'"
        )
    return key


def _check_shown(text: str) -> str:
    if not text.strip() or not text.isprintable() or len(text) > 64:
        raise ValueError(f"{text!r} is not 1 to 64 characters that can be shown")
    return text


def _check_member(member: str) -> str:
    path_of(member)
    return member


def _check_some(types: tuple[str, ...]) -> tuple[str, ...]:
    if not types:
        raise ValueError("give at least one")
    return types


def _check_sent(sent: object) -> object:
    """Refuse what no message can be made of."""
    if isinstance(sent, str):
        return sent
    if not isinstance(sent, Mapping | list):
        message = "write a text, or a table or an array, which is sent as JSON"
        raise ValueError(message)  # noqa: TRY004 - pydantic's way
    try:
        size = len(json.dumps(sent, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        raise ValueError("dates, times, inf and nan cannot be sent as JSON") from None
    if size > _LONGEST_SENT:
        raise ValueError(f"it is longer than {_LONGEST_SENT} characters")
    return sent


_Key: TypeAlias = Annotated[str, AfterValidator(_check_key), Field(examples=["power"])]
_Shown: TypeAlias = Annotated[str, AfterValidator(_check_shown)]
_Word: TypeAlias = Annotated[
    str, Field(pattern="^[a-z_]{1,32}$", examples=["temperature"])
]
_Member: TypeAlias = Annotated[
    str, AfterValidator(_check_member), Field(examples=["wifi.rssi"])
]
_Sent: TypeAlias = Annotated[Any, AfterValidator(_check_sent)]


def _filled(sent: object, text: str) -> object:
    """Put a text where `{text}` stands."""
    if isinstance(sent, str):
        return sent.replace(_TEXT, text)
    if isinstance(sent, Mapping):
        return {key: _filled(one, text) for key, one in sent.items()}
    return [_filled(one, text) for one in sent] if isinstance(sent, list) else sent


def _message(sent: object) -> str:
    if isinstance(sent, str):
        return sent
    return json.dumps(sent, separators=(",", ":"), ensure_ascii=False)


class ManagerEntitySection(Section):
    """What all of them have; keys and names are made of the others' where they are left out.

    Attributes:
        key: What topics call it.
        name: What people call it.
        device_class: Home Assistant's device class.
    """

    key: _Key | None = None
    name: _Shown | None = None
    device_class: _Word | None = None

    @property
    def path(self) -> MemberPath | None:
        """Where its state stands in what a device says; None if nowhere."""
        member = getattr(self, "member", None)
        return None if member is None else path_of(member)

    @property
    def usual_key(self) -> str:
        """What topics call it; empty if that has to be given."""
        made = slug_of(self.name or " ".join(self.path or ()))
        return self.key or made[:64].strip("_")

    @property
    @abstractmethod
    def entity(self) -> Entity:
        """What the gateway shows."""

    @property
    def _about(self) -> dict[str, Any]:
        return {
            "key": self.usual_key,
            "name": self.name or spoken(self.path or (self.usual_key,)),
            "device_class": self.device_class,
        }

    def message(self, command: Command) -> str:  # noqa: ARG002 - most take some
        """Give what a device is sent for a command.

        Raises:
            UsageError: It takes none.
        """
        raise UsageError(f"{self.usual_key} takes no commands")


class ManagerSensorSection(ManagerEntitySection):
    """`[[manager.types.NAME.sensors]]`: a quantity or a text.

    Attributes:
        member: Where it stands in what the device says, such as `"wifi.rssi"`.
        unit: Its unit, as Home Assistant writes it.
        state_class: How the figure behaves over time.
        decimals: Decimals worth showing.
    """

    member: _Member
    unit: _Shown | None = None
    state_class: Literal["measurement", "total", "total_increasing"] | None = None
    decimals: Annotated[int, Field(ge=0, le=9)] | None = None

    @property
    def entity(self) -> Sensor:
        """What the gateway shows."""
        return Sensor(
            **self._about,
            unit=self.unit,
            state_class=self.state_class,
            decimals=self.decimals,
        )


class ManagerBinarySensorSection(ManagerEntitySection):
    """`[[manager.types.NAME.binary_sensors]]`: something that is true or false.

    Attributes:
        member: Where it stands in what the device says.
    """

    member: _Member

    @property
    def entity(self) -> BinarySensor:
        """What the gateway shows."""
        return BinarySensor(**self._about)


class ManagerSwitchSection(ManagerEntitySection):
    """`[[manager.types.NAME.switches]]`: something to switch.

    Attributes:
        member: Where its state stands in what the device says; without, it is taken to
            be as it was told last.
        on: What is sent to switch it on: a text, or a table or an array as JSON.
        off: What is sent to switch it off.
    """

    member: _Member | None = None
    on: _Sent = "on"
    off: _Sent = "off"

    @property
    def entity(self) -> Switch:
        """What the gateway shows."""
        return Switch(**self._about)

    def message(self, command: Command) -> str:
        """Give what a device is sent for a command."""
        return _message(self.on if command else self.off)


class ManagerLockSection(ManagerEntitySection):
    """`[[manager.types.NAME.locks]]`: the lock of a door.

    Attributes:
        member: Where it stands in what the device says: true or `"locked"`, false or
            `"unlocked"`, or another of `structiot.model.LockState`.
        lock: What is sent to lock it: a text, or a table or an array as JSON.
        unlock: What is sent to unlock it.
    """

    member: _Member
    lock: _Sent = "lock"
    unlock: _Sent = "unlock"

    @property
    def entity(self) -> Lock:
        """What the gateway shows."""
        return Lock(**self._about)

    def message(self, command: Command) -> str:
        """Give what a device is sent for a command."""
        return _message(self.lock if command == LockAction.LOCK else self.unlock)


class ManagerSirenSection(ManagerEntitySection):
    """`[[manager.types.NAME.sirens]]`: a siren.

    Attributes:
        member: Where it stands in what the device says whether it sounds.
        on: What is sent to let it sound: a text, or a table or an array as JSON.
        off: What is sent to silence it.
    """

    member: _Member
    on: _Sent = "on"
    off: _Sent = "off"

    @property
    def entity(self) -> Siren:
        """What the gateway shows."""
        return Siren(**self._about)

    def message(self, command: Command) -> str:
        """Give what a device is sent for a command."""
        # It has neither tones nor a volume, of which a command could be without it.
        is_on = command.is_on if isinstance(command, SirenState) else command
        return _message(self.on if is_on else self.off)


class ManagerUpdateSection(ManagerEntitySection):
    """`[[manager.types.NAME.updates]]`: firmware that can be renewed.

    Attributes:
        member: Where an object stands in what the device says that has `installed` and
            `latest`, both as texts.
        install: What is sent to install it: a text, or a table or an array as JSON;
            without, the device cannot be told to.
    """

    member: _Member
    install: _Sent | None = None

    @property
    def entity(self) -> Update:
        """What the gateway shows."""
        return Update(**self._about, can_install=self.install is not None)

    def message(self, _command: Command) -> str:
        """Give what a device is sent for a command."""
        return _message(self.install)


class ManagerButtonSection(ManagerEntitySection):
    """`[[manager.types.NAME.buttons]]`: something to press.

    Attributes:
        send: What is sent: a text, or a table or an array as JSON.
    """

    send: _Sent

    @property
    def entity(self) -> Button:
        """What the gateway shows."""
        return Button(**self._about)

    def message(self, _command: Command) -> str:
        """Give what a device is sent for a command."""
        return _message(self.send)


def _check_filled(sent: object) -> object:
    """Refuse what would be the same whatever the text."""
    if _filled(sent, "a") == _filled(sent, "b"):
        raise ValueError(f"write {_TEXT} where the text is to stand in it")
    return sent


class ManagerTextSection(ManagerEntitySection):
    """`[[manager.types.NAME.texts]]`: a text to be sent.

    Attributes:
        member: Where it stands in what the device says; without, it is taken to be as it
            was told last.
        send: What is sent; `{text}` stands for the text, anywhere in it.
    """

    member: _Member | None = None
    send: Annotated[_Sent, AfterValidator(_check_filled)] = _TEXT

    @property
    def entity(self) -> Text:
        """What the gateway shows."""
        return Text(**self._about, min_length=1)

    def message(self, command: Command) -> str:
        """Give what a device is sent for a command."""
        return _message(_filled(self.send, str(command)))


class ManagerEventSection(ManagerEntitySection):
    """`[[manager.types.NAME.events]]`: something that happens, told by a message.

    Attributes:
        types: What can happen: the messages that tell it.
        member: Where in the message it stands, if that is a JSON object.
    """

    types: Annotated[
        tuple[_Shown, ...],
        Field(strict=False, examples=[["single", "double"]]),
        AfterValidator(_check_some),
    ]
    member: _Member | None = None

    @property
    def entity(self) -> Event:
        """What the gateway shows."""
        return Event(**self._about, event_types=self.types)
