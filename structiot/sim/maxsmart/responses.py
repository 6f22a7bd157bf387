"""What a strip is asked and what it says: datagrams and HTTP targets to contents.

Contents are JSON as bytes; the transports put them into frames. A `Question` that
the device does not understand or that is not for it has no answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from structiot._kit.redact import Secret
from structiot.errors import ProtocolViolation
from structiot.maxsmart.wire.codec import (
    V3_PREFIX,
    decode_http_target,
    decode_v3_request,
    encode_reply,
    response_number,
)
from structiot.maxsmart.wire.codec_data import (
    ZONE_SHIFT_H,
    write_clock,
    write_identifiers,
    write_port_data,
    write_statistics,
)
from structiot.maxsmart.wire.codec_discovery import (
    decode_discovery_request,
    encode_discovery_reply,
)
from structiot.maxsmart.wire.messages import (
    CODE_REFUSED,
    Command,
    DeviceClock,
    DiscoveryReply,
    DiscoveryRequest,
    Identifiers,
    ReadClock,
    ReadData,
    ReadIdentifiers,
    ReadStatistics,
    ReadSwitches,
    Reply,
    Request,
    SetName,
    SetPort,
    Statistics,
    StatisticsPeriod,
)
from structiot.sim.maxsmart.families import Support
from structiot.sim.maxsmart.response_faults import MaxSmartFaults, corrupted
from structiot.sim.maxsmart.strip import Strip
from structiot.sim.shared.energy import Bucket

__all__ = [
    "Channel",
    "Question",
    "answer",
    "question_of_datagram",
    "question_of_target",
]

Channel = Literal["discovery", "v3", "http"]

_DONE = Reply(response=None)
_REFUSED = Reply(response=None, code=CODE_REFUSED)
_DATE_LENGTH = {
    StatisticsPeriod.HOUR: len("2024-05-01-13"),
    StatisticsPeriod.DAY: len("2024-05-01"),
    StatisticsPeriod.MONTH: len("2024-05"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What came in.

    Attributes:
        channel: How it came.
        asked: What it means; None if the device does not understand it.
        has_json: An HTTP request with `json=`.
    """

    channel: Channel
    asked: Request | DiscoveryRequest | None
    has_json: bool = True

    @property
    def number(self) -> int | None:
        """The number of the command, where it has one."""
        if not isinstance(self.asked, Request):
            return None
        return response_number(self.asked.command, is_v3=self.channel == "v3")

    @property
    def words(self) -> frozenset[str]:
        """What faults can be meant for: the channel, the number, `"command"`."""
        if self.channel == "discovery":
            return frozenset({"discovery"})
        return frozenset({self.channel, "command", str(self.number)})


def question_of_target(target: str) -> Question:
    """Read the target of a GET."""
    try:
        asked = decode_http_target(target)
    except ProtocolViolation:
        asked = None
    return Question(channel="http", asked=asked, has_json="json=" in target)


def question_of_datagram(data: bytes) -> Question:
    """Read a datagram."""
    asked: Request | DiscoveryRequest | None = None
    channel: Channel = "v3" if data.startswith(V3_PREFIX) else "discovery"
    try:
        if channel == "v3":
            asked = decode_v3_request(data)
        else:
            asked = decode_discovery_request(data)
    except ProtocolViolation:
        pass
    return Question(channel=channel, asked=asked)


def answer(
    strip: Strip,
    question: Question,
    faults: MaxSmartFaults,
    *,
    is_refused: bool = False,
) -> bytes | None:
    """Carry out what was asked and give the content of the answer.

    None is silence by UDP and a closed connection by HTTP.
    """
    match question.asked:
        case DiscoveryRequest() as request if not is_refused:
            return _discovered(strip, request, faults)
        case Request(command=command, serial=serial):
            number = question.number
            is_foreign = serial is not None and serial != strip.serial
            if is_foreign and strip.family.checks_serial:
                return None
            if is_refused:
                return encode_reply(Reply(response=number, code=CODE_REFUSED))
            if question.channel == "v3":
                reply = _v3_reply(strip, command, faults)
            else:
                reply = _http_reply(strip, command, faults)
            return (
                None if reply is None else encode_reply(replace(reply, response=number))
            )
        case _:
            return None


# ---------------------------------------------------------------- discovery


def _discovered(
    strip: Strip, request: DiscoveryRequest, faults: MaxSmartFaults
) -> bytes | None:
    if request.serial is not None and request.serial != strip.serial:
        return None
    if request.local_time is None:
        strip.confuse_clock()
    else:
        strip.set_clock(request.local_time, request.zone_h)
    family = strip.family
    extra = dict(family.extra)
    if family.port_names == "null":
        extra["pname"] = None
    if family.has_zone:
        extra["time"] = write_clock(DeviceClock(local_time=strip.local_time()))["time"]
    has_names = family.port_names == "names"
    serial = corrupted(strip.serial) if faults.is_serial_corrupted else strip.serial
    return encode_discovery_reply(
        DiscoveryReply(
            serial=serial,
            name=strip.name,
            firmware=family.firmware,
            mac="02" + strip.made_up("mac", 10).lower(),
            port_names=tuple(strip.port_names) if has_names else None,
            pairing_key=Secret(strip.made_up("sak", 12)),
            extra=extra,
        )
    )


# ---------------------------------------------------------------- commands


def _v3_reply(strip: Strip, command: Command, faults: MaxSmartFaults) -> Reply | None:
    family = strip.family
    if family.v3 == "no":
        return None
    match command:
        case SetPort(port=port, is_on=is_on):
            is_done = _switch(strip, port, faults, is_on=is_on)
        case SetName(port=port, name=name) if family.v3_rename:
            is_done = strip.rename(port, name)
        case ReadData():
            data = write_port_data(
                strip.port_data(), family.watts, has_power=family.v3 == "full"
            )
            return Reply(response=None, data=data)
        case _:
            return None
    if not is_done:
        return _REFUSED
    return Reply(response=None, serial=strip.serial if family.v3_serial else None)


def _http_reply(strip: Strip, command: Command, faults: MaxSmartFaults) -> Reply | None:
    support = _support(strip, command)
    if support != "yes":
        return _REFUSED if support == "refuse" else None
    match command:
        case SetPort(port=port, is_on=is_on):
            return _DONE if _switch(strip, port, faults, is_on=is_on) else _REFUSED
        case SetName(port=port, name=name):
            return _DONE if strip.rename(port, name) else _REFUSED
        case ReadClock():
            return _clock_reply(strip)
        case _:
            return Reply(response=None, data=_data(strip, command))


def _data(
    strip: Strip, command: ReadData | ReadSwitches | ReadIdentifiers | ReadStatistics
) -> dict[str, object]:
    match command:
        case ReadData() | ReadSwitches():
            return write_port_data(
                strip.port_data(),
                strip.family.watts,
                has_power=isinstance(command, ReadData),
            )
        case ReadIdentifiers():
            return write_identifiers(_identifiers(strip))
        case ReadStatistics(period=period):
            return write_statistics(_statistics(strip, period))


def _support(strip: Strip, command: Command) -> Support:
    family = strip.family
    match command:
        case SetName():
            return family.rename
        case ReadIdentifiers():
            return family.identifiers
        case ReadClock():
            return family.clock
        case ReadStatistics():
            return family.statistics
        case _:
            return "yes"


def _switch(strip: Strip, port: int, faults: MaxSmartFaults, *, is_on: bool) -> bool:
    ports = strip.family.ports
    if not 0 <= port <= ports:
        return False
    for number in range(1, ports + 1) if port == 0 else (port,):
        if number not in faults.stuck_ports:
            strip.outlet(number).switch(is_on=is_on, after_s=faults.relay_lag_s)
    return True


def _identifiers(strip: Strip) -> Identifiers:
    return Identifiers(
        cpu_id=strip.made_up("cpu high", 12) + strip.made_up("cpu low", 12),
        plc_mac="02" + strip.made_up("plc mac", 10).lower(),
        plc_key=Secret("0000" + strip.made_up("plc key", 12)),
        server="www.maxsmart.ch",
    )


def _clock_reply(strip: Strip) -> Reply:
    data = write_clock(DeviceClock(local_time=strip.local_time()))
    if not strip.family.has_zone:
        return Reply(response=None, data=data)
    return Reply(
        response=None,
        data={**data, "server": "server.example"},
        extra={"zone": strip.zone_h + ZONE_SHIFT_H, "nowTimeSec": strip.epoch_s()},
    )


def _statistics(strip: Strip, period: StatisticsPeriod) -> Statistics:
    date = strip.local_time().strftime("%Y-%m-%d-%H")[: _DATE_LENGTH[period]]
    return Statistics(
        period=period,
        date=date if strip.family.has_statistics_date else None,
        price=strip.price,
        currency=strip.currency,
        energy_raw=tuple(
            tuple(round(energy_wh, 2) for energy_wh in row)
            for row in strip.statistics_wh(Bucket(period))
        ),
    )
