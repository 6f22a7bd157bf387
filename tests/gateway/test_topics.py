"""Topics and the names in them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structiot.gateway.entities.topics import (
    CommandTopic,
    Topics,
    identifier_of,
    slug_of,
    slug_of_device,
    unique_slug,
)
from structiot.model import DeviceInfo

TOPICS = Topics(base="home/iot", discovery_prefix="homeassistant")


def test_every_topic_is_where_the_documentation_says():
    assert TOPICS.gateway_availability == "home/iot/gateway/availability"
    assert TOPICS.availability("desk") == "home/iot/desk/availability"
    assert TOPICS.state("desk", "port_1") == "home/iot/desk/port_1/state"
    assert TOPICS.command("desk", "port_1") == "home/iot/desk/port_1/set"
    assert TOPICS.event("desk", "bell") == "home/iot/desk/bell/event"
    assert TOPICS.error("desk") == "home/iot/desk/error"
    assert TOPICS.all_commands == "home/iot/+/+/set"
    identifier = identifier_of("maxsmart", "SWP6001")
    assert TOPICS.discovery(identifier) == (
        "homeassistant/device/structiot_maxsmart_SWP6001/config"
    )
    assert TOPICS.all_discovery() == (
        "homeassistant/device/+/config",
        "homeassistant/+/+/+/config",
    )
    assert TOPICS.all_discovery("ha") == ("ha/device/+/config", "ha/+/+/+/config")
    assert TOPICS.birth == "homeassistant/status"


def test_a_command_topic_is_taken_apart():
    assert TOPICS.command_of("home/iot/desk/port_1/set") == CommandTopic(
        "desk", "port_1"
    )
    assert TOPICS.command_of("home/iot//port 1/set") == CommandTopic("", "port 1")


@pytest.mark.parametrize(
    "topic",
    [
        "home/iot/desk/port_1/state",
        "home/iot/desk/bell/event",
        "home/iot/desk/set",
        "home/iot/desk/port/1/set",
        "home/desk/port_1/set",
        "other/home/iot/desk/port_1/set",
        "home/iot/set",
        "",
    ],
)
def test_any_other_topic_is_no_command(topic: str):
    assert TOPICS.command_of(topic) is None


@given(st.lists(st.text(), min_size=2, max_size=2, unique=True))
def test_no_two_identities_are_announced_in_one_place(ids: list[str]):
    topics = [TOPICS.discovery(identifier_of("maxsmart", id_)) for id_ in ids]
    assert len(set(topics)) == 2
    for topic in topics:
        assert re.fullmatch(r"homeassistant/device/[a-zA-Z0-9_-]+/config", topic)
        assert len(topic) < 200


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Kitchen", "kitchen"),
        ("  Living Room (left) ", "living_room_left"),
        ("Küche", "kuche"),
        ("Straße 5", "strasse_5"),
        ("Øresund Łódź", "oresund_lodz"),
        ("a/b+c#d", "a_b_c_d"),
        ("__x--y__", "x_y"),
        ("²", "2"),
        ("厨房", ""),
        ("", ""),
    ],
)
def test_a_name_becomes_a_topic_level(name: str, slug: str):
    assert slug_of(name) == slug


@pytest.mark.parametrize("name", ["Кухня", "厨房", "厨房 2", "2. кухня", "???", ""])
def test_a_name_of_which_no_letter_is_left_makes_no_level(name: str):
    assert slug_of(name) == ""


@given(st.text())
def test_a_slug_is_plain_and_stays_as_it_is(name: str):
    slug = slug_of(name)
    assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")
    assert slug_of(slug) == slug


def test_a_device_without_a_name_is_called_by_system_and_serial():
    info = DeviceInfo(id="i", system="maxsmart", name="STRIP", serial="SWP6001")
    assert slug_of_device(info) == "maxsmart_swp6001"
    without = DeviceInfo(id="AA:BB", system="maxsmart", name="STRIP")
    assert slug_of_device(without) == "maxsmart_aa_bb"


def test_a_taken_name_gets_a_number():
    assert unique_slug("desk", lambda _: False) == "desk"
    assert unique_slug("desk", {"desk", "desk_2"}.__contains__) == "desk_3"
    assert unique_slug("gateway", lambda _: False) == "gateway_2"
