"""Who a strip is, and what of it can be named: its ports, and their names."""

from __future__ import annotations

from dataclasses import dataclass

from structiot.errors import UsageError
from structiot.maxsmart.wire.capabilities import name_limit_of
from structiot.maxsmart.wire.messages import DiscoveryReply
from structiot.model import DeviceInfo

__all__ = ["StripInfo", "check_name", "check_port", "info_from"]

# Revogi has made them all; these are what Max Hauri had made, by firmware, and by the
# head of the serial of those with a powerline modem.
_MAX_HAURI_FIRMWARE = frozenset({"1.10", "1.30", "2.11"})
_MAX_HAURI_SERIAL = "SWP"


@dataclass(frozen=True, slots=True, kw_only=True)
class StripInfo(DeviceInfo):
    """Who a strip or plug is.

    Attributes:
        host: Its address or name in the network.
        port_count: Number of its ports.
        port_names: Their names, as the device has them, else `Port 1` and so on.
    """

    host: str
    port_count: int
    port_names: tuple[str, ...]

    @property
    def label(self) -> str:
        """Name and address, as messages give them."""
        return f"{self.name} ({self.host})"


def info_from(
    reply: DiscoveryReply,
    *,
    host: str,
    port_count: int,
    name: str | None = None,
    device_id: str | None = None,
) -> StripInfo:
    """Describe a device by who it says it is and how many ports it shows.

    Args:
        reply: Its answer to a discovery; an empty one if there was none.
        host: Its address.
        port_count: Number of switch states in its data.
        name: What the user calls it; the device's own name if None.
        device_id: Identity that the user gives it; its serial if None, else its MAC.
            A device that has told neither is known by its address, provisionally.
    """
    known_id = device_id or reply.serial or reply.mac
    given = reply.port_names or ()
    names = [given[i] if i < len(given) else "" for i in range(port_count)]
    return StripInfo(
        id=known_id or host,
        is_provisional=known_id is None,
        system="maxsmart",
        name=name or reply.name or f"MaxSmart {host}",
        manufacturer=manufacturer_of(reply),
        model="Smart plug"
        if port_count == 1
        else f"Power strip with {port_count} ports",
        firmware=reply.firmware,
        serial=reply.serial,
        mac=reply.mac,
        host=host,
        port_count=port_count,
        port_names=tuple(name or f"Port {i}" for i, name in enumerate(names, start=1)),
    )


def manufacturer_of(reply: DiscoveryReply) -> str:
    """Tell whose device it is by what it says of itself."""
    is_max_hauri = (reply.serial or "").startswith(_MAX_HAURI_SERIAL)
    if is_max_hauri or reply.firmware in _MAX_HAURI_FIRMWARE:
        return "Max Hauri"
    return "Revogi"


def check_port(info: StripInfo, port: int, *, may_be_all: bool = False) -> None:
    """Refuse a port that does not exist, before anything is sent.

    Raises:
        UsageError: The device has no such port.
    """
    first = 0 if may_be_all else 1
    count = info.port_count
    if isinstance(port, bool) or not isinstance(port, int):
        message = f"a port is a number, not {port!r}"
        raise UsageError(message)
    if not first <= port <= count:
        ports = "its only port is 1" if count == 1 else f"its ports are 1 to {count}"
        hint = " (0 is all)" if may_be_all else ""
        message = f"{info.label} has no port {port}; {ports}{hint}"
        raise UsageError(message)


def check_name(info: StripInfo, new_name: object) -> str:
    """Give a new name without blanks around it, if the device can take it.

    Raises:
        UsageError: It is blank or too long, or has control characters.
    """
    name = new_name.strip() if isinstance(new_name, str) else ""
    if not name:
        message = f"a name is a text that is not blank, not {new_name!r}"
        raise UsageError(message)
    if not name.isprintable():
        message = f"a name has no control characters: {name!r}"
        raise UsageError(message)
    limit = name_limit_of(info.firmware)
    length = limit.length_of(name)
    if length > limit.most:
        message = f"{name!r} has {length} {limit.unit}; firmware "
        message += f"{info.firmware or '?'} takes {limit.most}"
        raise UsageError(message)
    return name
