"""C13 to C18, C24, C90, C107: the CONNECT, byte by byte, and what came of it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from structiot import Environment
from structiot.mqtt import Connected, open_mqttclient
from structiot.mqtt.wire.messages import Connack, Connect
from structiot.mqtt.wire.properties import ConnackProperties
from tests.link.mqtt.opening import lasting, open_client

pytestmark = pytest.mark.virtual_time

# Written down from the layout in the OASIS texts: name, level, flags, keep-alive,
# (properties,) then client id, (will properties,) will topic and payload, user, password.
# The order of properties is free; ours is that of their numbers.
CONNECTS: dict[str, tuple[dict[str, Any], str]] = {
    "nothing but an id": (
        {"protocol": "3.1.1"},
        "10 0e 0004 4d515454 04 02 000a 0002 6964",
    ),
    "no keep-alive": (
        {"protocol": "3.1.1", "keep_alive": 0},
        "10 0e 0004 4d515454 04 02 0000 0002 6964",
    ),
    "the longest keep-alive": (
        {"protocol": "3.1.1", "keep_alive": 65_535},
        "10 0e 0004 4d515454 04 02 ffff 0002 6964",
    ),
    "a lasting session": (
        {"protocol": "3.1.1", "cleansession": False},
        "10 0e 0004 4d515454 04 00 000a 0002 6964",
    ),
    "will, user name and password": (
        {
            "protocol": "3.1.1",
            "will": {"topic": "w", "message": "x", "qos": 2, "retain": True},
            "username": "u",
            "password": b"\x00\xff",
        },
        "10 1b 0004 4d515454 04 f6 000a 0002 6964 0001 77 0001 78 0001 75 0002 00ff",
    ),
    "a will without payload, a user name alone": (
        {"protocol": "3.1.1", "will": {"topic": "w"}, "username": "u"},
        "10 16 0004 4d515454 04 86 000a 0002 6964 0001 77 0000 0001 75",
    ),
    "5.0: ten minutes to come back, 1024 open, 64 aliases, 16 MB, response information": (
        {"protocol": "5.0"},
        (
            "10 21 0004 4d515454 05 02 000a 12 11 00000258 19 01 21 0400 22 0040"
            " 27 01000000 0002 6964"
        ),
    ),
    "5.0: without the request for response information": (
        {"protocol": "5.0", "response_information": False},
        (
            "10 1f 0004 4d515454 05 02 000a 10 11 00000258 21 0400 22 0040"
            " 27 01000000 0002 6964"
        ),
    ),
    "5.0: a password alone, and a will with properties": (
        {
            "protocol": "5.0",
            "session_expiry_s": 0,
            "topic_alias_maximum": 0,
            "receive_maximum": 9,
            "password": "p",
            "will": {"topic": "w", "properties": {"will_delay_s": 5}},
        },
        (
            "10 27 0004 4d515454 05 46 000a 0a 19 01 21 0009 27 01000000 0002 6964"
            " 05 18 00000005 0001 77 0000 0001 70"
        ),
    ),
}


@pytest.mark.parametrize(("config", "digits"), CONNECTS.values(), ids=CONNECTS.keys())
async def test_the_connect_is_exactly_what_the_standard_lays_out(
    broker, config: dict[str, Any], digits: str
):
    expected = bytes.fromhex(digits)
    async with open_mqttclient(
        broker.uri, "id", config, environment=Environment(network=broker.network)
    ):
        assert broker.connection.data[: len(expected)] == expected
        assert len(broker.connection.packets) == 1


async def test_made_up_ids_are_23_letters_and_digits_and_all_different(broker):
    seen: set[str] = set()
    for _ in range(50):
        async with open_mqttclient(
            broker.uri, environment=Environment(network=broker.network)
        ) as client:
            assert re.fullmatch("[0-9a-zA-Z]{1,23}", client.client_id)
            seen.add(client.client_id)
    assert len(seen) == 50


# -- C90: clean start and session expiry ---------------------------------------------


@pytest.mark.parametrize(
    ("config", "starts", "expiry_s"),
    [
        # Clean when we come and when we leave; between two connections it is kept.
        ({}, [True, False, False], 600),
        ({"cleansession": False}, [False, False, False], 0xFFFF_FFFF),
        ({"session_expiry_s": 60}, [True, False, False], 60),
        ({"cleansession": False, "session_expiry_s": 7}, [False, False, False], 7),
        ({"session_expiry_s": 0}, [True, False, False], None),
    ],
)
async def test_in_5_0_the_session_is_kept_while_the_client_lives(
    broker, config: dict[str, Any], starts: list[bool], expiry_s: int | None
):
    broker.keeps_sessions = True
    options = {"protocol": "5.0", "reconnect_retries": -1, **config}
    async with open_client(broker, **options):
        for number in (2, 3):
            broker.connection.reset()
            await broker.connected(number)
    connects = [connection.of(Connect)[0] for connection in broker.connections]
    assert [connect.clean_start for connect in connects] == starts
    assert {connect.properties.session_expiry_s for connect in connects} == {expiry_s}


@pytest.mark.parametrize("clean", [True, False])
async def test_in_3_1_1_every_connection_is_as_configured(broker, clean: bool):
    async with open_client(broker, **{**lasting(), "cleansession": clean}):
        broker.connection.reset()
        await broker.connected(2)
    connects = [connection.of(Connect)[0] for connection in broker.connections]
    assert [connect.clean_start for connect in connects] == [clean, clean]


# -- C24, C107: what the broker has announced ----------------------------------------


async def test_what_was_negotiated_can_be_seen_for_each_connection(broker):
    first = ConnackProperties(
        receive_maximum=7,
        maximum_qos=1,
        session_expiry_s=30,
        server_keep_alive_s=20,
        user_properties=(("who", "it is"),),
    )
    broker.answer(Connect, lambda *_: (Connack(properties=first),))
    async with open_client(broker, **lasting(protocol="5.0")) as client:
        async with client.events() as events:
            connected = await anext(events)
            assert isinstance(connected, Connected)
            assert (connected.limits, connected.version) == (first, 5)
            broker.oblige()
            broker.connection.reset()
            await anext(events)
            connected = await anext(events)
            assert isinstance(connected, Connected)
            assert connected.limits == ConnackProperties()
