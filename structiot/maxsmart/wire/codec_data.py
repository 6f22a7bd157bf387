"""What replies hold in `data`: port data, identifiers, clock and statistics.

`read_*` turns a `Reply` into a message, `write_*` a message into the members of
`data`, as the devices of a firmware write them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from structiot._kit.json_text import (
    integer_of,
    number_of,
    text_of,
    violation,
)
from structiot._kit.redact import Secret
from structiot.maxsmart.wire.messages import (
    DeviceClock,
    Identifiers,
    PortData,
    Reply,
    Statistics,
    StatisticsPeriod,
    WattStyle,
    WattUnit,
)

__all__ = [
    "MAX_CURRENT_MA",
    "MAX_PORTS",
    "MAX_POWER_MW",
    "MAX_PRICE",
    "has_power",
    "local_time_of",
    "local_time_text",
    "normal_mac",
    "read_clock",
    "read_identifiers",
    "read_port_data",
    "read_statistics",
    "read_switches",
    "write_clock",
    "write_identifiers",
    "write_port_data",
    "write_statistics",
]

# The largest device has 6; a reply that claims thousands shall not become entities.
MAX_PORTS = 64
_MAX_BUCKETS = 1000
# No outlet carries 25 A at 250 V, and none of these devices feeds back. What says so
# has overflowed, or means nothing: -8388.608 W, 4294967.295 W, 65.535 A.
MAX_CURRENT_MA = 25_000.0
MAX_POWER_MW = 6_250_000.0
# Of a kWh, in any currency.
MAX_PRICE = 10_000.0
_HOURS = {
    StatisticsPeriod.HOUR: 1,
    StatisticsPeriod.DAY: 24,
    StatisticsPeriod.MONTH: 31 * 24,
}
_TIME = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})[, T](\d{1,2}):(\d{1,2}):(\d{1,2})", re.ASCII
)
# Zones travel as hours from UTC plus 12, so that the field is never negative.
ZONE_SHIFT_H = 12


# ---------------------------------------------------------------- port data


def read_port_data(reply: Reply, *, watt_unit: WattUnit | None = None) -> PortData:
    """Read switch states, power and current.

    Each element is judged by itself: text and fractions are watts (amperes),
    integers milliwatts (milliamperes), anything else is None, and so is what cannot
    be: less than nothing, more than 6,250 W or 25 A. A missing or empty list of power or
    current is None for every port.

    Args:
        reply: The device's answer.
        watt_unit: Unit of every power element, whatever its type.

    Raises:
        ProtocolViolation: No switch states, or lists of different lengths, so that
            no figure can be told to belong to a port.
    """
    switches = read_switches(reply)
    ports = len(switches)
    watts = _list_of(reply, "watt", ports)
    amps = _list_of(reply, "amp", ports)
    impossible: list[str] = []
    power_mw = [_milli(element, watt_unit) for element in watts]
    current_ma = [_milli(element, None) for element in amps]
    return PortData(
        switches=switches,
        power_mw=_possible(power_mw, MAX_POWER_MW, "W", impossible),
        current_ma=_possible(current_ma, MAX_CURRENT_MA, "A", impossible),
        style=next((style for e in watts if (style := _style_of(e)) is not None), None),
        impossible=tuple(impossible),
    )


def has_power(reply: Reply) -> bool:
    """Whether a reply holds any figure of power at all."""
    return bool((reply.data or {}).get("watt"))


def read_switches(reply: Reply) -> tuple[bool | None, ...]:
    """Read the switch states alone (command 513, and part of the port data).

    Raises:
        ProtocolViolation: No list of them, an empty one, or more than 64.
    """
    data = reply.data or {}
    elements = data.get("switch")
    if not isinstance(elements, list) or not elements:
        raise violation("reply: no list of switch states", reply.excerpt)
    if len(elements) > MAX_PORTS:
        raise violation(f"reply: {len(elements)} switch states", reply.excerpt)
    return tuple(_switch_state(element) for element in elements)


def write_port_data(
    ports: PortData, style: WattStyle, *, has_power: bool = True
) -> dict[str, object]:
    """Write the `data` of 511 and 90 as a firmware of this style does.

    A figure that is None is written as null, which no device does.
    """
    data: dict[str, object] = {}
    if has_power:
        data["watt"] = [_figure(figure, style) for figure in ports.power_mw]
        data["amp"] = [_figure(figure, style) for figure in ports.current_ma]
    data["switch"] = [None if is_on is None else int(is_on) for is_on in ports.switches]
    return data


def _list_of(reply: Reply, name: str, length: int) -> Sequence[object]:
    elements = (reply.data or {}).get(name)
    if elements is None or elements == []:
        return [None] * length
    if not isinstance(elements, list):
        raise violation(f"reply: `{name}` is no list", reply.excerpt)
    if len(elements) != length:
        message = f"reply: {len(elements)} elements of `{name}` for {length} switches"
        raise violation(message, reply.excerpt)
    return elements


def _switch_state(element: object) -> bool | None:
    if isinstance(element, bool):
        return element
    number = integer_of(element)
    return number == 1 if number in {0, 1} else None


def _style_of(element: object) -> WattStyle | None:
    if number_of(element) is None:
        return None
    if isinstance(element, str):
        return WattStyle.TEXT_W
    return WattStyle.FLOAT_W if isinstance(element, float) else WattStyle.INT_MW


def _milli(element: object, unit: WattUnit | None) -> float | None:
    number = number_of(element)
    if number is None:
        return None
    is_milli = isinstance(element, int) if unit is None else unit == "mW"
    return round(number if is_milli else number * 1000, 3)


def _possible(
    figures: Sequence[float | None], most: float, unit: str, impossible: list[str]
) -> tuple[float | None, ...]:
    """Put None for what cannot be, and note it."""
    impossible += [
        f"{milli / 1000:g} {unit} at port {port}"
        for port, milli in enumerate(figures, start=1)
        if milli is not None and not 0 <= milli <= most
    ]
    return tuple(
        milli if milli is not None and 0 <= milli <= most else None for milli in figures
    )


def _figure(milli: float | None, style: WattStyle) -> object:
    if milli is None:
        return None
    if style is WattStyle.TEXT_W:
        return f"{milli / 1000:.2f}"
    return milli / 1000 if style is WattStyle.FLOAT_W else round(milli)


# ---------------------------------------------------------------- identifiers


def read_identifiers(reply: Reply) -> Identifiers:
    """Read the identifiers of the hardware; those that are missing are None."""
    data = reply.data or {}
    cpu_id, key = text_of(data.get("cpuid")), text_of(data.get("plcdak"))
    return Identifiers(
        cpu_id=cpu_id.upper() if cpu_id else None,
        plc_mac=normal_mac(data.get("plcmac")),
        plc_key=Secret(key) if key else None,
        server=text_of(data.get("server")),
    )


def write_identifiers(identifiers: Identifiers) -> dict[str, object]:
    """Write the `data` of 124."""
    key = identifiers.plc_key
    return {
        "cpuid": identifiers.cpu_id or "",
        "plcmac": (identifiers.plc_mac or "").upper(),
        "plcdak": key.reveal() if key else "",
        "server": identifiers.server or "",
    }


def normal_mac(value: object) -> str | None:
    """Give a hardware address as 12 lower-case hex digits; None if it is none.

    All zeros, all ones and group addresses belong to no device.
    """
    if not isinstance(value, str):
        return None
    digits = re.sub(r"[:.\-\s]", "", value).lower()
    if not re.fullmatch(r"[0-9a-f]{12}", digits) or int(digits, 16) == 0:
        return None
    return None if int(digits[:2], 16) & 1 else digits


# ---------------------------------------------------------------- clock


def read_clock(reply: Reply) -> DeviceClock:
    """Read the device's wall clock.

    Raises:
        ProtocolViolation: No time, or one that no calendar has.
    """
    data = reply.data or {}
    local_time = local_time_of(text_of(data.get("time")) or "")
    if local_time is None:
        raise violation("reply: no time that can be read", reply.excerpt)
    zone = integer_of(reply.extra.get("zone"))
    return DeviceClock(
        local_time=local_time, zone_h=None if zone is None else zone - ZONE_SHIFT_H
    )


def write_clock(clock: DeviceClock) -> dict[str, object]:
    """Write the `data` of 502; the zone, where a firmware has it, is beside `data`."""
    return {"time": local_time_text(clock.local_time)}


def local_time_of(text: str) -> datetime | None:
    """Read `YYYY-MM-DD,HH:MM:SS`; None if it is none or no calendar has it."""
    found = _TIME.fullmatch(text.strip())
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.groups())
    try:
        # The device's wall clock; its zone is not part of the text.
        return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001
    except ValueError:
        return None


def local_time_text(local_time: datetime) -> str:
    """Write a wall-clock time as `YYYY-MM-DD,HH:MM:SS`."""
    return local_time.replace(tzinfo=None, microsecond=0).isoformat(",")


# ---------------------------------------------------------------- statistics


def read_statistics(
    reply: Reply, *, asked: StatisticsPeriod | None = None
) -> Statistics:
    """Read the energy of all ports.

    A figure that cannot be is None: less than nothing, or more than a port that carries
    6,250 W all the time; likewise a price of less than nothing or more than 10,000.

    Args:
        reply: The device's answer.
        asked: What it was asked for; a reply need not repeat that, but shall not
            say otherwise.

    Raises:
        ProtocolViolation: No rows of figures, or a period that is none or another.
    """
    data = reply.data or {}
    rows, period = data.get("watt"), integer_of(data.get("type"))
    if data.get("type") is None:
        period = asked
    if not isinstance(rows, list) or not 0 < len(rows) <= MAX_PORTS:
        raise violation("reply: no rows of figures", reply.excerpt)
    if period not in set(StatisticsPeriod):
        raise violation("reply: no period", reply.excerpt)
    if asked not in {None, period}:
        message = f"reply: period {period} instead of {int(asked or 0)}"
        raise violation(message, reply.excerpt)
    known, impossible = StatisticsPeriod(period), list[str]()
    price = text_of(data.get("cost"))
    number = number_of(price)
    if number is not None and not 0 <= number <= MAX_PRICE:
        impossible.append(f"a price of {number:g}")
        price = None
    most_wh = MAX_POWER_MW / 1000 * _HOURS[known]
    energy = [_possible_energy(_row(row, reply), most_wh) for row in rows]
    impossible += [
        f"{figures[0]:g} Wh of port {port}"
        for port, (_, figures) in enumerate(energy, start=1)
        if figures
    ]
    return Statistics(
        period=known,
        date=text_of(data.get("date")),
        price=price,
        currency=integer_of(data.get("money")),
        energy_raw=tuple(row for row, _ in energy),
        impossible=tuple(impossible),
    )


def write_statistics(statistics: Statistics) -> dict[str, object]:
    """Write the `data` of 510, figures as text; a plug's has no date."""
    data: dict[str, object] = {
        "cost": statistics.price or "0",
        "money": statistics.currency or 0,
        "type": int(statistics.period),
    }
    if statistics.date is not None:
        data["date"] = statistics.date
    data["watt"] = [
        [None if figure is None else f"{figure:.15g}" for figure in row]
        for row in statistics.energy_raw
    ]
    return data


def _possible_energy(
    row: Sequence[float | None], most_wh: float
) -> tuple[tuple[float | None, ...], list[float]]:
    """Put None for what cannot be; give that as well."""
    wrong = [wh for wh in row if wh is not None and not 0 <= wh <= most_wh]
    right = (wh if wh is not None and 0 <= wh <= most_wh else None for wh in row)
    return tuple(right), wrong


def _row(row: object, reply: Reply) -> tuple[float | None, ...]:
    if not isinstance(row, list) or len(row) > _MAX_BUCKETS:
        raise violation("reply: a row of figures is no list or too long", reply.excerpt)
    return tuple(number_of(figure) for figure in row)
