"""What the cloud lists: devices, the subdevices of a hub, the newest firmware.

Facts: reference 1.7 to 1.9 and 2.8. Fields have come and gone over the years, so that of a
device nothing but its uuid is relied on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Final, TypeVar

from structiot._kit.json_text import integer_of, text_of
from structiot.meross.wire.mqtt import broker_of
from structiot.meross.wire.payloads import Item

__all__ = [
    "Channel",
    "CloudDevice",
    "CloudSubdevice",
    "FirmwareVersion",
    "OnlineStatus",
    "item_of",
    "item_of_subdevice",
    "read_devices",
    "read_firmware_versions",
    "read_subdevices",
]

_MAX_CHANNELS: Final = 64
_LONGEST: Final = 128
_LONGEST_URL: Final = 2_000
_LONGEST_NOTES: Final = 4_000
# Nobody had one before 2010; seconds of a century.
_PLAUSIBLE: Final = range(1_262_304_000, 4_102_444_800)
_NOT_IN_TOPICS: Final = frozenset("/+#$ ")

T = TypeVar("T")


class OnlineStatus(IntEnum):
    """Whether a device is connected to the cloud.

    Attributes:
        UNKNOWN: The cloud does not say, or something that nobody knows.
        NOT_ONLINE: It is connecting, or was never seen.
        ONLINE: It is.
        OFFLINE: It was.
        UPGRADING: It is writing new firmware.
    """

    UNKNOWN = -1
    NOT_ONLINE = 0
    ONLINE = 1
    OFFLINE = 2
    UPGRADING = 3

    @classmethod
    def of(cls, value: object) -> OnlineStatus:
        """Read the number of a status, whatever it is."""
        number = integer_of(value)
        return cls(number) if number in set(cls) else cls.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A part of a device as the cloud lists it.

    Attributes:
        number: 0 is the whole of the device.
        name: What its user calls it.
        kind: Such as `"Switch"` or `"USB"`.
    """

    number: int
    name: str | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudDevice:
    """A device as the cloud lists it; None for what it does not say.

    Attributes:
        uuid: Its identity.
        name: The user's name for it.
        model: Such as `"mss310"`, lower case.
        sub_type: Such as `"eu"`.
        channels: All of them, by number.
        status: Whether it is connected to the cloud.
        firmware: Version of the firmware.
        hardware: Version of the hardware.
        region: Such as `"eu"`.
        broker: Host and port of the broker that it is connected to.
        bound_at_utc: Since when it has been the user's.
    """

    uuid: str
    name: str | None = None
    model: str | None = None
    sub_type: str | None = None
    channels: tuple[Channel, ...] = ()
    status: OnlineStatus = OnlineStatus.UNKNOWN
    firmware: str | None = None
    hardware: str | None = None
    region: str | None = None
    broker: tuple[str, int] = broker_of()
    bound_at_utc: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudSubdevice:
    """A device behind a hub as the cloud lists it; None for what it does not say.

    Attributes:
        subdevice_id: Its identity at the hub.
        model: Such as `"mts100v3"`, lower case.
        name: The user's name for it.
    """

    subdevice_id: str
    model: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareVersion:
    """The newest firmware for a model; None for what the cloud does not say.

    Attributes:
        model: Such as `"mss310"`, lower case.
        sub_type: Such as `"eu"`.
        version: Such as `"6.3.22"`.
        url: Where it is.
        md5: Its digest.
        description: What is new, by the maker's words.
    """

    model: str
    sub_type: str | None = None
    version: str | None = None
    url: str | None = None
    md5: str | None = None
    description: str | None = None


def read_devices(
    items: Iterable[Item], *, mqtt_domain: str = ""
) -> tuple[CloudDevice, ...]:
    """Read the list of devices; what has no usable uuid is left out, and what comes twice.

    Args:
        items: As the cloud lists them.
        mqtt_domain: The account's broker, for devices that are listed without one.
    """

    def read(item: Item) -> CloudDevice | None:
        uuid = _identity(item.get("uuid"))
        return _device(uuid, item, mqtt_domain) if uuid else None

    return _once((read(item) for item in items), lambda device: device.uuid)


def item_of(device: CloudDevice) -> dict[str, object]:
    """Give the item that lists a device so, as far as it is remembered.

    Whether it was connected is no news later.
    """
    host, port = device.broker
    return {
        "uuid": device.uuid,
        "devName": device.name,
        "deviceType": device.model,
        "subType": device.sub_type,
        "channels": [
            {"devName": one.name, "type": one.kind} for one in device.channels
        ],
        "fmwareVersion": device.firmware,
        "domain": f"{host}:{port}",
    }


def item_of_subdevice(subdevice: CloudSubdevice) -> dict[str, object]:
    """Give the item that lists a subdevice so."""
    return {
        "subDeviceId": subdevice.subdevice_id,
        "subDeviceType": subdevice.model,
        "subDeviceName": subdevice.name,
    }


def read_subdevices(items: Iterable[Item]) -> tuple[CloudSubdevice, ...]:
    """Read the list of a hub's subdevices; those without an id are left out."""

    def read(item: Item) -> CloudSubdevice | None:
        identity = _identity(item.get("subDeviceId"))
        if identity is None:
            return None
        return CloudSubdevice(
            subdevice_id=identity,
            model=_lower(item.get("subDeviceType")),
            name=_text(item.get("subDeviceName")),
        )

    return _once((read(item) for item in items), lambda one: one.subdevice_id)


def read_firmware_versions(items: Iterable[Item]) -> tuple[FirmwareVersion, ...]:
    """Read the list of the newest firmware; what names no model is left out."""

    def read(item: Item) -> FirmwareVersion | None:
        model = _lower(item.get("type"))
        if model is None:
            return None
        return FirmwareVersion(
            model=model,
            sub_type=_text(item.get("subType")),
            version=_text(item.get("version")),
            url=_text(item.get("url"), _LONGEST_URL),
            md5=_lower(item.get("md5")),
            description=_text(item.get("description"), _LONGEST_NOTES),
        )

    found = (read(item) for item in items)
    return _once(found, lambda one: (one.model, one.sub_type))


def _device(uuid: str, item: Item, mqtt_domain: str) -> CloudDevice:
    return CloudDevice(
        uuid=uuid,
        name=_text(item.get("devName")),
        model=_lower(item.get("deviceType")),
        sub_type=_text(item.get("subType")),
        channels=_channels(item.get("channels")),
        status=OnlineStatus.of(item.get("onlineStatus")),
        firmware=_text(item.get("fmwareVersion")),
        hardware=_text(item.get("hdwareVersion")),
        region=_text(item.get("region")),
        broker=broker_of(item.get("domain"), item.get("reservedDomain"), mqtt_domain),
        bound_at_utc=_time(item.get("bindTime")),
    )


def _time(value: object) -> datetime | None:
    seconds = integer_of(value)
    if seconds is None or seconds not in _PLAUSIBLE:
        return None
    return datetime.fromtimestamp(seconds, UTC)


def _channels(value: object) -> tuple[Channel, ...]:
    rows: Sequence[object] = value[:_MAX_CHANNELS] if isinstance(value, list) else ()
    # One that says nothing of itself, as the first, counts all the same.
    return tuple(
        Channel(
            number=number, name=_text(row.get("devName")), kind=_text(row.get("type"))
        )
        if isinstance(row, dict)
        else Channel(number=number)
        for number, row in enumerate(rows)
    )


def _once(found: Iterable[T | None], key: Callable[[T], object]) -> tuple[T, ...]:
    """Leave out what is none, and what has the key of one before."""
    by_key: dict[object, T] = {}
    for one in found:
        if one is not None:
            by_key.setdefault(key(one), one)
    return tuple(by_key.values())


def _identity(value: object) -> str | None:
    """Give an id as it may stand in a topic; 32 characters, but not always hexadecimal."""
    text = _text(value)
    return text if text and not _NOT_IN_TOPICS & set(text) else None


def _lower(value: object) -> str | None:
    text = _text(value)
    return text.lower() if text else None


def _text(value: object, most: int = _LONGEST) -> str | None:
    text = text_of(value[:most] if isinstance(value, str) else value)
    return text[:most] if text else None
