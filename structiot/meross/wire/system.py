"""What a device says about itself: `Appliance.System.All` and `.Ability`.

Facts: reference 4.2 and 4.3.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from structiot._kit.json_text import integer_of, text_of
from structiot.meross.wire.encryption import mac_of_uuid
from structiot.meross.wire.payloads import Item, object_of

__all__ = [
    "ABILITY",
    "ALL",
    "Abilities",
    "SystemAll",
    "max_batch_of",
    "payload_of",
    "read_abilities",
    "read_all",
]

ALL: Final = "Appliance.System.All"
ABILITY: Final = "Appliance.System.Ability"
_MAX_ABILITIES: Final = 512
# It says that it takes batches and does not.
_NO_BATCH_ON_MRS100: Final = (2, 1, 4)

Abilities = Mapping[str, Item]
"""The attributes of each ability, mostly none, by namespace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemAll:
    """A device by its own words; None for what it does not say.

    Attributes:
        uuid: Its identity.
        model: Such as `"mss310"`, lower case.
        sub_type: Such as `"eu"`.
        hardware: Version of the hardware.
        firmware: Version of the firmware.
        mac: Hardware address, lower case with colons.
        lan_host: Its address in the local network, by its own words.
        server: Broker that it is connected to.
        port: The broker's port.
        user_id: Whose device it is.
        timezone: IANA name of its time zone.
        is_online: Whether it is connected to the cloud.
        digest: The state of everything in short, by feature; that of legacy devices
            has the keys `toggle`, `trigger` and `timer`.
    """

    uuid: str | None = None
    model: str | None = None
    sub_type: str | None = None
    hardware: str | None = None
    firmware: str | None = None
    mac: str | None = None
    lan_host: str | None = None
    server: str | None = None
    port: int | None = None
    user_id: str | None = field(default=None, repr=False)
    timezone: str | None = None
    is_online: bool | None = None
    digest: Mapping[str, object] = field(default_factory=dict)


def read_all(payload: Mapping[str, object]) -> SystemAll:
    """Read the payload of `Appliance.System.All`."""
    hardware = object_of(payload, "all", "system", "hardware")
    firmware = object_of(payload, "all", "system", "firmware")
    status = integer_of(object_of(payload, "all", "system", "online").get("status"))
    uuid = _short(hardware.get("uuid"))
    mac = _short(hardware.get("macAddress"))
    model = _short(hardware.get("type"))
    return SystemAll(
        uuid=uuid,
        model=model.lower() if model else None,
        sub_type=_short(hardware.get("subType")),
        hardware=_short(hardware.get("version")),
        firmware=_short(firmware.get("version")),
        mac=mac.lower() if mac else mac_of_uuid(uuid) if uuid else None,
        lan_host=_address(firmware.get("innerIp")),
        server=_short(firmware.get("server")),
        port=integer_of(firmware.get("port")),
        user_id=_short(firmware.get("userId")),
        timezone=_short(object_of(payload, "all", "system", "time").get("timezone")),
        is_online=None if status is None else status == 1,
        digest=object_of(payload, "all", "digest")
        or object_of(payload, "all", "control"),
    )


def payload_of(system: SystemAll) -> dict[str, object]:
    """Give the payload that says the same of a device, as far as it is remembered."""
    hardware = {
        "uuid": system.uuid,
        "macAddress": system.mac,
        "type": system.model,
        "subType": system.sub_type,
        "version": system.hardware,
    }
    firmware = {"version": system.firmware, "innerIp": system.lan_host}
    time = {"timezone": system.timezone}
    about = {"hardware": hardware, "firmware": firmware, "time": time}
    # It tells what the device has; what of it was on is no news later.
    return {"all": {"system": about, "digest": dict(system.digest)}}


def read_abilities(payload: Mapping[str, object]) -> Abilities:
    """Read the payload of `Appliance.System.Ability`; attributes that are none are {}."""
    found = object_of(payload, "ability")
    names = [name for name in found if len(name) <= 128][:_MAX_ABILITIES]
    return {name: object_of(found, name) for name in names}


def max_batch_of(abilities: Abilities, system: SystemAll) -> int:
    """Tell how many requests a device takes at once; 1 without batches."""
    if system.model == "mrs100" and _version(system.firmware) <= _NO_BATCH_ON_MRS100:
        return 1
    attributes = abilities.get("Appliance.Control.Multiple", {})
    return max(1, min(integer_of(attributes.get("maxCmdNum")) or 1, 16))


def _version(text: str | None) -> tuple[int, ...]:
    parts = (text or "").split(".")[:4]
    return tuple(int(part) for part in parts if part.isdecimal() and len(part) < 9)


def _address(value: object) -> str | None:
    """Give an address that is one, and one device's: it is where we are going to ask."""
    try:
        address = ipaddress.ip_address(_short(value) or "")
    except ValueError:
        return None
    is_none = address.is_multicast or address.is_unspecified or address.is_global
    # Interfaces of the device, which stand behind a %, are not ours, and may be any text.
    is_scoped = getattr(address, "scope_id", None) is not None
    return None if is_none or is_scoped else str(address)


def _short(value: object) -> str | None:
    text = text_of(value)
    return text[:128] if text else None
