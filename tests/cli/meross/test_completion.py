"""What a shell offers for the commands of `structiot meross`, and for their devices."""

from __future__ import annotations

import asyncclick as click
import pytest

from structiot.cli.meross import meross

pytestmark = pytest.mark.e2e


@pytest.fixture
def offered(complete):
    """Ask as a shell does behind `structiot meross`."""
    return lambda words: complete(f"meross {words}")


def test_every_command_is_offered_with_its_line(offered):
    commands = meross.list_commands(click.Context(meross))
    assert [one.split()[0] for one in offered("")] == commands
    assert offered("budg") == ["budget Show what devices may still be sent."]


@pytest.mark.parametrize("backend", ["asyncio"])
def test_devices_are_offered_by_name_and_nobody_is_asked(house, sign_in, offered):
    house.add(name="Kitchen")
    house.add("msl120", name="Lamp")
    sign_in()
    calls = len(house.cloud.requests)
    assert offered("on ") == ["Kitchen mss310", "Lamp msl120"]
    assert offered("watch Ki") == ["Kitchen mss310"]
    assert len(house.cloud.requests) == calls


def test_nobody_signed_in_offers_nothing(offered):
    assert offered("on ") == []


@pytest.mark.parametrize("backend", ["asyncio"])
def test_what_a_device_has_is_offered_as_it_was_known_last(
    house, sign_in, call, offered
):
    house.add("mss425f", name="Strip")
    sign_in()
    call("devices")
    for word in ("set", "on", "command", "sniff"):
        # Nothing is imported while the loop runs.
        meross.import_for([word])
    calls = len(house.cloud.requests)
    assert "switch_1 _" in offered("set Strip ")
    assert "2 Switch 2" in offered("on Strip ")
    assert offered("command Strip Appliance.Control.ToggleX ") == [
        "get _", "set _", "delete _", "push _",
    ]  # fmt: skip
    assert "Appliance.Control.ToggleX _" in offered("command Strip Appliance.Control.T")
    assert offered("sniff ") == ["Strip mss425f"]
    assert offered("set Nobody ") == []
    assert len(house.cloud.requests) == calls


def test_faults_of_simulators_are_offered(complete):
    offers = complete("sim meross --fault cloud:b")
    # Zsh wants a colon of a word to be escaped.
    assert "cloud\\:ban the account is banned" in offers
    assert complete("sim maxsmart --fault stuck_") == [
        "stuck_relays relays ignore what they confirm (1)"
    ]
