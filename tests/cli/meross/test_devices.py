"""`structiot meross devices` and `info`."""

from __future__ import annotations

import json

import pytest

from structiot.cli.main import run_program
from tests._support.terminal import terminal

pytestmark = pytest.mark.e2e


def test_devices_and_what_hangs_on_hubs_are_listed(house, sign_in, call):
    plug = house.add(name="Lamp")
    house.add("msh300", name="Hub")
    sign_in()
    rows = {one["name"]: one for one in json.loads(call("devices", "--json"))}
    lamp, hub = rows["Lamp"], rows["Hub"]
    assert lamp == {
        "id": plug.device.uuid,
        "name": "Lamp",
        "model": "mss310",
        "online": True,
        "address": plug.host,
        "firmware": "6.3.22",
        "hub": None,
        "has": [
            "switch",
            "power_w",
            "voltage_v",
            "current_a",
            "energy",
            "energy_today_wh",
        ],
        "channels": {},
    }
    subdevices = [one for one in rows.values() if one["hub"] == hub["id"]]
    assert {one["model"] for one in subdevices} == {"mts100v3", "ms100"}
    assert all(one["has"] for one in subdevices)
    before = house.messages
    shown = call("devices")
    assert house.messages == before
    assert shown.splitlines()[0].split() == [
        "name", "model", "online", "address", "firmware", "has",
    ]  # fmt: skip
    assert "Lamp" in shown
    assert "switch, power_w" in shown
    assert all(one["name"] in shown for one in subdevices)


def test_a_file_of_others_beside_the_token_is_left_as_it_is(
    house, sign_in, call, tmp_path
):
    plug, beside = house.add(name="Lamp"), tmp_path / "house.devices"
    beside.write_text("milk, eggs\n")
    store = ["--store", str(tmp_path / "house.json")]
    sign_in(*store)
    house.portal.call(plug.unplug)
    (row,) = json.loads(call("devices", "--json", *store))
    assert row["name"] == "Lamp"
    assert beside.read_text() == "milk, eggs\n"


def test_who_is_offline_is_listed_and_not_asked(house, sign_in, call):
    plug = house.add(name="Lamp")
    sign_in()
    house.portal.call(plug.unplug)
    (row,) = json.loads(call("devices", "--json"))
    assert (row["online"], row["address"], row["has"]) == (False, None, None)
    assert house.messages == 0


def test_all_that_a_device_tells_is_shown(house, call):
    plug = house.add(loads=[40.0])
    shown = call("info", *house.where(plug), "--abilities")
    lines = [line.split() for line in shown.splitlines()]
    assert ["model", "mss310"] in lines
    assert ["address", plug.host] in lines
    assert ["switch", "-", "on"] in lines
    assert ["power_w", "Power", "40.0", "W"] in lines
    assert ["Control.ToggleX"] in lines
    told = json.loads(call("info", *house.where(plug), "--json"))
    assert told["id"] == plug.device.uuid
    assert "Appliance.Control.Electricity" in told["abilities"]
    entities = {one["key"]: one for one in told["entities"]}
    assert (entities["power_w"]["state"], entities["power_w"]["unit"]) == (40.0, "W")
    assert entities["switch"]["kind"] == "switch"
    assert told["system"]["lan_host"] == plug.host


def test_a_device_is_asked_through_the_cloud(house, sign_in, call):
    house.add(name="Lamp", loads=[40.0])
    sign_in()
    told = json.loads(call("info", "lamp", "--policy", "cloud_only", "--json"))
    assert told["name"] == "Lamp"
    entities = {one["key"]: one["state"] for one in told["entities"]}
    assert (entities["switch"], entities["power_w"]) == (True, 40.0)
    assert house.messages


def test_a_device_that_was_found_near_costs_no_message(
    house, sign_in, call, keep_place
):
    plug = house.add("mss425f", name="Strip")
    sign_in()
    keep_place(plug)
    calls = len(house.cloud.requests)
    told = json.loads(call("info", "strip", "--json"))
    names = {one["key"]: one["name"] for one in told["entities"]}
    assert names["switch_2"] == "Switch 2"
    assert house.messages == 0
    assert len(house.cloud.requests) == calls


def test_another_device_at_the_address_is_not_taken_for_it(
    house, sign_in, call, keep_place
):
    lamp, other = house.add(name="Lamp"), house.add(name="Other")
    sign_in()
    # The address of the lamp is the other's now.
    keep_place(lamp)
    lamp_port, lamp.http_port = lamp.http_port, other.http_port
    keep_place(lamp)
    lamp.http_port = lamp_port
    call("off", "Lamp")
    assert house.digest(lamp)["togglex"][0]["onoff"] == 0
    assert house.digest(other)["togglex"][0]["onoff"] == 1


def test_what_hangs_on_a_hub_is_found_by_its_name(house, sign_in, call, keep_place):
    hub = house.add("msh300", name="Hub")
    sign_in()
    rows = json.loads(call("devices", "--json"))
    valve = next(one for one in rows if one["model"] == "mts100v3")
    keep_place(hub)
    told = json.loads(call("info", valve["name"], "--json"))
    assert (told["id"], told["via"]) == (valve["id"], hub.device.uuid)
    assert {one["key"] for one in told["entities"]} >= {"valve"}


def test_a_terminal_gets_nothing_but_printable_text(house, sign_in, call):
    house.add(name="Lamp\x1b[2J\x9b1mred\u202e")
    sign_in()
    for option in ((), ("--json",)):
        shown = call("devices", *option)
        assert "Lamp" in shown
        assert shown.replace("\n", "").isprintable()


def test_what_a_meter_of_several_circuits_has_is_listed(house, sign_in, call):
    house.add("em06", name="Fuse box", loads=[5.0] * 6)
    sign_in()
    (row,) = json.loads(call("devices", "--json"))
    assert {"power_w_1", "power_w_6"} <= set(row["has"])


def test_what_takes_long_is_said_to_who_sits_there(house, sign_in, state):
    house.add(name="Lamp")
    sign_in()
    with terminal("meross", "devices") as screen:
        assert "asking 1 device," in screen.wait_for("mss310")


def test_an_account_without_devices_says_that_it_has_none(
    house, sign_in, backend, capsys
):
    sign_in()
    assert run_program(["meross", "devices", "--backend", backend]) == 0
    assert capsys.readouterr() == ("", "the account has no device\n")
    assert run_program(["meross", "devices", "--json", "--backend", backend]) == 0
    assert capsys.readouterr() == ("[]\n", "")
