"""`structiot meross energy`: a chart in the terminal, JSON, CSV, a picture."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta

import pytest

from structiot.sim import SimClock
from tests._support.terminal import terminal

pytestmark = pytest.mark.e2e

HOURS = 50


@pytest.fixture
def metered(house):
    """A plug that has drawn 40 W for two days and two hours; and its place."""
    clock = SimClock(datetime.now(UTC) - timedelta(hours=HOURS))
    plug = house.add("mss305", name="Desk", loads=[40.0], clock=clock)
    house.portal.call(clock.jump, HOURS * 3600)
    return house.where(plug)


def test_csv_is_written_to_standard_output_or_a_file(metered, call, tmp_path):
    path = tmp_path / "days.csv"
    said = call("energy", *metered, "--csv", "-")
    assert call("energy", *metered, "--csv", str(path)) == ""
    assert path.read_text() == said
    rows = list(csv.DictReader(io.StringIO(said)))
    assert rows[-2]["energy_wh"] == "960.0"
    assert [row["is_complete"] for row in rows[-2:]] == ["yes", "no"]
    assert date.fromisoformat(rows[0]["start"]) < date.fromisoformat(rows[-1]["start"])
    said = call("energy", *metered, "--hours", "--csv", "-")
    rows = list(csv.DictReader(io.StringIO(said)))
    assert datetime.fromisoformat(rows[0]["start"]).tzinfo is not None


def test_a_day_is_a_line_with_a_bar(metered, call):
    lines = call("energy", *metered, "--price", "0.5").splitlines()
    assert lines[1].split() == ["day", "energy"]
    days = [line.split() for line in lines[2:-1]]
    assert days[-1][:2] == datetime.now(UTC).strftime("%a %Y-%m-%d").split()
    assert days[-1][-2:] == ["so", "far"]
    assert days[-2][2:] == ["960.0", "Wh", "█" * 40]
    assert lines[-1] == "2000.0 Wh in all, 1.00 at that price"


def test_hours_are_shown(metered, call):
    lines = call("energy", *metered, "--hours").splitlines()
    assert lines[1].split() == ["hour", "energy"]
    hours = [line.split() for line in lines[2:-1]]
    assert len(hours) == 24
    assert hours[0][2:4] == ["40.0", "Wh"]


def test_json_has_every_day_and_what_it_comes_to(metered, call):
    told = json.loads(call("energy", *metered, "--json"))
    assert told["period"] == "daily"
    assert told["points"][-1]["date"] == datetime.now(UTC).date().isoformat()
    assert told["points"][-2]["energy_wh"] == 960
    assert told["energy_wh"] == sum(one["energy_wh"] for one in told["points"])
    assert told["cost"] is None
    told = json.loads(call("energy", *metered, "--hours", "--price", "0.5", "--json"))
    assert told["period"] == "hourly"
    assert len(told["points"]) == 24
    assert told["cost"] == pytest.approx(told["energy_wh"] / 2000)


# Matplotlib looks through all fonts when it is used for the first time.
@pytest.mark.timeout(90)
@pytest.mark.parametrize("backend", ["trio"])
def test_a_picture_is_drawn(metered, call, tmp_path):
    path = tmp_path / "energy.png"
    assert call("energy", *metered, "--plot", str(path)) == ""
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert "draws .png" in call("energy", *metered, "--plot", "a.gif", status=2)


def test_a_device_without_a_meter_says_so(house, call):
    lamp = house.where(house.add("msl120"))
    said = call("energy", *lamp, status=1)
    assert "this msl120 does not remember the energy of days" in said
    said = call("energy", *lamp, "--hours", status=1)
    assert "this msl120 does not remember the energy of hours" in said


def test_whose_of_several_meters_is_to_be_said(house, call):
    meter = house.where(house.add("em06", loads=[5.0] * 6))
    said = call("energy", *meter, "--hours", status=2)
    assert "several meters: say --channel, one of 1, 2, 3, 4, 5, 6" in said
    said = call("energy", *meter, "--hours", "--channel", "9", status=2)
    assert "no meter 9: say --channel, one of 1, 2" in said
    call("energy", *meter, "--hours", "--channel", "2")


def test_a_channel_is_of_hours_alone(metered, call):
    said = call("energy", *metered, "--channel", "3", status=2)
    assert "--channel goes with --hours" in said


def test_what_is_drawn_is_said_to_who_sits_there(metered, tmp_path):
    path = tmp_path / "energy.svg"
    with terminal("meross", "energy", *metered, "--plot", str(path)) as screen:
        screen.wait_for(f"drawn into {path}")
