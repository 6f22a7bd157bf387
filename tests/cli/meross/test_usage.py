"""`structiot meross budget` and `stats`: by the kept files alone."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.e2e


@pytest.fixture
def used(house, sign_in, call):
    """A plug that was switched through the cloud, and a cloud that is gone."""
    plug = house.add(name="Lamp")
    house.add(name="Desk", model="msl120")
    sign_in()
    call("off", "Lamp", "--policy", "cloud_only")
    house.portal.call(house.cloud.unplug)
    return plug.device.uuid


def test_what_is_left_is_shown_by_device(house, used, call):
    sent = house.cloud.messages[used]
    rows = {one["name"]: one for one in json.loads(call("budget", "--json"))}
    assert (rows["Lamp"]["used"], rows["Lamp"]["left"]) == (sent, 180 - sent)
    assert rows["Lamp"]["next_at"] is None
    assert rows.keys() == {"Lamp", "Desk"}
    shown = [line.split() for line in call("budget").splitlines()]
    assert shown[0] == ["name", "id", "used", "left", "next", "at"]
    assert ["Lamp", used, str(sent), str(180 - sent), "-"] in shown


def test_what_was_sent_is_shown_by_device(house, used, call):
    sent = house.cloud.messages[used]
    rows = {one["name"]: one for one in json.loads(call("stats", "--json"))}
    assert rows["Lamp"]["id"] == used
    assert {rows["Lamp"][name] for name in ("last_10_minutes", "last_hour")} == {sent}
    assert "last 10 minutes" in call("stats")


def test_nothing_was_sent_at_first(call, capsys):
    assert json.loads(call("stats", "--json")) == []
    assert json.loads(call("budget", "--json")) == []
