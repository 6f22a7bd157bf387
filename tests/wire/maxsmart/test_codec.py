"""What we send, byte by byte, and what never leaves the codec but ProtocolViolation."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structiot._kit.redact import Secret
from structiot.errors import UnsupportedDevice
from structiot.maxsmart.wire.codec import (
    decode_http_target,
    decode_reply,
    decode_v3_reply,
    decode_v3_request,
    encode_http_target,
    encode_reply,
    encode_v3_reply,
    encode_v3_request,
)
from structiot.maxsmart.wire.codec_data import (
    has_power,
    read_clock,
    read_identifiers,
    read_port_data,
    read_statistics,
    write_clock,
    write_identifiers,
    write_port_data,
    write_statistics,
)
from structiot.maxsmart.wire.codec_discovery import (
    decode_discovery_reply,
    encode_discovery_reply,
    encode_discovery_request,
)
from structiot.maxsmart.wire.messages import (
    DeviceClock,
    DiscoveryReply,
    DiscoveryRequest,
    Identifiers,
    PortData,
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
    WattStyle,
)

SERIAL = "SWP6000000000001"
AT = datetime(2024, 5, 1, 13, 45, 10)  # noqa: DTZ001 - a device's wall clock

COMMANDS = st.one_of(
    st.builds(SetPort, port=st.integers(0, 6), is_on=st.booleans()),
    st.builds(SetName, port=st.integers(0, 6), name=st.text(max_size=40)),
    st.builds(ReadStatistics, period=st.sampled_from(StatisticsPeriod)),
    st.sampled_from([ReadData(), ReadSwitches(), ReadIdentifiers(), ReadClock()]),
)
SERIALS = st.none() | st.just(SERIAL)


def reply_with(**data: object) -> Reply:
    return Reply(response=511, data=data)


# ---------------------------------------------------------------- what we send


def test_commands_go_out_as_integers_with_the_serial_and_wholly_encoded():
    request = Request(command=SetPort(port=1, is_on=True), serial=SERIAL)
    assert encode_http_target(request) == (
        "/?cmd=200&json=%7B%22sn%22%3A%22SWP6000000000001%22%2C%22port%22%3A1"
        "%2C%22state%22%3A1%7D"
    )


def test_names_are_encoded_so_that_no_character_breaks_the_command():
    request = Request(command=SetName(port=2, name="TV é &#+%"))
    assert encode_http_target(request) == (
        "/?cmd=201&json=%7B%22port%22%3A2%2C%22name%22%3A%22TV%20%5Cu00e9%20"
        "%26%23%2B%25%22%7D"
    )


def test_reads_without_a_known_serial_go_out_without_json():
    assert encode_http_target(Request(command=ReadData())) == "/?cmd=511"
    assert encode_http_target(Request(command=ReadClock())) == "/?cmd=502"


def test_v3_frames_begin_with_the_serial():
    request = Request(command=ReadData(), serial="SWW6000000000001")
    assert encode_v3_request(request) == b'V3{"sn":"SWW6000000000001","cmd":90}'
    switch = Request(command=SetPort(port=3, is_on=True), serial="SWW6000000000001")
    expected = b'V3{"sn":"SWW6000000000001","cmd":20,"port":3,"state":1}'
    assert encode_v3_request(switch) == expected
    assert encode_v3_request(Request(command=ReadData())) == b'V3{"cmd":90}'


@pytest.mark.parametrize("command", [ReadClock(), ReadIdentifiers(), ReadSwitches()])
def test_v3_refuses_commands_that_devices_would_ignore(command):
    with pytest.raises(UnsupportedDevice) as caught:
        encode_v3_request(Request(command=command))
    assert caught.value.supported


def test_the_discovery_question_has_the_full_time_and_zone():
    request = DiscoveryRequest(local_time=AT, zone_h=2)
    expected = b"00dv=all,2024-05-01,13:45:10,14;"
    assert encode_discovery_request(request) == expected


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (DiscoveryRequest(local_time=AT), b"00dv=all,2024-05-01,13:45:10;"),
        (DiscoveryRequest(), b"00dv=all;"),
        (DiscoveryRequest(serial=SERIAL, word="sw"), b"00sw=SWP6000000000001;"),
        (
            DiscoveryRequest(local_time=AT, zone_h=-3),
            b"00dv=all,2024-05-01,13:45:10,9;",
        ),
    ],
)
def test_the_other_forms_of_the_question_can_be_written(request_, text):
    assert encode_discovery_request(request_) == text


# ---------------------------------------------------------------- both roles


@given(command=COMMANDS, serial=SERIALS)
def test_devices_read_what_clients_write(command, serial):
    request = Request(command=command, serial=serial)
    assert decode_http_target(encode_http_target(request)) == request
    if isinstance(command, SetPort | SetName | ReadData):
        assert decode_v3_request(encode_v3_request(request)) == request


@given(
    reply=st.builds(
        Reply,
        response=st.none() | st.integers(0, 999),
        code=st.sampled_from([200, 400]),
        data=st.none() | st.dictionaries(st.text(max_size=5), st.integers()),
        serial=SERIALS,
    ),
    has_prefix=st.booleans(),
)
def test_clients_read_what_devices_write(reply, has_prefix):
    assert decode_reply(encode_reply(reply)) == reply
    frame = encode_v3_reply(reply, has_prefix=has_prefix)
    assert decode_v3_reply(frame + b"  ip=192.168.1.20") == reply


@pytest.mark.parametrize("style", WattStyle)
@given(
    switches=st.lists(st.booleans(), min_size=1, max_size=6),
    power_cw=st.integers(0, 400_000),
    current_ca=st.integers(0, 2_500),
)
def test_power_survives_every_way_of_writing_it(style, switches, power_cw, current_ca):
    ports = PortData(
        switches=tuple(switches),
        power_mw=(float(power_cw * 10),) * len(switches),
        current_ma=(float(current_ca * 10),) * len(switches),
        style=style,
    )
    reply = decode_reply(encode_reply(reply_with(**write_port_data(ports, style))))
    assert read_port_data(reply) == ports


def test_a_device_without_power_figures_reports_none():
    ports = PortData(switches=(True,), power_mw=(None,), current_ma=(None,))
    data = write_port_data(ports, WattStyle.INT_MW, has_power=False)
    assert data == {"switch": [1]}
    assert read_port_data(reply_with(**data)) == ports
    assert not has_power(reply_with(**data))


def test_a_figure_or_a_state_that_is_none_is_written_as_null():
    ports = PortData(switches=(None,), power_mw=(None,), current_ma=(None,))
    data = write_port_data(ports, WattStyle.TEXT_W)
    assert data == {"switch": [None], "watt": [None], "amp": [None]}
    assert read_port_data(reply_with(**data)) == ports


def test_identifiers_clock_and_statistics_come_back_as_they_were():
    identifiers = Identifiers(
        cpu_id="0123456789ABCDEF01234567",
        plc_mac="020000000010",
        plc_key=Secret("secret"),
        server="www.maxsmart.ch",
    )
    assert read_identifiers(reply_with(**write_identifiers(identifiers))) == identifiers
    assert read_identifiers(reply_with(**write_identifiers(Identifiers()))) == (
        Identifiers()
    )
    clock = DeviceClock(local_time=AT, zone_h=1)
    reply = Reply(response=502, data=write_clock(clock), extra={"zone": 13})
    assert read_clock(reply) == clock
    statistics = Statistics(
        period=StatisticsPeriod.DAY,
        date="2024-05-01",
        price="0.21",
        currency=3,
        energy_raw=((1.5, None), (0.0, 12.0)),
    )
    assert read_statistics(reply_with(**write_statistics(statistics))) == statistics
    plug = Statistics(
        period=StatisticsPeriod.HOUR,
        date=None,
        price=None,
        currency=None,
        energy_raw=((),),
    )
    assert "date" not in write_statistics(plug)


def test_a_discovery_reply_comes_back_as_it_was():
    reply = DiscoveryReply(
        serial=SERIAL,
        name="Büro",
        firmware="1.30",
        mac="020000000001",
        port_names=("A", "", "C"),
        pairing_key=Secret("00112233AABB"),
        extra={"register": 0},
    )
    data = encode_discovery_reply(reply)
    assert b'"mac":"02:00:00:00:00:01"' in data
    assert decode_discovery_reply(data) == reply
