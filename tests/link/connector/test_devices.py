"""Devices, as the README and the original client's own checks have them."""

from __future__ import annotations

from contextlib import suppress
from copy import copy
from pathlib import Path

import pytest

from structiot._kit.redact import Secret
from structiot.connector import (
    ConnectorConfig,
    Device,
    DevicePool,
    DeviceStore,
    PlatformRefused,
)
from structiot.connector.device import check_device, device_id_of
from structiot.connector.wire.hashes import device_hash
from structiot.errors import ConfigError, UsageError
from tests.link.connector.gateways import gateway
from tests.link.connector.senergy_house import connector_of, senergy


class Lamp(Device):
    def __init__(self, number: int) -> None:
        super().__init__(f"lamp-{number}", "iot#lamp", f"Lamp {number}")
        self.is_on = False


class Forgetful(Device):
    def __init__(self) -> None:
        self.is_on = False


@pytest.fixture
def device() -> Device:
    made = Device("dev1", "iot#type-1", "Lamp")
    made.add_tag("room", "kitchen")
    made.add_tag("floor", "1")
    return made


def test_a_device_has_what_the_readme_says(device: Device):
    assert (device.id, device.type, device.name) == ("dev1", "iot#type-1", "Lamp")
    assert device.tags == ["room:kitchen", "floor:1"]
    assert device.hash == "4a07394c8cb64e57ad1bf193a8a2c23d12174dd7"
    assert repr(device) == "Device(id='dev1', type='iot#type-1', name='Lamp', tags=2)"


def test_tags_are_added_changed_and_removed(device: Device):
    assert device.add_tag("room", "hall")
    assert device.change_tag("floor", "2")
    assert device.tags == ["room:hall", "floor:2"]
    assert device.remove_tag("room")
    assert device.tags == ["floor:2"]


def test_a_tag_that_is_not_there_is_neither_changed_nor_removed(device: Device):
    before = device.hash
    assert device.change_tag("colour", "red") is False
    assert device.remove_tag("colour") is False
    assert device.hash == before


def test_the_name_may_change_and_the_hash_with_it(device: Device):
    before = device.hash
    device.name = "Leuchte"
    assert device.name == "Leuchte"
    assert device.hash != before


@pytest.mark.parametrize("name", ["id", "type", "hash", "tags"])
def test_what_else_it_has_does_not(device: Device, name: str):
    with pytest.raises(AttributeError):
        setattr(device, name, "other")


def test_the_list_of_tags_is_a_copy(device: Device):
    device.tags.clear()
    assert len(device.tags) == 2


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ((1, "t", "n"), "id is str, not int"),
        (("i", None, "n"), "type is str, not None"),
        (("i", "t", b"n"), "name is str, not bytes"),
        (("", "t", "n"), "the id of a device is empty"),
        (("i", "", "n"), "the type of a device is empty"),
        (("i", "t", "\ud800"), "the name of a device has half a character"),
    ],
)
def test_what_cannot_be_a_device_is_refused(args: tuple[str, str, str], text: str):
    with pytest.raises(UsageError, match=text):
        Device(*args)


@pytest.mark.parametrize(
    ("tag_id", "tag"),
    [
        ("a:b", "c"),
        ("a", "b;c"),
        ("device_name", "x"),
        ("device_type", "x"),
        (1, "x"),
        ("x", 1),
    ],
)
def test_what_cannot_be_a_tag_is_refused(device: Device, tag_id: str, tag: str):
    with pytest.raises(UsageError):
        device.add_tag(tag_id, tag)
    assert len(device.tags) == 2


def test_a_tag_is_not_changed_to_what_it_cannot_be(device: Device):
    with pytest.raises(UsageError):
        device.change_tag("room", "a:b")
    assert device.tags[0] == "room:kitchen"


def test_a_device_may_be_of_a_class_of_one_s_own():
    lamp = Lamp(1)
    assert lamp.tags == []
    assert check_device(lamp) is lamp
    assert repr(lamp).startswith("Lamp(id='lamp-1'")


def test_a_class_that_has_forgotten_the_base_is_told_so():
    with pytest.raises(UsageError, match="has not called super"):
        check_device(Forgetful())
    with pytest.raises(UsageError, match="has not called super"):
        DevicePool().add(Forgetful())


@pytest.mark.parametrize("value", [None, 7, "dev1", Device])
def test_what_is_no_device_is_told_so(value: object):
    with pytest.raises(UsageError, match="device is Device"):
        check_device(value)


def test_a_device_is_named_by_itself_or_its_id(device: Device):
    assert device_id_of(device) == device_id_of("dev1") == "dev1"
    with pytest.raises(UsageError, match="device is Device or str"):
        device_id_of(7)  # type: ignore[arg-type]


HALF = "lamp-\ud800"


@pytest.mark.parametrize("call", ["add", "update", "remove", "get"])
def test_an_id_with_half_a_character_is_refused_by_a_store(tmp_path: Path, call: str):
    with DeviceStore(tmp_path / "devices.sqlite") as store:
        store.add(Device("lamp-1", "t", "n"))
        with pytest.raises(UsageError, match="the id of a device has half a character"):
            getattr(store, call)(
                HALF if call in {"remove", "get"} else Device(HALF, "t", "n")
            )
        assert [*store.devices()] == ["lamp-1"]


@pytest.mark.virtual_time
async def test_an_id_with_half_a_character_is_refused_by_a_connector():
    async with gateway(1) as (platform, connector):
        for call in (connector.disconnect, connector.delete):
            with pytest.raises(UsageError, match="half a character"):
                await call(HALF)
        with pytest.raises(UsageError, match="half a character"):
            await connector.event(HALF, "state", "1")
        with suppress(PlatformRefused):
            await connector.event("lamp-1", "st\ud800te", "\udfff", "\ud800")
        assert await connector.event("lamp-1", "state", "1")
        assert len(platform.log) == 1


@pytest.mark.virtual_time
async def test_nor_does_half_a_character_cost_anything_at_senergy():
    async with senergy() as platform, connector_of(platform) as connector:
        with pytest.raises(PlatformRefused, match="half a character"):
            await connector.event("dev1", "st\ud800te", "1")
        assert await connector.event("dev1", "state", "\udfff", "\ud800")
        assert len(platform.events) == 1


def test_a_password_with_half_a_character_is_a_fault_of_the_configuration():
    with pytest.raises(ConfigError, match="password has half a character") as caught:
        ConnectorConfig(host="h", port=1, user="u", password=Secret("xyz\ud800"))
    assert "xyz" not in str(caught.value)


def test_a_hash_is_made_anew_when_anything_has_changed():
    device = Device("dev1", "t", "Lamp")
    seen = {device.hash}
    for change in (
        lambda: setattr(device, "name", "Leuchte"),
        lambda: device.add_tag("room", "kitchen"),
        lambda: device.change_tag("room", "hall"),
        lambda: device.add_tag("floor", "1"),
        lambda: device.remove_tag("room"),
        lambda: copy(device).add_tag("room", "attic"),
    ):
        change()
        assert (
            device.hash
            == device.hash
            == device_hash(
                "dev1", "t", device.name, dict(tag.split(":") for tag in device.tags)
            )
        )
        seen.add(device.hash)
    assert len(seen) == 7
