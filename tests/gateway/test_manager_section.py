"""The section `[manager]`: what is refused, with its place, and what is read."""

from __future__ import annotations

import pytest

from structiot.gateway import InvalidConfig, load_config
from tests._support.secrets_files import WRONG_SECRETS
from tests.gateway.configs import problems_of, secret_file, written

UUID = "1862cfe1-5dab-4d8e-a946-50d6728f830f"


def lamp(**kinds: object) -> dict[str, object]:
    return {"types": {"lamp": kinds}}


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"dialect": "D9"}, "dialect"),
        ({"port": 0}, "port must be at least 1"),
        ({"max_devices": 0}, "max_devices must be at least 1"),
        ({"heartbeat_s": 0}, "heartbeat_s must be at least 1"),
        ({"key_file": __file__}, "key_file needs a cert_file beside it"),
        ({"client_ca_file": __file__}, "client_ca_file needs a cert_file beside it"),
        ({"listeners": [{}]}, "127.0.0.1:8595 is listened at already"),
        ({"listeners": [{"port": 1, "key_file": __file__}]}, "needs a cert_file"),
        ({"cert_file": "none.pem"}, "cert_file cannot be read"),
        ({"secrets": {UUID: "x"}}, 'none has dialect = "structiot"'),
        (
            {"dialect": "structiot", "secrets": {"x": "y"}},
            "'x' is no UUID of 36 characters",
        ),
        ({"dialect": "structiot", "secrets": {UUID: ""}}, "a secret is not empty"),
        (
            {"dialect": "structiot", "secrets": {UUID: "x", UUID.upper(): "y"}},
            "a UUID is given twice",
        ),
        ({"host": "0.0.0.0"}, "others can reach 0.0.0.0"),
        (
            {
                "host": "::",
                "secrets": {UUID: "x"},
                "listeners": [{"port": 1, "dialect": "structiot"}],
            },
            "others can reach ::",
        ),
        ({"listeners": [{"host": "192.168.1.2"}]}, "others can reach 192.168.1.2"),
        ({"types": {"a##b": {}}}, "no device can be of the type 'a##b'"),
        (lamp(sensors=[{}]), "member is missing in .*manager.types.lamp.sensors"),
        (lamp(sensors=[{"member": "a..b"}]), "write a member as wifi.rssi"),
        (lamp(sensors=[{"member": "a", "key": "ä"}]), "is no key"),
        (lamp(sensors=[{"member": "a", "unit": "\0"}]), "unit: .* can be shown"),
        (lamp(buttons=[{"name": "x"}]), "send is missing"),
        (lamp(buttons=[{"send": "x"}]), "has neither a key nor a name"),
        (lamp(buttons=[{"name": "x", "send": 5}]), "a text, or a table or an array"),
        (lamp(switches=[{"name": "x", "on": {"a": float("nan")}}]), "on: .* as JSON"),
        (lamp(events=[{"name": "x", "types": []}]), "types: give at least one"),
        (lamp(texts=[{"name": "x", "send": "on"}]), "send: write {text} where"),
        (lamp(texts=[{"name": "x", "send": {"a": ["text"]}}]), "send: write {text}"),
        (
            lamp(buttons=[{"name": "X", "send": "a"}, {"key": "x", "send": "b"}]),
            "two of its entities have the key 'x'",
        ),
        (lamp(sensor=[]), "did you mean 'sensors'"),
    ],
)
def test_slips_in_the_section_are_said(section, said):
    with pytest.raises(InvalidConfig, match=said):
        load_config({"manager": section})


def test_a_dialect_is_named_in_any_case():
    secrets = {"host": "0.0.0.0", "dialect": "STRUCTIOT", "secrets": {UUID: "x"}}
    section = {**secrets, "listeners": [{"port": 8596, "dialect": "d4"}]}
    read = load_config({"manager": section}).manager
    assert [one.dialect for one in read.all_listeners()] == ["structiot", "D4"]


@pytest.mark.parametrize(
    "section",
    [
        {"anyone": True},
        {"dialect": "structiot", "secrets": {UUID: "x"}},
    ],
)
def test_others_may_reach_it_where_it_is_said_who_may_be_a_device(section):
    load_config({"manager": {"host": "0.0.0.0", **section}})


def test_slips_are_said_with_line_and_column(tmp_path):
    text = """
[manager]
port = "8595"
[[manager.listeners]]
port = 8596
dialect = "D5"
[manager.types.lamp]
[[manager.types.lamp.switches]]
member = "is_on"
of = "off"
[[manager.types.lamp.buttons]]
name = "Dawn"
send = 07:30:00
[manager.types."##"]
"""
    dialects = "'D0', 'D1', 'D2', 'D3', 'D4' or 'structiot'"
    where = "in [[manager.types.lamp.switches]]"
    sent = "a text, or a table or an array, which is sent as JSON"
    assert problems_of(tmp_path, text) == [
        "structiot.toml:3:8: port must be a whole number, not a text",
        f'structiot.toml:6:11: dialect must be {dialects}, not "D5"',
        f"structiot.toml:10:1: unknown key 'of' {where}; did you mean 'off'?",
        f"structiot.toml:13:8: send: write {sent}",
        "structiot.toml:14:16: no device can be of the type '##'",
    ]


@pytest.mark.parametrize(
    ("section", "taken"),
    [
        ({}, None),
        (lamp(), {"lamp"}),
        ({**lamp(), "other_types": True}, None),
    ],
)
def test_the_types_that_are_listed_are_those_that_are_taken(section, taken):
    assert load_config({"manager": section}).manager.taken == taken


def test_secrets_are_read_from_a_file_and_are_not_shown(tmp_path):
    secret_file(
        tmp_path / "secrets",
        f'# lamps\n\n{UUID} = "a secret of several words"\n{"0" * 32}="= other"\n',
    )
    text = '[manager]\ndialect = "structiot"\nsecrets_file = "secrets"\n'
    section = load_config(written(tmp_path, text)).manager
    told = {uuid: secret.reveal() for uuid, secret in section.secrets.items()}
    assert told == {
        UUID: "a secret of several words",
        "00000000-0000-0000-0000-000000000000": "= other",
    }
    assert "several" not in repr(section)


@pytest.mark.parametrize(("text", "said"), WRONG_SECRETS)
def test_what_is_wrong_with_a_file_of_secrets_is_said_without_them(
    tmp_path, text, said
):
    secret_file(tmp_path / "secrets", text.encode(errors="surrogateescape"))
    text = '[manager]\ndialect = "structiot"\nsecrets_file = "secrets"\n'
    (problem,) = problems_of(tmp_path, text)
    assert (
        problem.removesuffix(" (secrets)")
        == f"structiot.toml:3:16: secrets_file {said}"
    )


def test_what_is_left_out_is_made_of_the_rest():
    kind = {
        "sensors": [{"member": "/wifi/rssi"}, {"member": "a.b", "name": "Room Ä"}],
        "buttons": [{"key": "go", "send": "x"}],
    }
    section = load_config({"manager": lamp(**kind)}).manager
    entities = [one.entity for one in section.types["lamp"].sections]
    assert [(one.key, one.name) for one in entities] == [
        ("wifi_rssi", "Wifi rssi"),
        ("room_a", "Room Ä"),
        ("go", "Go"),
    ]
