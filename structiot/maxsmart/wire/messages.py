"""What travels between a client and a MaxSmart or Revogi device.

Figures keep the finest scale that any firmware uses: milliwatts and milliamperes.
Ports are numbered from 1 as on the device; port 0 is the whole device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Literal, TypeAlias

from structiot._kit.redact import Secret

__all__ = [
    "ALL_PORTS",
    "CODE_OK",
    "CODE_REFUSED",
    "Command",
    "DeviceClock",
    "DiscoveryReply",
    "DiscoveryRequest",
    "HttpNumber",
    "Identifiers",
    "PortData",
    "ReadClock",
    "ReadData",
    "ReadIdentifiers",
    "ReadStatistics",
    "ReadSwitches",
    "Reply",
    "Request",
    "SetName",
    "SetPort",
    "Statistics",
    "StatisticsPeriod",
    "Transport",
    "V3Number",
    "WattStyle",
    "WattUnit",
]

ALL_PORTS = 0
CODE_OK = 200
CODE_REFUSED = 400

Transport: TypeAlias = Literal["http", "udp_v3"]
WattUnit: TypeAlias = Literal["W", "mW"]


class HttpNumber(IntEnum):
    """Command numbers over HTTP."""

    IDENTIFIERS = 124
    SET_PORT = 200
    SET_NAME = 201
    CLOCK = 502
    STATISTICS = 510
    DATA = 511
    SWITCHES = 513


class V3Number(IntEnum):
    """Command numbers in V3 frames over UDP."""

    SET_PORT = 20
    SET_NAME = 24
    DATA = 90


class WattStyle(StrEnum):
    """How a firmware writes power and current.

    The type of an element decides the unit, never the firmware's number.
    """

    TEXT_W = "text_w"  # "5.20" is watts, amperes likewise
    FLOAT_W = "float_w"  # 5.2 is watts; seen on no firmware, accepted all the same
    INT_MW = "int_mw"  # 5200 is milliwatts, milliamperes likewise


class StatisticsPeriod(IntEnum):
    """Width of the buckets of command 510."""

    HOUR = 0
    DAY = 1
    MONTH = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPort:
    """Switch one port, or all with port 0."""

    port: int
    is_on: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SetName:
    """Name one port, or the device itself with port 0."""

    port: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadData:
    """Ask for switch states, power and current of all ports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSwitches:
    """Ask for the switch states alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadIdentifiers:
    """Ask for the identifiers of the hardware."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadClock:
    """Ask for the time of the device's clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadStatistics:
    """Ask for the energy of all ports, by hour, day or month."""

    period: StatisticsPeriod


Command: TypeAlias = (
    SetPort
    | SetName
    | ReadData
    | ReadSwitches
    | ReadIdentifiers
    | ReadClock
    | ReadStatistics
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A command to the device with this serial; None where it is not known."""

    command: Command
    serial: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The envelope of every reply, HTTP and V3 alike.

    Attributes:
        response: Echo of the command number; None if the reply names none.
        code: 200 or 400; a reply without one is a success.
        data: What was asked for; None in replies to set commands.
        serial: The device's serial, which only some firmware adds.
        extra: Everything else beside `data`, as it is.
        excerpt: What was decoded, for the text of an error.
    """

    response: int | None
    code: int = CODE_OK
    data: Mapping[str, object] | None = None
    serial: str | None = None
    extra: Mapping[str, object] = field(default_factory=dict, repr=False)
    excerpt: bytes = field(default=b"", repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PortData:
    """What command 511 (V3: 90) reports, one element a port.

    Attributes:
        switches: On or off; None for an element that is neither. Their number is
            the number of ports.
        power_mw: Milliwatts; None for what is not reported or is no number.
        current_ma: Milliamperes, likewise.
        style: How the device wrote the power; None where it reported none.
        impossible: The figures that are None because no device can mean them, each with
            its place, for a message.
    """

    switches: tuple[bool | None, ...]
    power_mw: tuple[float | None, ...]
    current_ma: tuple[float | None, ...]
    style: WattStyle | None = None
    impossible: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifiers:
    """What command 124 reports; None for what is absent or empty.

    Attributes:
        cpu_id: 24 upper-case hex digits.
        plc_mac: MAC of the powerline modem as 12 lower-case hex digits.
        plc_key: Access key of the powerline modem.
        server: Host that the device reports to.
    """

    cpu_id: str | None = None
    plc_mac: str | None = None
    plc_key: Secret | None = None
    server: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceClock:
    """What command 502 reports.

    Attributes:
        local_time: The device's wall clock, without a time zone.
        zone_h: Its offset from UTC in hours, which only some firmware adds.
    """

    local_time: datetime
    zone_h: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """What command 510 reports.

    Attributes:
        period: Width of one bucket.
        date: Label of the newest bucket as the device writes it; None on plugs.
        price: Configured price of one kWh, as the device writes it.
        currency: Number of the currency: 0 euro, 1 dollar, 2 yen, 3 Swiss franc.
        energy_raw: One row a port, oldest bucket first, in the device's own figures
            (watt-hours as far as is known); None for what is no number.
        impossible: The figures that are None because no device can mean them, each with
            its place, for a message.
    """

    period: StatisticsPeriod
    date: str | None
    price: str | None
    currency: int | None
    energy_raw: tuple[tuple[float | None, ...], ...]
    impossible: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryRequest:
    """Who is there? Devices also set their clock by the time in it.

    Attributes:
        serial: Only the device with this serial shall answer; None for all.
        local_time: Wall-clock time, without a time zone. None leaves it out, which
            some firmware reads as the year zero: a client always sends it.
        zone_h: Offset of that time from UTC in hours.
        word: `dv` is what the vendor's app sends, `sw` what its document says.
    """

    serial: str | None = None
    local_time: datetime | None = None
    zone_h: int | None = None
    word: Literal["dv", "sw"] = "dv"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryReply:
    """Who a device says it is; None for what it does not say, or not readably.

    Attributes:
        serial: Serial number of 4 to 32 printable characters.
        name: Name of the device.
        firmware: Firmware version, such as `"1.30"`.
        mac: Hardware address as 12 lower-case hex digits.
        port_names: Names of the ports, where the firmware has them; `""` for none.
        pairing_key: The device's secret for its cloud (`sak`).
        extra: Everything else that the reply holds, as it is.
    """

    serial: str | None = None
    name: str | None = None
    firmware: str | None = None
    mac: str | None = None
    port_names: tuple[str, ...] | None = None
    pairing_key: Secret | None = None
    extra: Mapping[str, object] = field(default_factory=dict, repr=False)
