"""Topics and the names in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structiot.gateway.entities.topics import (
    CommandTopic,
    Topics,
    slug_of,
    slug_of_device,
    unique_slug,
)
from structiot.model import DeviceInfo

TOPICS = Topics(base="home/iot", discovery_prefix="homeassistant", gateway_id="g1")


def test_every_topic_is_where_the_documentation_says():
    assert TOPICS.gateway_availability == "home/iot/gateway/availability"
    assert TOPICS.availability("desk") == "home/iot/desk/availability"
    assert TOPICS.state("desk", "port_1") == "home/iot/desk/port_1/state"
    assert TOPICS.command("desk", "port_1") == "home/iot/desk/port_1/set"
    assert TOPICS.event("desk", "bell") == "home/iot/desk/bell/event"
    assert TOPICS.error("desk") == "home/iot/desk/error"
    assert TOPICS.all_commands == "home/iot/+/+/set"
    assert TOPICS.discovery("desk") == "homeassistant/device/g1_desk/config"
    assert TOPICS.all_discovery == "homeassistant/device/+/config"
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


def test_a_discovery_topic_is_known_by_its_gateway():
    assert (
        TOPICS.device_of_discovery("homeassistant/device/g1_desk_2/config") == "desk_2"
    )
    for other in (
        "homeassistant/device/g2_desk/config",
        "homeassistant/device/g1_/config",
        "homeassistant/device/g1_Desk/config",
        "homeassistant/sensor/g1_desk/config",
        "homeassistant/device/g1_desk",
    ):
        assert TOPICS.device_of_discovery(other) is None


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


@given(st.text())
def test_a_slug_is_plain_and_stays_as_it_is(name: str):
    slug = slug_of(name)
    assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")
    assert slug_of(slug) == slug


def test_a_device_is_called_by_its_configured_name():
    info = DeviceInfo(id="i", system="maxsmart", name="STRIP", serial="SWP6001")
    assert slug_of_device(info, "Desk 1") == "desk_1"


def test_a_device_without_a_name_is_called_by_system_and_serial():
    info = DeviceInfo(id="i", system="maxsmart", name="STRIP", serial="SWP6001")
    assert slug_of_device(info) == "maxsmart_swp6001"
    assert slug_of_device(info, "厨房") == "maxsmart_swp6001"
    without = DeviceInfo(id="AA:BB", system="maxsmart", name="STRIP")
    assert slug_of_device(without) == "maxsmart_aa_bb"


def test_a_taken_name_gets_a_number():
    assert unique_slug("desk", {}) == "desk"
    assert unique_slug("desk", {"desk", "desk_2"}) == "desk_3"
    assert unique_slug("gateway", {}) == "gateway_2"
