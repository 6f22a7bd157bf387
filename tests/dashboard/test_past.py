"""What was, as JSON, as a table and on the device's page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import anyio.lowlevel
import pytest

from structiot.errors import ConfigError, ReplyTimeout, StructiotError, UsageError
from structiot.gateway.status import StoreStatus
from structiot.model import BinarySensor, Sensor, Switch
from tests.dashboard.house import EVERYTHING, device, house

pytestmark = pytest.mark.virtual_time


@dataclass(frozen=True)
class Course:
    unit: str | None = "W"
    resolution_s: int = 300
    is_step: bool = False
    t: tuple[float, ...] = (1000.0, 1300.0, 1600.5)
    mean: tuple[float | None, ...] = (1.5, None, 3.0)
    min: tuple[float | None, ...] = (1.0, None, 2.0)
    max: tuple[float | None, ...] = (2.0, None, 4.0)
    texts: tuple[str | None, ...] | None = None


@dataclass(frozen=True)
class Rang:
    entity: str
    event_type: str
    at_utc: datetime


@dataclass(frozen=True)
class Bar:
    from_utc: datetime
    until_utc: datetime
    energy_wh: float | None


@dataclass(frozen=True)
class Energy:
    bars: tuple[Bar, ...]
    gaps: tuple[Bar, ...]
    resets: tuple[datetime, ...]


class Shelf:
    """A history that says what a test has it say."""

    def __init__(self, course: Course = Course()) -> None:
        self.course = course
        self.asked: list[tuple[Any, ...]] = []
        self.error: StructiotError | None = None
        self.happened: list[Rang] = []
        self.is_writing = True

    def status(self) -> StoreStatus:
        return StoreStatus(
            is_writing=self.is_writing,
            reason="" if self.is_writing else "the disk is full",
            path="house.db",
            size_bytes=1,
            rows=1,
            oldest_utc=None,
            committed_utc=None,
            waiting=0,
            lost=0,
        )

    def links(self) -> tuple[()]:
        return ()

    async def leave(self) -> None:
        """Have nothing to write."""

    async def series(
        self, key: str, from_utc: datetime, to_utc: datetime, points: int = 1000
    ) -> Course:
        await anyio.lowlevel.checkpoint()
        self.asked.append((key, from_utc, to_utc, points))
        if self.error is not None:
            raise self.error
        return self.course

    async def energy(
        self, key: str, from_utc: datetime, to_utc: datetime, period: str = "day"
    ) -> Energy:
        await anyio.lowlevel.checkpoint()
        self.asked.append((key, from_utc, to_utc, period))
        bars = (Bar(at(0), at(3600), 1500.0), Bar(at(3600), at(7200), None))
        return Energy(bars, (Bar(at(3600), at(9000), 250.0),), (at(5000),))

    async def recent(
        self, keys: Iterable[str], hours: float = 1.0
    ) -> Mapping[str, Course]:
        await anyio.lowlevel.checkpoint()
        if self.error is not None:
            raise self.error
        asked = tuple(keys)
        self.asked.append(asked)
        return dict.fromkeys(asked, self.course)

    async def occurrences(self, slug: str, limit: int = 100) -> list[Rang]:
        await anyio.lowlevel.checkpoint()
        if self.error is not None:
            raise self.error
        return self.happened


def shelved(home: Any, course: Course | None = None) -> Shelf:
    shelf = home.gateway.history = Shelf(course or Course())
    return shelf


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


async def test_a_course_is_columns(environment):
    async with house(environment, device("desk")) as home:
        shelf = shelved(home)
        url = "/api/history/desk/power"
        answer = await home.browser.get(f"{url}?from=1000&to=2000.5&points=50")
        await home.browser.get(f"{url}?from=1970-01-01T01:00:00%2B01:00&to=9")
        await home.browser.get(f"{url}?to=1970-01-02T00:00:00Z&points=99999999")
        await home.browser.get(f"{url}.peak")
        now = environment.now_utc()
    assert answer.status == 200
    assert answer.json() == {
        "unit": "W",
        "resolution_s": 300,
        "is_step": False,
        "t": [1000.0, 1300.0, 1600.5],
        "mean": [1.5, None, 3.0],
        "min": [1.0, None, 2.0],
        "max": [2.0, None, 4.0],
        "silent": [[1300.0, 1600.5]],
    }
    day = timedelta(days=1)
    assert shelf.asked[:3] == [
        ("desk/power", at(1000), at(2000.5), 50),
        ("desk/power", at(0), at(9), 1000),
        ("desk/power", at(86_400) - day, at(86_400), 1000),
    ]
    assert shelf.asked[3] == ("desk/power.peak", now - day, now, 1000)


async def test_a_course_is_a_table(environment):
    async with house(environment, device("all", EVERYTHING)) as home:
        shelved(home)
        figures = await home.browser.get("/api/history/all/limit.csv?from=1000")
        texts = ("=1+1", None, 'a "b", c')
        shelved(home, Course(unit=None, texts=texts, mean=(), min=(), max=()))
        told = await home.browser.get("/api/history/all/note.csv")
    assert figures.headers["content-type"] == "text/csv; charset=utf-8"
    disposition = 'attachment; filename="all-limit.csv"'
    assert figures.headers["content-disposition"] == disposition
    assert figures.text.splitlines() == [
        "time,mean,min,max",
        "1970-01-01T00:16:40.000+00:00,1.5,1.0,2.0",
        "1970-01-01T00:21:40.000+00:00,,,",
        "1970-01-01T00:26:40.500+00:00,3.0,2.0,4.0",
    ]
    assert [one.partition(",")[2] for one in told.text.splitlines()] == [
        "text",
        "'=1+1",
        "",
        '"a ""b"", c"',
    ]


async def test_nonsense_is_asked_in_vain(environment):
    async with house(environment, device("all", EVERYTHING)) as home:
        shelf = shelved(home)
        for query in (
            "from=yesterday",
            "from=nan",
            "from=-5",
            "to=1e99",
            "from=2000&to=1000",
            "to=2024-13-01",
            "to=0001-01-01T00:00:00%2B05:00",
            "points=0",
            "points=-1",
            "points=many",
            "points=%c2%b2",
        ):
            for ending in ("", ".csv"):
                target = f"/api/history/all/limit{ending}?{query}"
                answer = await home.browser.get(target)
                assert (query, answer.status) == (query, 400)
                assert answer.json()["error"]
        for key in ("nobody/limit", "all/nothing", "all/pin", "all", "all/limit/x"):
            answer = await home.browser.get(f"/api/history/{key}")
            assert (key, answer.status) == (key, 404)
    assert shelf.asked == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UsageError("no"), 400),
        (ReplyTimeout("slow"), 504),
        (ConfigError("gone"), 502),
    ],
)
async def test_a_history_that_does_not_answer(environment, error, status):
    async with house(environment, device("desk")) as home:
        shelved(home).error = error
        answer = await home.browser.get("/api/history/desk/power")
        index = await home.browser.get("/")
        page = await home.browser.get("/device/desk")
    assert answer.status == status
    assert index.status == 200
    assert page.status == 200
    assert "Details" in page.text


async def test_the_past_is_on_the_pages(environment):
    desk = device("desk")
    async with house(environment, desk) as home:
        shelf = shelved(home)
        shelf.happened = [Rang("relay", "double_press", at(60))]
        index = await home.browser.get("/")
        await home.browser.get("/")
        page = await home.browser.get("/device/desk")
        zoomed = await home.browser.get(
            "/device/desk?from=1000&to=2000&series=desk/relay"
        )
        hour = await home.browser.get("/device/desk?range=hour&series=nonsense")
        nonsense = await home.browser.get("/device/desk?from=soon")
        now = environment.now_utc()
    lines, *courses = shelf.asked
    assert lines == ("desk/power",)
    assert "<path" in index.text.partition('data-device="desk"')[2]
    assert courses == [
        ("desk/power", now - timedelta(days=1), now, 1000),
        ("desk/relay", at(1000), at(2000), 1000),
        ("desk/power", now - timedelta(hours=1), now, 1000),
    ]
    for text in ("double press", "Average", "2.25 W", "no data"):
        assert text in page.text
    assert 'data-from="1000.0" data-to="2000.0"' in zoomed.text
    assert 'value="hour" checked' in hour.text
    assert nonsense.status == 400


async def test_the_zone_is_that_in_which_the_history_counts_days(environment):
    zone = {"history": {"timezone": "Asia/Kolkata"}}
    async with house(environment, device("desk"), sections=zone) as home:
        shelved(home)
        page = await home.browser.get("/device/desk?from=0&to=7200")
    assert 'data-zone="Asia/Kolkata" data-offset="330"' in page.text
    assert "1970-01-01 05:46:40" in page.text


async def test_a_state_is_told_from_when_to_when(environment):
    door = BinarySensor(key="door", name="Door", device_class="door")
    async with house(environment, device("desk", (door,))) as home:
        shelved(
            home, Course(unit=None, resolution_s=0, is_step=True, mean=(1, None, 0))
        )
        page = await home.browser.get("/device/desk?from=1000&to=1610")
    assert 'data-off="closed" data-on="open"' in page.text
    for text in ("<td>open</td>", "<td>no data</td>", "Door of desk: latest open"):
        assert text in page.text


async def test_energy_is_bars_in_the_unit_of_its_counter(environment):
    counter = Sensor(
        key="energy",
        name="Energy",
        unit="kWh",
        device_class="energy",
        state_class="total_increasing",
    )
    async with house(environment, device("desk", (counter,))) as home:
        shelf = shelved(home, Course(unit="kWh"))
        url = "/api/history/desk/energy"
        answer = await home.browser.get(f"{url}?from=0&to=7200")
        await home.browser.get(f"{url}?from=0&to={30 * 86_400}")
        await home.browser.get(f"{url}?from=0&to={300 * 86_400}")
        page = await home.browser.get("/device/desk?from=0&to=7200")
    told = answer.json()
    assert told["bars"] == [[0.0, 3600.0, 1.5], [3600.0, 7200.0, None]]
    assert told["gaps"] == [[3600.0, 9000.0, 0.25]]
    assert told["resets"] == [5000.0]
    assert [one[3] for one in shelf.asked][1:6:2] == ["hour", "day", "month"]
    assert "1.75 kWh" in page.text
    assert "data-energy" in page.text


async def test_a_history_that_is_not_written_is_not_ready(environment):
    async with house(environment) as home:
        shelved(home).is_writing = False
        answer = await home.browser.get("/readyz")
        page = await home.browser.get("/gateway")
    assert (answer.status, answer.text) == (503, "history\n")
    assert "the disk is full" in page.text


async def test_the_main_figure_of_a_strip_is_that_of_all_its_ports(environment):
    power = partial(Sensor, unit="W", device_class="power", state_class="measurement")
    strip = (
        Sensor(key="melody", state_class="measurement"),
        Switch(key="port_1"),
        power(key="port_1_power"),
        power(key="total_power"),
    )
    async with house(environment, device("desk", strip)) as home:
        shelf = shelved(home)
        await home.browser.get("/")
        await home.browser.get("/device/desk?from=1000&to=2000")
    assert shelf.asked == [
        ("desk/total_power",),
        ("desk/total_power", at(1000), at(2000), 1000),
    ]
