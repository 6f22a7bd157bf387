"""What a strip is and reports, in SI units and in the words of the common model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from structiot.errors import UsageError
from structiot.maxsmart.identifiers import DeviceIdentifiers, identifiers_from
from structiot.maxsmart.wire.codec_discovery import ports_of_serial
from structiot.maxsmart.wire.messages import DiscoveryReply, PortData
from structiot.model import DeviceInfo, Entity, Reading, Sensor, State, Switch
from structiot.units import from_milli

__all__ = [
    "DiscoveredMaxSmart",
    "StripData",
    "StripInfo",
    "check_port",
    "data_from",
    "discovered_from",
    "entities_of",
    "info_from",
    "port_of_key",
    "states_of",
]

MANUFACTURER = "Revogi"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveredMaxSmart:
    """A device that answered a discovery; None for what it did not say.

    Attributes:
        host: Address that the answer came from.
        serial: Serial number.
        name: Name of the device.
        firmware: Firmware version, such as `"1.30"`.
        mac: Hardware address as 12 lower-case hex digits.
        port_names: Names of the ports; empty where the firmware has none.
        port_count: Number of ports as far as serial or names tell it.
        identifiers: What tells it from others, as far as it was asked.
    """

    host: str
    identifiers: DeviceIdentifiers
    serial: str | None = None
    name: str | None = None
    firmware: str | None = None
    mac: str | None = None
    port_names: tuple[str, ...] = ()
    port_count: int | None = None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class StripData:
    """What a strip reported at one instant, one element a port.

    Attributes:
        device: `StripInfo.id` of the strip.
        at_utc: When it was read.
        is_on: Whether each port is on.
        power_w: Power in watts, resolution 0.01 W or 0.001 W.
        current_a: Current in amperes; None for what the firmware does not report.
    """

    device: str
    at_utc: datetime
    is_on: tuple[bool | None, ...]
    power_w: tuple[float | None, ...]
    current_a: tuple[float | None, ...]

    @property
    def total_power_w(self) -> float | None:
        """Power of all ports; None when that of any is not known."""
        known = [power for power in self.power_w if power is not None]
        return round(sum(known), 3) if len(known) == len(self.power_w) else None

    @property
    def readings(self) -> tuple[Reading, ...]:
        """One reading a port."""
        return tuple(self.reading(port) for port in range(1, len(self.is_on) + 1))

    def reading(self, port: int) -> Reading:
        """The reading of one port, from 1."""
        return Reading(
            device=self.device,
            channel=port,
            at_utc=self.at_utc,
            is_on=self.is_on[port - 1],
            power_w=self.power_w[port - 1],
            current_a=self.current_a[port - 1],
        )


def discovered_from(reply: DiscoveryReply, host: str) -> DiscoveredMaxSmart:
    """Describe the device at `host` by its answer to a discovery."""
    names = reply.port_names or ()
    return DiscoveredMaxSmart(
        host=host,
        identifiers=identifiers_from(host, discovery=reply),
        serial=reply.serial,
        name=reply.name,
        firmware=reply.firmware,
        mac=reply.mac,
        port_names=names,
        port_count=ports_of_serial(reply.serial) or len(names) or None,
    )


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
        manufacturer=MANUFACTURER,
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


def data_from(ports: PortData, *, device: str, at_utc: datetime) -> StripData:
    """Convert what the wire brought to SI units."""
    return StripData(
        device=device,
        at_utc=at_utc,
        is_on=ports.switches,
        power_w=tuple(from_milli(power) for power in ports.power_mw),
        current_a=tuple(from_milli(current) for current in ports.current_ma),
    )


# ---------------------------------------------------------------- the common model


def entities_of(info: StripInfo, *, has_current: bool) -> tuple[Entity, ...]:
    """Describe a switch and a power sensor a port, and the total of a strip."""
    entities: list[Entity] = []
    for port, name in enumerate(info.port_names, start=1):
        key = f"port_{port}"
        entities.append(Switch(key=key, name=name, device_class="outlet"))
        entities.append(_power_sensor(f"{key}_power", f"{name} power"))
        if has_current:
            entities.append(
                Sensor(
                    key=f"{key}_current",
                    name=f"{name} current",
                    device_class="current",
                    unit="A",
                    state_class="measurement",
                    decimals=2,
                )
            )
    if info.port_count > 1:
        entities.append(_power_sensor("total_power", "Total power"))
    return tuple(entities)


def _power_sensor(key: str, name: str) -> Sensor:
    return Sensor(
        key=key,
        name=name,
        device_class="power",
        unit="W",
        state_class="measurement",
        decimals=2,
    )


def states_of(
    data: StripData, *, has_current: bool
) -> Iterator[tuple[str, State | None]]:
    """Give the state of each entity by its key; None for what is not reported."""
    for reading in data.readings:
        key = f"port_{reading.port}"
        yield key, reading.is_on
        yield f"{key}_power", reading.power_w
        if has_current:
            yield f"{key}_current", reading.current_a
    if len(data.is_on) > 1:
        yield "total_power", data.total_power_w


def port_of_key(key: str) -> int | None:
    """Tell the port of a switch from its key, such as `port_3`; None for others."""
    prefix, _, number = key.rpartition("_")
    return int(number) if prefix == "port" and number.isdecimal() else None
