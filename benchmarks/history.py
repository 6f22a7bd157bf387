"""How much a history writes: bytes a day to the disk, and how fast it is read.

    python benchmarks/history.py                  # 100 devices of 5 series, one hour
    python benchmarks/history.py --devices 300 --changing 1.0

Bytes are those of the system's own account of this process (`write_bytes` of
/proc/self/io, which counts what goes to the disk, so let the file be on one), and the
sum of the pages that SQLite has written, which is what a memory card sees.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

from structiot.gateway.history.answers import RecordedSeries
from structiot.gateway.history.backlog import Part, Stretch
from structiot.gateway.history.courses import recent_courses, series_between
from structiot.gateway.history.finding import Which
from structiot.gateway.history.hours import House
from structiot.gateway.history.reader import asked
from structiot.gateway.history.store import Batch, Store, size_of_file

START_MS = 1_767_225_600_000
HOUR_MS = 3_600_000


def written_bytes() -> int:
    for line in Path("/proc/self/io").read_text().splitlines():
        name, _, value = line.partition(": ")
        if name == "write_bytes":
            return int(value)
    return 0


def all_series(devices: int, each: int) -> list[RecordedSeries]:
    return [
        RecordedSeries(
            system="toy",
            device=f"D{device:04}",
            entity=f"power_{number}",
            kind="figure",
            unit="W",
            slug=f"d{device}",
        )
        for device in range(devices)
        for number in range(each)
    ]


def hour(
    store: Store,
    series: list[RecordedSeries],
    number: int,
    given: argparse.Namespace,
    chance: random.Random,
) -> int:
    begin = START_MS + number * HOUR_MS
    stretch = Stretch(begin, begin, begin + HOUR_MS)
    commit_ms, poll_ms = int(given.commit_s * 1000), int(given.poll_s * 1000)
    rows = 0
    for from_ms in range(begin, begin + HOUR_MS, commit_ms):
        part = Part(stretch, from_ms, from_ms + commit_ms)
        if from_ms == begin:
            for one in series:
                part.add((one, begin, chance.random()))
        for at_ms in range(from_ms, from_ms + commit_ms, poll_ms):
            for one in series:
                if chance.random() < given.changing:
                    part.add((one, at_ms, round(chance.random() * 1000, 1)))
        part.is_last = part.until_ms == stretch.end_ms
        rows += len(part.rows)
        store.apply(Batch(parts=[part]))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=100)
    parser.add_argument("--series", type=int, default=5, help="of each device")
    parser.add_argument("--hours", type=int, default=2)
    parser.add_argument("--poll-s", type=float, default=10)
    parser.add_argument("--commit-s", type=float, default=10)
    parser.add_argument(
        "--changing", type=float, default=0.3, help="share of polls with news"
    )
    parser.add_argument("--folder", help="on a real disk")
    given = parser.parse_args()
    chance = random.Random(1)
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        path = Path(folder) / "history.sqlite"
        store = Store(path)
        series = all_series(given.devices, given.series)
        before, begun = written_bytes(), time.process_time()
        rows = sum(hour(store, series, n, given, chance) for n in range(given.hours))
        took_s, written = time.process_time() - begun, written_bytes() - before
        a_day = 24 / given.hours
        print(f"{len(series)} series, {rows * a_day:,.0f} readings a day")
        print(f"{written * a_day / 1e6:,.0f} MB written a day")
        print(f"{took_s / rows * 1e6:.1f} us of processor time a reading")
        ask(path, series, given)
        store.close()
        size = size_of_file(path)
        print(f"{size * a_day / 1e6:,.0f} MB larger a day, before anything is let go")


def ask(path: Path, series: list[RecordedSeries], given: argparse.Namespace) -> None:
    end = START_MS + given.hours * HOUR_MS
    one = series[len(series) // 2]
    which = Which("k", "", one.entity, (one.system, one.device), end - HOUR_MS, end)
    wanted = [
        Which(f"{n}", "", s.entity, (s.system, s.device)) for n, s in enumerate(series)
    ]
    house = House("UTC")
    begun = time.perf_counter()
    asked(path, lambda db: series_between(db, which, 1000, house), None)
    print(f"{(time.perf_counter() - begun) * 1e3:.1f} ms for the last hour of one")
    begun = time.perf_counter()
    asked(path, lambda db: recent_courses(db, wanted, end - HOUR_MS, end), {})
    print(f"{(time.perf_counter() - begun) * 1e3:.1f} ms for that of all at once")


if __name__ == "__main__":
    main()
