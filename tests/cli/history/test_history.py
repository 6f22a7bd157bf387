"""`structiot history`: what was, by names, as tables, files and pictures."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from structiot._kit.sqlite_file import lock_sqlite_file
from structiot.cli.main import run_program
from structiot.gateway.history.answers import RecordedSeries
from structiot.gateway.history.backlog import Part, Stretch
from structiot.gateway.history.hours import House
from structiot.gateway.history.store import Batch, Store
from tests._support.interpreter import PYTHON

Call = Callable[..., str]
HOUR_MS = 3_600_000
# 2026-05-01T00:00Z
START_MS = 1_777_593_600_000


def series(entity: str, kind: str, unit: str = "", label: str = "") -> RecordedSeries:
    return RecordedSeries(
        system="toy",
        device="P1",
        entity=entity,
        kind=kind,  # type: ignore[arg-type]
        unit=unit,
        slug="kettle",
        name="Tea Kettle",
        label=label,
    )


POWER = series("power", "figure", "W", "Power")
ENERGY = series("energy", "energy", "Wh", "Energy")
MODE = series("mode", "text", "", "Mode")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "house.history.sqlite"
    store = Store(path)
    parts = []
    for hour in range(3):
        begin = START_MS + hour * HOUR_MS
        part = Part(Stretch(begin, begin, begin + HOUR_MS), begin, begin + HOUR_MS)
        part.is_last = True
        part.add((POWER, begin, 100.0 * hour))
        part.add((ENERGY, begin, 1000.0 + 100 * hour))
        part.add((ENERGY, begin + HOUR_MS // 2, 1100.0 + 100 * hour))
        part.add((MODE, begin, f"m{hour}"))
        parts.append(part)
    store.apply(Batch(parts=parts))
    store.close()
    return path


@pytest.fixture
def call(file: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    def run(command: str, *words: str, status: int = 0) -> str:
        arguments = ["history", command, *words, "--file", str(file)]
        if command in {"query", "export"}:
            arguments += ["--from", "2026-05-01T00:00Z", "--to", "2026-05-01T03:00Z"]
        assert run_program(arguments) == status
        said = capsys.readouterr()
        return said.err if status else said.out

    return run


def test_a_course_is_a_table(call: Call):
    lines = call("query", "kettle/power", "--points", "10").splitlines()
    assert lines[0].split() == ["key", "time", "mean", "min", "max"]
    assert [line.split()[2] for line in lines[1:]] == [
        "0",
        "0",
        "100",
        "100",
        "200",
        "200",
    ]


@pytest.mark.parametrize(
    "key", ["Tea Kettle/Power", "tea kettle/power", "KETTLE/power"]
)
def test_names_are_those_of_people_or_of_topics(call: Call, key: str):
    (one,) = json.loads(call("query", key, "--json"))
    assert one["key"] == "kettle/power"
    assert one["unit"] == "W"


def test_a_device_alone_is_all_that_it_has(call: Call):
    found = json.loads(call("query", "kettle", "--json"))
    assert {one["key"] for one in found} == {
        "kettle/power", "kettle/energy", "kettle/mode",
    }  # fmt: skip
    (mode,) = (one for one in found if one["texts"])
    assert mode["texts"][:2] == ["m0", "m1"]


def test_what_is_unknown_is_said_with_the_nearest(call: Call):
    said = call("query", "kettle/pover", status=2)
    assert "nothing of 'kettle/pover'; did you mean 'kettle/power'?" in said


def test_energy_by_the_hour(call: Call, file: Path):
    (one,) = json.loads(call("query", "kettle/energy", "--energy", "hour", "--json"))
    assert [bar["energy_wh"] for bar in one["bars"]] == [100.0, 100.0, 100.0]
    assert "in all 300 Wh" in call("query", "kettle/energy", "--energy", "day")


def test_patterns_name_several(call: Call):
    for pattern, entities in (
        ("kettle/*e*r*", {"power", "energy"}),
        ("*/mode", {"mode"}),
        ("tea*", {"power", "energy", "mode"}),
    ):
        found = json.loads(call("query", pattern, "--json"))
        assert {one["key"] for one in found} == {f"kettle/{one}" for one in entities}
    assert "nothing of 'x*'" in call("query", "x*", status=2)


def test_a_table_begins_with_the_first_value_and_has_each_gap_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "gaps.sqlite"
    store = Store(path)
    kwh = replace(ENERGY, kind="figure", unit="kWh", decimals=3)
    parts = []
    for hour, value in ((20, 0.0024), (26, 0.00004)):
        begin = START_MS + hour * HOUR_MS
        part = Part(Stretch(begin, begin, begin + HOUR_MS), begin, begin + HOUR_MS)
        part.is_last = True
        part.add((kwh, begin, value))
        parts.append(part)
    store.apply(Batch(parts=parts))
    store.close()
    words = ["history", "query", "kettle/energy", "--file", str(path)]
    words += ["--from", "2026-05-01T00:00Z", "--to", "2026-05-02T06:00Z"]
    assert run_program([*words, "--points", "30"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [" ".join(line.split()[2:4]) for line in lines] == [
        "0.002 kWh",
        "- -",
        "0.00004 kWh",
        "- -",
    ]
    assert run_program([*words, "--points", "30", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert len(one["t"]) == 30


def test_a_pipe_that_is_closed_is_no_fault_of_the_history(file: Path):
    words = ["history", "export", "--file", str(file), "--last", "10000d"]
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [*PYTHON, "-u", "-m", "structiot", *words],
            stdout=write,
            stderr=subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize("option", ["-o", "--output"])
def test_a_disk_that_is_full_is_no_fault_of_the_history(call: Call, option: str):
    said = call("export", option, "/dev/full", status=1)
    assert said.strip().endswith("cannot write /dev/full: No space left on device")


def test_figures_as_a_file(call: Call, tmp_path: Path):
    target = tmp_path / "out.csv"
    assert call("query", "kettle/power", "--csv", str(target)) == ""
    rows = list(csv.DictReader(io.StringIO(target.read_text())))
    assert rows[0]["key"] == "kettle/power"
    assert {row["unit"] for row in rows} == {"W"}


@pytest.mark.parametrize("more", [(), ("--energy", "hour")])
def test_a_picture(call: Call, tmp_path: Path, more: tuple[str, ...]):
    target = tmp_path / "out.png"
    call("query", "kettle", "--plot", str(target), *more)
    assert target.read_bytes().startswith(b"\x89PNG")


def test_every_reading_is_exported(call: Call):
    rows = list(csv.DictReader(io.StringIO(call("export"))))
    assert len(rows) == 3 + 5 + 3 + 1
    assert rows[0]["system"] == "toy"
    lines = call("export", "kettle/mode", "--format", "json").splitlines()
    found = [json.loads(line) for line in lines]
    assert [one["value"] for one in found] == ["m0", "m1", "m2"]
    assert found[0]["from"] == "2026-05-01T00:00:00+00:00"


def test_the_size(call: Call, file: Path):
    found = json.loads(call("size", "--json"))
    assert found["readings"] == 12
    assert found["series"] == 3
    assert found["hours"] == 6
    assert found["size_bytes"] >= file.stat().st_size
    text = call("size")
    assert re.search(r"^size +0\.\d+ MB$", text, re.MULTILINE)
    assert re.search(
        r"^oldest +2026-0[45]-\d\d \d\d:00:00[+-]\d\d:\d\d$", text, re.MULTILINE
    )


def test_what_is_old_is_taken_out(call: Call, file: Path):
    assert "bytes before" in call("prune", "--raw-days", "1")
    found = json.loads(call("size", "--json"))
    assert (found["readings"], found["hours"]) == (0, 6)
    # The course is told by hours still.
    (one,) = json.loads(call("query", "kettle/power", "--json"))
    assert one["resolution_s"] in {300, 3600}
    call("prune", "--five-minutes-days", "1", "--hours-days", "1")
    assert json.loads(call("size", "--json"))["hours"] == 0


def test_a_series_is_taken_out(call: Call):
    call("prune", "kettle/power")
    found = json.loads(call("query", "--json"))
    assert {one["key"] for one in found} == {"kettle/energy", "kettle/mode"}


def test_a_file_in_use_is_asked_and_not_pruned(call: Call, file: Path):
    with closing(lock_sqlite_file(file)):
        assert "in use" in call("prune", "--raw-days", "1", status=2)
        assert json.loads(call("size", "--json"))["readings"] == 12


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("prune",), "say what is taken out"),
        (("prune", "kettle", "--raw-days", "1"), "either them or days"),
        (("query", "--last", "1d"), "cannot both be given"),
        (("query", "--last", "soon"), "no span of time"),
    ],
)
def test_arguments_that_mean_nothing(call: Call, words: tuple[str, ...], said: str):
    assert said in call(*words, status=2)


def test_what_is_no_history_is_said(call: Call, file: Path):
    with closing(sqlite3.connect(file)) as one:
        one.execute("PRAGMA application_id = 7")
    assert "it is no history" in call("query", status=2)
    assert file.stat().st_size


def test_the_zone_of_the_house_is_that_of_the_configuration(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    config = tmp_path / "structiot.toml"
    config.write_text(f'[history]\npath = "{file}"\ntimezone = "Asia/Kolkata"\n')
    words = ["history", "query", "kettle/power", "-c", str(config)]
    words += ["--from", "2026-05-01T05:30", "--to", "2026-05-01T08:30", "--json"]
    assert run_program(words) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert one["t"][0] * 1000 == START_MS
    assert House("Asia/Kolkata").local(START_MS).hour == 5


def test_a_configuration_without_a_history_yet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch
):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    config = tmp_path / "structiot.toml"
    config.write_text("[maxsmart]\n")
    assert run_program(["history", "size", "-c", str(config)]) == 2
    assert "has no history yet" in capsys.readouterr().err
