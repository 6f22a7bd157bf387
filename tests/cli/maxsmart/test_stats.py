"""`structiot maxsmart stats`: a chart in the terminal, CSV, JSON, a picture."""

from __future__ import annotations

import csv
import io
import json
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from structiot.cli._common.chart import bar, energy_shown
from structiot.sim import SimClock

pytestmark = pytest.mark.e2e

PNG_HEAD = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def metered(simulate):
    """A strip that has drawn 10 W and 30 W for two years, at a price."""
    offset = datetime.now().astimezone().utcoffset() or timedelta(0)
    strip = simulate(
        name="Desk",
        serial="SWP6000000000001",
        loads=[10.0, 30.0, 0.0, 0.0, 0.0, 0.0],
        history=timedelta(days=800),
        utc_offset_h=round(offset / timedelta(hours=1)),
    )
    strip.portal.call(strip.sim.set_tariff, "0.25", 3)
    return strip


def test_a_day_is_a_line_with_a_bar(metered, call):
    lines = call("stats", *metered.where).splitlines()
    assert lines[0] == "Desk, all ports"
    assert lines[1].split() == ["day", "energy"]
    days = [line.split() for line in lines[2:-1]]
    assert len(days) == 31
    newest = datetime.now()  # noqa: DTZ005 - the device shows a wall clock
    assert days[-1][:2] == newest.strftime("%a %Y-%m-%d").split()
    assert days[-1][-2:] == ["so", "far"]
    assert days[0][2:4] == ["960.0", "Wh"]
    assert days[0][4] == "█" * 40
    assert lines[-1].endswith(" CHF at 0.25 CHF a kWh")
    total, cost = float(lines[-1].split()[0]), float(lines[-1].split()[4])
    assert 28.8 <= total <= 29.8
    assert cost == pytest.approx(total * 0.25, abs=0.01)


def test_each_port_that_is_asked_for_has_its_chart(metered, call):
    options = ["--period", "hourly", "--price", "1"]
    shown = call("stats", *metered.where, "2", "1", *options)
    two, one = shown.split("\n\n")
    assert two.splitlines()[0] == "Desk, Port 2"
    assert one.splitlines()[0] == "Desk, Port 1"
    assert "30.0 Wh" in two.splitlines()[3]
    assert "10.0 Wh" in one.splitlines()[3]
    assert two.splitlines()[-1].endswith(" CHF at 1 CHF a kWh")


def test_json_has_every_point_and_what_it_comes_to(metered, call):
    options = ["--period", "monthly", "--json"]
    (series,) = json.loads(call("stats", *metered.where, "1", *options))
    assert (series["device"], series["port"]) == ("SWP6000000000001", 1)
    assert (series["period"], series["dated_by"]) == ("monthly", "reply")
    assert (series["currency"], series["price_per_kwh"]) == ("CHF", 0.25)
    points = series["points"]
    assert [point["is_complete"] for point in points] == [True] * 11 + [False]
    assert [p["end"] for p in points[:-1]] == [p["start"] for p in points[1:]]
    total = sum(point["energy_wh"] for point in points)
    assert series["energy_wh"] == pytest.approx(total)
    assert series["cost"] == pytest.approx(total / 4000, abs=0.0001)


def test_csv_is_written_to_standard_output_or_a_file(metered, call, tmp_path):
    path = tmp_path / "days.csv"
    said = call("stats", *metered.where, "1", "2", "--csv", "-")
    assert call("stats", *metered.where, "1", "2", "--csv", str(path)) == ""
    assert len(said.splitlines()) == len(path.read_text().splitlines()) == 63
    rows = list(csv.DictReader(io.StringIO(said)))
    assert rows[0].keys() == {
        "port",
        "name",
        "start",
        "end",
        "energy_wh",
        "is_complete",
    }
    assert {row["port"]: row["name"] for row in rows} == {"1": "Port 1", "2": "Port 2"}
    assert float(rows[5]["energy_wh"]) == pytest.approx(240.0)
    span = [datetime.fromisoformat(rows[5][name]) for name in ("start", "end")]
    assert span[1] - span[0] == timedelta(days=1)
    assert [row["is_complete"] for row in rows[:31]] == ["yes"] * 30 + ["no"]


# Matplotlib looks through all fonts when it is used for the first time.
@pytest.mark.timeout(90)
@pytest.mark.parametrize("backend", ["trio"])
@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_picture_is_drawn(metered, call, tmp_path, suffix: str):
    path = tmp_path / f"energy{suffix}"
    assert call("stats", *metered.where, "0", "1", "--plot", str(path)) == ""
    heads = {".png": PNG_HEAD, ".svg": b"<?xml", ".pdf": b"%PDF"}
    assert path.read_bytes().startswith(heads[suffix])
    if suffix == ".svg":
        assert path.read_text().count("Desk, ") == 2


@pytest.mark.timeout(90)
@pytest.mark.parametrize("backend", ["asyncio"])
def test_a_name_in_a_picture_is_no_formula(simulate, call, tmp_path):
    strip = simulate(name="$\\frac{$", history=timedelta(days=2))
    path = tmp_path / "energy.png"
    assert call("stats", *strip.where, "--plot", str(path)) == ""
    assert path.read_bytes().startswith(PNG_HEAD)


def test_without_matplotlib_it_is_said_how_to_install_it(call, monkeypatch, metered):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    said = call("stats", *metered.where, "--plot", "x.png", status=2)
    assert "--plot needs matplotlib; pip install 'structiot[plots]'" in said
    assert not metered.sim.requests
    assert "so far" in call("stats", *metered.where)


def test_a_picture_of_another_kind_is_refused_before_anything_is_asked(call, metered):
    said = call("stats", *metered.where, "--plot", "x.gif", status=2)
    assert "--plot draws .png, .svg, .pdf files, not 'x.gif'" in said
    assert not metered.sim.requests


@pytest.mark.timeout(90)
@pytest.mark.parametrize("option", ["--csv", "--plot"])
def test_a_file_that_cannot_be_written_is_named(call, metered, tmp_path: Path, option):
    path = str(tmp_path / "nowhere" / "x.png")
    said = call("stats", *metered.where, option, path, status=1)
    assert said == f"Error: cannot write {path}: No such file or directory\n"


@pytest.mark.parametrize("family", ["revogi_336", "revogi_511"])
def test_firmware_without_statistics_names_the_one_that_has(simulate, call, family):
    strip = simulate(family, name="Desk")
    said = call("stats", *strip.where, status=1)
    firmware = strip.sim.family.firmware
    text = f"Desk (127.0.0.1), firmware {firmware}, has no statistics"
    assert said == f"structiot: {text}; known to have them: firmware 1.30\n"
    assert 510 not in [request.number for request in strip.sim.requests]


def test_firmware_that_is_said_to_be_able_is_asked(simulate, call):
    strip = simulate("revogi_336")
    call("stats", *strip.where, "--try-anyway", status=1)
    assert 510 in [request.number for request in strip.sim.requests]


def test_a_plug_is_dated_by_its_clock(simulate, call):
    plug = simulate("mh_plug_130", history=timedelta(days=2), clock=SimClock())
    last = call("stats", *plug.where).splitlines()[-1]
    assert last.endswith("the device names no dates, these follow from its clock")


@pytest.mark.parametrize(
    ("energy_wh", "most_wh", "shown"),
    [
        (None, 5.0, None),
        (0.004, 0.5, "0.004 Wh"),
        (0.04, 5.0, "0.0 Wh"),
        (9_999.0, 9_999.0, "9999.0 Wh"),
        (500.0, 10_000.0, "0.50 kWh"),
    ],
)
def test_an_energy_has_the_unit_of_the_largest(energy_wh, most_wh, shown):
    assert energy_shown(energy_wh, most_wh) == shown


def test_a_port_that_does_not_exist_is_refused(metered, call):
    said = call("stats", *metered.where, "0", "7", status=2)
    assert "has no port 7; its ports are 1 to 6" in said
    assert 510 not in [request.number for request in metered.sim.requests]


@pytest.mark.parametrize(
    ("share", "drawn", "plain"),
    [
        (0.0, "", ""),
        (0.001, "▏", "#"),
        (0.5, "████", "####"),
        (0.55, "████▍", "####"),
        (1.0, "████████", "########"),
    ],
)
def test_bars_are_as_long_as_the_share(share: float, drawn: str, plain: str):
    assert bar(share, 8) == drawn
    assert bar(share, 8, has_blocks=False) == plain
