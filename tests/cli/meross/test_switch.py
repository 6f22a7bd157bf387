"""`structiot meross on`, `off`, `set` and `command`: what devices are told."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from time import monotonic

import pytest

from structiot import Environment
from structiot.cli.main import run_program
from structiot.meross.account_state import open_account_state
from structiot.meross.default_files import default_file

pytestmark = pytest.mark.e2e

CLOUD = ("--policy", "cloud_only")


def relay(house, sim, channel: int = 0) -> int:
    return int(house.digest(sim)["togglex"][channel]["onoff"])


def test_a_device_is_switched_in_the_local_network(house, call):
    plug = house.add()
    assert call("off", *house.where(plug)) == ""
    assert relay(house, plug) == 0
    told = json.loads(call("on", *house.where(plug), "--json"))
    assert told == {"device": plug.device.uuid, "channel": 0, "is_on": True}
    assert relay(house, plug) == 1
    assert house.messages == 0


def test_a_device_is_switched_through_the_cloud(house, sign_in, call):
    plug = house.add(name="Lamp")
    sign_in()
    assert call("off", "Lamp", *CLOUD) == ""
    assert relay(house, plug) == 0


def test_a_channel_is_known_by_its_number_and_its_name(
    house, sign_in, call, keep_place
):
    strip = house.add("mss425f", name="Strip")
    sign_in()
    keep_place(strip)
    call("off", "Strip", "2")
    assert [relay(house, strip, n) for n in (1, 2, 3)] == [1, 0, 1]
    call("off", "Strip", "switch 3")
    assert [relay(house, strip, n) for n in (1, 2, 3)] == [1, 0, 0]
    said = call("off", "Strip", "Heater", status=2)
    assert "Strip has no channel 'Heater'; there are 1 Switch 1, 2 Switch 2" in said
    assert "nothing to turn on in channel 9" in call("on", "Strip", "9", status=2)


def test_with_lan_there_is_no_device_to_be_named(house, call):
    where = house.where(house.add())
    said = call("on", "mss310", *where, status=2)
    assert "no channel 'mss310'" in said
    assert "with --lan no DEVICE is given" in said


def test_the_state_that_was_set_is_shown(house, call):
    lamp = house.where(house.add("msl120"))
    assert "on, brightness 40 %" in call("set", *lamp, "light", "brightness=40")


def test_a_lamp_is_told_what_shall_change(house, call):
    lamp = house.add("msl120")
    where = house.where(lamp)
    told = json.loads(
        call("set", *where, "light", "rgb=255,0,0", "brightness=40", "--json")
    )
    assert (told["entity"], told["state"]["rgb"]) == ("light", [255, 0, 0])
    shone = house.digest(lamp)["light"]
    assert (shone["rgb"], shone["luminance"]) == (0xFF0000, 40)
    call("set", *where, "light", "off")
    assert relay(house, lamp) == 0


def test_what_may_be_set_is_said_where_it_is_not(house, call):
    where = house.where(house.add("msl120"))

    def say(*words: str) -> str:
        return str(call("set", *where, *words, status=2))

    assert "0 to 100, not 400" in say("light", "brightness=400")
    assert "there are on, brightness" in say("light", "tone=1")
    assert "NAME=VALUE of on, brightness" in say("light", "blue")
    assert "what can be told: light, status_light" in say("nix", "3")
    assert "it is only read" in say("signal", "3")
    assert "ON or OFF" in say("status_light", "perhaps")


def test_a_request_of_ones_own_is_answered(house, call):
    plug = house.add()
    where = house.where(plug)
    shown = call("command", *where, "Appliance.System.Runtime")
    assert json.loads(shown)["runtime"]["signal"] > 0
    assert shown.count("\n") > 1
    off = '{"togglex": {"channel": 0, "onoff": 0}}'
    toggle = "Appliance.Control.ToggleX"
    assert call("command", *where, toggle, "set", off, "--json").count("\n") == 1
    assert relay(house, plug) == 0


def test_a_request_that_is_none_is_refused(house, call):
    where = house.where(house.add())
    namespace = "Appliance.Control.ToggleX"
    assert "is no JSON" in call("command", *where, namespace, "SET", "{", status=2)
    assert "a JSON object" in call("command", *where, namespace, "SET", "[]", status=2)
    assert "'HEAD' is not one of" in call(
        "command", *where, namespace, "HEAD", status=2
    )
    call("command", *where, "Appliance.No.Such", "GET", status=1)


@pytest.mark.parametrize("by", ["option", "variable"])
def test_a_device_that_is_not_at_port_80_is_spoken_to_all_the_same(
    house, sign_in, call, monkeypatch, by
):
    plug = house.add()
    sign_in()
    call("on", "Lamp")
    before = house.messages
    place = f"127.0.0.1:{plug.http_port}"
    options = ["--lan-port", place] if by == "option" else []
    if by == "variable":
        monkeypatch.setenv("STRUCTIOT_MEROSS_LAN_PORTS", f"10.0.0.9:81 {place}")
    call("off", "Lamp", *options)
    assert relay(house, plug) == 0
    assert house.messages == before
    assert "'80' is no HOST:PORT" in call("on", "Lamp", "--lan-port", "80", status=2)


def test_a_key_of_somebody_else_is_refused(house, call):
    plug = house.add()
    place = f"127.0.0.1:{plug.http_port}"
    said = call("on", "--lan", place, "--key", "another", status=1)
    assert f"{place} refuses our signature" in said
    assert "another is" not in said


def test_a_key_is_needed_and_that_of_the_token_is_taken(house, sign_in, call):
    plug = house.add()
    place = f"127.0.0.1:{plug.http_port}"
    assert "--lan needs the key" in call("on", "--lan", place, status=2)
    sign_in()
    call("off", f"--lan={place}")
    assert relay(house, plug) == 0
    assert house.messages == 0


@pytest.mark.parametrize(
    "place", ["", "a/b", "127.0.0.1:http", "me@127.0.0.1", "127.0.0.1:0", "[::1]:0"]
)
def test_a_place_that_is_none_is_a_wrong_use(call, place: str):
    said = call("on", "--lan", place, "--key", "k", status=2)
    assert "--lan takes HOST or HOST:PORT" in said


def test_nobody_at_the_place_is_said(call):
    said = call("on", "--lan", "127.0.0.1:9", "--key", "k", status=1)
    assert said == "structiot: cannot connect to 127.0.0.1:9: connection refused\n"


def test_a_device_that_there_is_not_is_said(house, sign_in, call):
    house.add(name="Kitchen")
    sign_in()
    said = call("on", "Kitchn", *CLOUD, status=2)
    assert "no device is called 'Kitchn'; did you mean 'Kitchen'?" in said


def test_two_devices_of_one_name_are_told_apart_by_uuid(house, sign_in, call):
    one, other = house.add(name="Lamp"), house.add(name="Lamp")
    sign_in()
    said = call("off", "Lamp", *CLOUD, status=2)
    assert one.device.uuid in said
    assert other.device.uuid in said


def test_a_device_that_is_offline_is_said_at_once(house, sign_in, call):
    plug = house.add(name="Lamp")
    sign_in()
    house.portal.call(plug.unplug)
    said = call("on", "Lamp", status=1).splitlines()
    assert said[-1] == "structiot: Lamp is away: it is not connected to the cloud"


def test_what_is_waited_for_is_said(house, sign_in, capsys, backend):
    plug = house.add(name="Lamp")
    begun = monotonic()
    sign_in()
    # It has to wait still when it comes to that: on a busy machine later.
    wait_s = min(3 + 5 * (monotonic() - begun), 10)
    state = default_file(None).with_suffix(".state")
    sent_at = datetime.now(UTC) - timedelta(seconds=60 - wait_s)
    earlier = Environment(clock=lambda: sent_at)

    async def spend() -> None:
        async with open_account_state(state, environment=earlier) as kept:
            for _ in range(6):
                await kept.note(plug.device.uuid)

    house.portal.call(spend)
    assert run_program(["meross", "info", "Lamp", *CLOUD, "--backend", backend]) == 0
    said = capsys.readouterr().err
    assert re.search("Lamp may be sent nothing through the cloud for [0-9]+ s", said)


def test_a_budget_that_is_spent_is_said(house, sign_in, call):
    plug = house.add(name="Lamp")
    sign_in()
    state = default_file(None).with_suffix(".state")

    async def spend() -> None:
        async with open_account_state(state) as kept:
            for _ in range(180):
                await kept.note(plug.device.uuid)

    house.portal.call(spend)
    said = call("on", "Lamp", *CLOUD, status=1)
    assert "nothing may be sent to Lamp through the cloud before " in said
    assert "`structiot meross budget` shows what may be sent, and when" in said
    assert house.messages == 0


def test_what_hangs_on_a_hub_is_set(house, sign_in, call, keep_place):
    hub = house.add("msh300", name="Hub")
    sign_in()
    rows = json.loads(call("devices", "--json"))
    valve = next(one["name"] for one in rows if one["model"] == "mts100v3")
    keep_place(hub)
    told = json.loads(call("set", valve, "valve", "target=23", "--json"))
    assert told["device"].startswith(hub.device.uuid)
    # The valve wakes up later.
    asked = [one.asked.payload.get("temperature") for one in hub.requests]
    assert [{"id": "01000A0B", "custom": 230}] in asked
    assert f"{valve} hangs on Hub" in call("on", valve, status=2)


def test_what_hangs_on_a_hub_is_set_without_a_cloud(house, call):
    where = house.where(house.add("msh300hk", "Hub", cloud=None))
    valve = ("--sub", "mts100v3 0A0B")
    told = json.loads(call("set", *where, *valve, "valve", "target=20", "--json"))
    assert told["state"]["target_c"] == 20
    assert "mts100v3 0A0B" in call("info", *where, "--sub", "01000A0B")
    said = call("info", *where, "--sub", "nobody", status=2)
    assert "no device is called 'nobody'" in said
    said = call("info", "Hub", "--sub", "01000A0B", status=2)
    assert "--sub goes with --lan" in said
    said = call("on", "Hub", "--key", "", status=2)
    assert "--key goes with --lan" in said


@pytest.mark.timeout(60)
def test_what_hangs_on_a_hub_is_found_each_time(house, sign_in, call):
    hub = house.add("msh300hk", "Hub")
    sign_in()
    call("set", "mts100v3 0A0B", "valve", "target=20")
    # As if an hour had passed: the budget has room.
    with closing(sqlite3.connect(default_file(None).with_suffix(".state"))) as file:
        file.execute("DELETE FROM sent")
        file.commit()
    told = json.loads(call("info", f"{hub.device.uuid}_01000A0B", "--json"))
    assert "valve" in {one["key"] for one in told["entities"]}
