"""Opening a strip: `maxsmart_device(host)`."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager

from structiot._device.schedule import PollSchedule
from structiot._kit.arguments import check_argument, check_items
from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot.errors import UsageError
from structiot.maxsmart.device import MaxSmartStrip
from structiot.maxsmart.link.strip import StripLink, first_contact
from structiot.maxsmart.wire.capabilities import Capability, capability_named
from structiot.maxsmart.wire.messages import WattUnit

__all__ = ["maxsmart_device"]

_TIMES = ("poll_s", "burst_s", "connect_s", "reply_s", "identify_s")


@asynccontextmanager
async def maxsmart_device(
    host: str,
    *,
    http_port: int = 80,
    udp_port: int = 8888,
    name: str | None = None,
    device_id: str | None = None,
    poll_s: float = 5.0,
    burst_s: float = 2.0,
    burst_polls: int = 4,
    connect_s: float = 5.0,
    reply_s: float = 2.0,
    attempts: int = 2,
    identify_s: float = 300.0,
    offline_after: int = 3,
    watt_unit: WattUnit | None = None,
    assume_supported: Collection[Capability] = (),
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> AsyncGenerator[MaxSmartStrip]:
    """Open a MaxSmart or Revogi power strip or plug in the local network.

    The strip is asked who it is and for its data, by HTTP or else by UDP V3. While
    the block runs it is polled as long as somebody iterates over `readings()`,
    `changes()` or `events()`. If it goes away it is asked on with growing delays, up to a minute;
    when something answers again it is first asked who it is, and another device is
    never taken for this one.

    Args:
        host: Address or name of the device. No broadcast is sent.
        http_port: Its HTTP port.
        udp_port: Its port for discovery and V3.
        name: What to call it; the device's own name by default.
        device_id: Its `info.id`; by default its serial, else its MAC. A device that
            is asked in vain is known by its address meanwhile and asked again while it
            is polled.
        poll_s: Seconds between polls.
        burst_s: Seconds between polls after a command.
        burst_polls: How many polls after a command come so quickly.
        connect_s: Longest time for opening, in seconds.
        reply_s: Longest wait for one reply, in seconds.
        attempts: How often a request of yours is sent at most until it is answered,
            0.3 s apart. A refusal is an answer; polls are made once.
        identify_s: How often the device is asked for its names while it answers
            polls; it sets its clock each time. Whether it is still the same device
            is checked more often, after each failure, and when its data look odd.
        offline_after: Failed polls in a row that make it unavailable.
        watt_unit: Unit of the power figures, where the device's way of writing
            them does not tell.
        assume_supported: What the strip can, whatever is known of its firmware; see
            `MaxSmartStrip.supports`.
        environment: Network, host network, clock and chance; the system's by default.

    Yields:
        The strip.

    Raises:
        ConnectFailed: Nobody answers in time.
        ProtocolViolation: Something answers that is no MaxSmart device.
        MaxSmartRefused: The device refuses to tell its data.
        DeviceReplaced: Discovery and data come from two devices.
        UsageError: An argument makes no sense.

    Example:
        >>> async with maxsmart_device("192.168.1.100") as strip:
        ...     await strip.turn_on(1)
        ...     async with strip.readings() as readings:
        ...         async for reading in readings:
        ...             print(reading.port, reading.power_w)
    """
    times = (poll_s, burst_s, connect_s, reply_s, identify_s)
    for name_, value in zip(_TIMES, times, strict=True):
        check_argument(name_, value, float)
    if not all(0 < time_s < math.inf for time_s in times):
        message = "poll_s, burst_s, connect_s, reply_s and identify_s are above 0 s"
        raise UsageError(message)
    if min(offline_after, attempts) < 1 or burst_polls < 0:
        message = "offline_after and attempts are at least 1, and burst_polls 0"
        raise UsageError(message)
    if watt_unit not in {None, "W", "mW"}:
        message = f"watt_unit is 'W' or 'mW', not {watt_unit!r}"
        raise UsageError(message)
    check_items("assume_supported", assume_supported, str, write="['statistics']")
    assumed = frozenset(map(capability_named, assume_supported))
    link = StripLink(
        host,
        http_port=http_port,
        udp_port=udp_port,
        reply_s=reply_s,
        environment=environment,
    )
    who, first = await first_contact(link, connect_s=connect_s)
    async with MaxSmartStrip(
        link,
        who,
        first,
        schedule=PollSchedule(poll_s=poll_s, burst_s=burst_s, burst_polls=burst_polls),
        offline_after=offline_after,
        attempts=attempts,
        identify_s=identify_s,
        watt_unit=watt_unit,
        name=name,
        device_id=device_id,
        assume_supported=assumed,
        environment=environment,
    ) as strip:
        yield strip
