"""Hours and five minutes against a truth that is kept moment by moment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from structiot.gateway.history.answers import RecordedSeries, Series
from structiot.gateway.history.bars import energy_between
from structiot.gateway.history.courses import series_between
from structiot.gateway.history.finding import Which
from structiot.gateway.history.hours import House
from structiot.gateway.history.reader import asked
from structiot.gateway.history.recorded import Value
from structiot.gateway.history.rollups import FIVE_MS, Bucket, packed, unpacked
from tests.gateway.notebook import METER, MODE, POWER, RELAY, START_S, TICK_S, Notebook

figures = st.integers(-50, 200).map(float)


def ticks(low: int, high: int) -> st.SearchStrategy[int]:
    return st.integers(low, high).map(lambda one: one * TICK_S)


FEW = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
ACTIONS = ["", "", "", "commit", "commit", "crash", "end", "back", "forward"]


@dataclass(frozen=True)
class Episode:
    """What is told, for how long it is so, and what happens then."""

    power: float | None
    relay: float | None
    meter: float | None
    mode: str | None
    wait_s: int
    action: str
    seconds: int


episodes = st.builds(
    Episode,
    power=figures | st.none(),
    relay=st.sampled_from([0.0, 1.0, None]),
    meter=st.integers(0, 30).map(float) | st.none(),
    mode=st.sampled_from(["eco", "boost", None]),
    wait_s=ticks(1, 8) | ticks(20, 100),
    action=st.sampled_from(ACTIONS),
    seconds=ticks(1, 180),
)


def write(book: Notebook, told: Iterable[Episode]) -> None:
    for one in told:
        book.tell(POWER, one.power)
        book.tell(RELAY, one.relay)
        book.tell(METER, one.meter)
        book.tell(MODE, one.mode)
        book.wait(one.wait_s)
        match one.action:
            case "commit":
                book.commit()
            case "end":
                book.end()
            case "crash":
                book.crash(one.seconds)
            case "back":
                book.jump(-one.seconds)
            case "forward":
                book.jump(one.seconds)
    book.commit()
    book.store.close()


def which(series: RecordedSeries, from_s: int, to_s: int) -> Which:
    identity = (series.system, series.device)
    return Which("key", "", series.entity, identity, from_s * 1000, to_s * 1000)


def buckets(
    seconds: Mapping[int, Value], from_s: int, step_s: int, count: int
) -> list[tuple[float | None, float | None, float | None]]:
    """Give mean, lowest and highest of each span, moment by moment."""
    found: dict[int, list[float]] = {}
    for second, value in seconds.items():
        assert isinstance(value, float)
        found.setdefault((second - from_s) // step_s, []).append(value)
    nothing = (None, None, None)
    return [
        (sum(one) / len(one), min(one), max(one)) if (one := found.get(n)) else nothing
        for n in range(count)
    ]


# Each has hours of many readings.
@settings(max_examples=settings().max_examples // 2, phases=FEW)
@given(
    st.lists(episodes, min_size=6, max_size=20),
    st.sampled_from(["UTC", "Asia/Kolkata"]),
)
def test_rollups_are_what_was_told(
    tmp_path_factory: pytest.TempPathFactory,
    told: list[Episode],
    zone: str,
):
    with TemporaryDirectory(dir=tmp_path_factory.getbasetemp()) as folder:
        path = Path(folder) / "history.sqlite"
        book = Notebook(path, zone)
        write(book, told)
        # The hour that is not over is made of its readings, one way or the other.
        from_s, to_s = START_S - 12 * 3600, START_S + 48 * 3600
        house = House(zone)
        hour_s = house.hour_of(from_s * 1000) // 1000
        for series in (POWER, RELAY, METER):
            seconds = book.truth.known.get(series, {})
            for points, step_s, begin_s in ((1000, 300, from_s), (100, 3600, hour_s)):
                if series is RELAY:
                    # Steps are told as they are; how fine depends on their number.
                    continue
                question = which(series, from_s, to_s)
                course = asked(
                    path,
                    partial(series_between, which=question, points=points, house=house),
                    Series(key=""),
                )
                if not course.t:
                    assert not seconds
                    continue
                assert course.resolution_s == step_s
                wanted = buckets(seconds, begin_s, step_s, len(course.t))
                for at, one in enumerate(wanted):
                    shown = (course.mean[at], course.min[at], course.max[at])
                    assert shown == pytest.approx(one), (series.entity, step_s, at)
        _check_energy(book, path, house, from_s, to_s)
        _check_steps(book, path, from_s, to_s)


def any_episode(chance: Random) -> Episode:
    def some(low: int, high: int) -> int:
        return chance.randint(low, high) * TICK_S

    return Episode(
        power=chance.choice([None, float(chance.randint(-50, 200))]),
        relay=chance.choice([0.0, 1.0, None]),
        meter=chance.choice([None, *map(float, chance.sample(range(30), 2))]),
        mode=chance.choice(["eco", None]),
        wait_s=chance.choice([some(1, 8), some(20, 100)]),
        action=chance.choice(ACTIONS),
        seconds=some(1, 180),
    )


def check_any(folder: Path, seeds: Iterable[int]) -> None:
    from_s, to_s = START_S - 12 * 3600, START_S + 48 * 3600
    for seed in seeds:
        chance = Random(seed)
        zone = chance.choice(["UTC", "Asia/Kolkata"])
        book = Notebook(folder / f"{seed}.sqlite", zone)
        write(book, [any_episode(chance) for _ in range(chance.randint(3, 12))])
        _check_energy(book, book.path, House(zone), from_s, to_s)
        _check_steps(book, book.path, from_s, to_s)


def test_energy_and_steps_are_what_was_told(tmp_path: Path):
    check_any(tmp_path, range(60))


@pytest.mark.thorough
def test_energy_and_steps_are_what_was_told_many_times(tmp_path: Path):
    check_any(tmp_path, range(60, 2000))


def _check_energy(
    book: Notebook, path: Path, house: House, from_s: int, to_s: int
) -> None:
    question = which(METER, from_s, to_s)
    found = asked(path, lambda one: energy_between(one, question, "hour", house), None)
    assert found is not None
    truth = book.truth
    shown = {
        round(bar.from_utc.timestamp()): bar.energy_wh
        for bar in found.bars
        if bar.energy_wh
    }
    assert shown == pytest.approx({k: v for k, v in truth.gained.items() if v})
    gaps = sorted(
        (
            round(one.from_utc.timestamp()),
            round(one.until_utc.timestamp()),
            one.energy_wh,
        )
        for one in found.gaps
    )
    assert gaps == sorted(set(truth.gaps))
    resets = {round(one.timestamp()) for one in found.resets}
    assert resets == set(truth.resets)
    power = which(POWER, from_s, to_s)
    bars = asked(path, lambda one: energy_between(one, power, "day", house), None)
    assert bars is not None
    assert all(bar.energy_wh is None or bar.energy_wh >= 0 for bar in bars.bars)
    known = sum(bar.known_s for bar in bars.bars)
    assert known == TICK_S * len(book.truth.known.get(POWER, {}))


def _check_steps(book: Notebook, path: Path, from_s: int, to_s: int) -> None:
    for series in (RELAY, MODE):
        question = which(series, from_s, to_s)
        course = asked(
            path,
            partial(series_between, which=question, points=1000, house=book.house),
            Series(key=""),
        )
        values = course.mean if course.texts is None else course.texts
        assert list(course.t) == sorted(set(course.t))
        for second, value in book.truth.known.get(series, {}).items():
            at = max(i for i, t in enumerate(course.t) if t <= second)
            assert values[at] == value, (series.entity, second)


@given(st.dictionaries(st.integers(0, 11), figures, max_size=12))
def test_five_minutes_are_read_as_they_were_written(values: dict[int, float]):
    fives = {
        number: Bucket(FIVE_MS, value * FIVE_MS, value, value, 1.5, 2)
        for number, value in values.items()
    }
    found = unpacked(packed(fives))
    assert found == fives


@pytest.mark.parametrize("data", [None, b"", b"\x78\x9c", "text", b"\0" * 100])
def test_what_is_no_hour_is_nothing(data: object):
    assert unpacked(data) == {}
