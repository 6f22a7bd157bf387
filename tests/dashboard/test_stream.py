"""The event stream: a snapshot, the latest of each value, and nothing too often."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import Any

import anyio
import pytest

from structiot.gateway.values import UNKNOWN_TEXT
from structiot.model import Availability, EntitiesChanged, Occurrence, Text
from tests.dashboard.browser import Event
from tests.dashboard.house import EVERYTHING, device, house
from tests.gateway.support import AT

pytestmark = pytest.mark.virtual_time


async def test_it_begins_with_all_that_is_known(environment):
    desk, tree = device("desk"), device("tree")
    async with house(environment, desk, tree) as home:
        desk.tell_state("relay", True)
        desk.tell_state("power", 1240)
        await anyio.sleep(1)
        now = environment.now_utc().timestamp()
        async with home.browser.stream() as stream:
            event = await stream.event()
            again = None
            async with home.browser.stream() as other:
                again = await other.event()
    assert stream.first_line == b"retry: 1000"
    assert event.kind == again.kind == "snapshot"
    assert set(event.data) == {f"{d}/{e}" for d in ("desk", "tree") for e in KEYS}
    told = event.data["desk/power"]
    assert now - told.pop("at") == pytest.approx(1, abs=0.01)
    assert told == {"value": 1240, "text": "1.24 kW", "state": "live"}
    unknown = {"value": None, "text": UNKNOWN_TEXT, "state": "unknown", "at": None}
    assert event.data["tree/relay"] == unknown
    boots = [one.id.partition("-") for one in (event, again)]
    assert re.fullmatch("[0-9a-f]+", boots[0][0])
    assert boots[0][0] == boots[1][0]
    assert int(boots[0][2]) < int(boots[1][2])


KEYS = ("relay", "power")


async def test_one_device_alone_can_be_asked_for(environment):
    desk, tree = device("desk"), device("tree")
    async with house(environment, desk, tree) as home:
        async with home.browser.stream("/events?device=tree") as stream:
            assert set((await stream.event()).data) == {"tree/relay", "tree/power"}
            desk.tell_state("power", 1.0)
            tree.tell_state("power", 2.0)
            assert set((await stream.of_kind("state")).data) == {"tree/power"}
        missing = await home.browser.get("/events?device=nobody")
    assert missing.status == 404


async def test_what_changes_is_told_at_once_and_then_four_times_a_second(environment):
    desk = device("desk")
    async with house(environment, desk) as home:
        async with home.browser.stream() as stream:
            await stream.event()
            await anyio.sleep(5)
            began_at = anyio.current_time()
            desk.tell_state("power", 1.0)
            first = await stream.event()
            assert first.at_s - began_at < 0.05
            seen: list[Event] = []

            async def flood() -> None:
                for number in range(1, 301):
                    desk.tell_state("power", float(number))
                    await anyio.sleep(0.01)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(flood)
                while not seen or seen[-1].data["desk/power"]["value"] != 300:
                    seen.append(await stream.of_kind("state"))
    gaps = [b.at_s - a.at_s for a, b in itertools.pairwise(seen)]
    assert min(gaps) >= 0.249
    assert 10 <= len(seen) <= 14
    values = [one.data["desk/power"]["value"] for one in seen]
    assert values == sorted(values)


async def test_each_ten_seconds_there_is_a_ping(environment):
    async with house(environment) as home:
        async with home.browser.stream() as stream:
            began_at = (await stream.event()).at_s
            pings = [await stream.event() for _ in range(3)]
    assert {one.kind for one in pings} == {"ping"}
    waited = [one.at_s - began_at for one in pings]
    assert waited == pytest.approx([10, 20, 30], abs=0.5)


async def test_a_value_grows_old_by_itself_and_comes_back(environment):
    desk = device("desk")
    async with house(environment, desk) as home:
        desk.tell_state("power", 5.0)
        told_at = anyio.current_time()
        async with home.browser.stream() as stream:
            await stream.event()
            stale = await stream.of_kind("state")
            assert stale.data["desk/power"]["state"] == "stale"
            assert stale.data["desk/power"]["text"] == "5.0 W"
            assert 30 < stale.at_s - told_at < 32
            assert "desk/relay" not in stale.data
            desk.tell_state("power", 5.0)
            back = await stream.of_kind("state")
            assert back.data["desk/power"]["state"] == "live"


async def test_who_says_the_same_again_and_again_is_heard(environment):
    """Else a page without a connection would say too old an age."""
    desk = device("desk")
    async with house(environment, desk) as home:
        desk.tell_state("power", 5.0)
        async with home.browser.stream() as stream:
            at = (await stream.event()).data["desk/power"]["at"]
            for _ in range(8):
                await anyio.sleep(5)
                desk.tell_state("power", 5.0)
            told = await stream.of_kind("state")
            assert told.data["desk/power"]["state"] == "live"
            assert told.data["desk/power"]["at"] - at >= 14


async def test_a_device_that_is_away_is_so_in_all_its_values(environment):
    desk = device("desk")
    async with house(environment, desk) as home:
        desk.tell_state("power", 5.0)
        await anyio.sleep(1)
        async with home.browser.stream() as stream:
            await stream.event()
            gone = Availability(is_available=False, at_utc=AT, reason="unplugged")
            desk.tell(gone)
            card = await stream.of_kind("structure")
            assert card.data == {"devices": ["desk"]}
            away = await stream.of_kind("state")
            assert away.data["desk/power"]["state"] == "unavailable"
            assert away.data["desk/power"]["text"] == "unavailable"
            assert away.data["desk/power"]["value"] is None
            assert "unplugged" in (await home.browser.get("/")).text
            desk.tell(Availability(is_available=True, at_utc=AT))
            assert (await stream.of_kind("state")).data["desk/power"]["value"] == 5.0


async def test_cards_that_come_go_or_are_others_are_told(environment):
    desk = device("desk")
    async with house(environment, desk) as home:
        async with home.browser.stream() as stream:
            await stream.event()
            home.add(device("tree"))
            assert "tree" in (await stream.of_kind("structure")).data["devices"]
            assert "tree/relay" in (await stream.of_kind("state")).data
            desk.entities = (*desk.entities, EVERYTHING[0])
            desk.info = replace(desk.info, name="Other")
            desk.tell(EntitiesChanged(at_utc=AT))
            assert (await stream.of_kind("structure")).data == {"devices": ["desk"]}
            assert "desk/main" in (await stream.of_kind("state")).data
            home.registered["tree"].release()
            assert "tree" in (await stream.of_kind("structure")).data["devices"]
        async with home.browser.stream() as stream:
            assert not [k for k in (await stream.event()).data if "tree/" in k]


async def test_what_happens_is_a_value_and_secrets_are_none(environment):
    everything = device("all", EVERYTHING)
    async with house(environment, everything) as home:
        everything.tell_state("pin", "1234")
        everything.tell_state("note", "milk")
        async with home.browser.stream() as stream:
            await stream.event()
            ring = Occurrence(key="bell", event_type="ring", at_utc=AT)
            everything.tell(ring)
            bell = (await stream.of_kind("state")).data["all/bell"]
        async with home.browser.stream() as stream:
            snapshot = (await stream.event()).data
        pages = [await home.browser.get(one) for one in ("/", "/device/all")]
    assert (bell["value"], bell["at"]) == ("ring", AT.timestamp())
    assert snapshot["all/note"]["value"] == "milk"
    assert snapshot["all/pin"]["value"] is None
    assert "all/restart" not in snapshot
    assert not [one for one in pages if "1234" in one.text]


async def test_a_slow_browser_gets_the_latest_and_never_what_was_between(environment):
    notes = tuple(Text(key=f"note_{n}", name=f"Note {n}") for n in range(10))
    desk = device("desk", notes)
    async with house(environment, desk) as home:
        async with home.browser.stream() as slow, home.browser.stream() as quick:
            await slow.event()
            await quick.event()
            for number in range(1, 151):
                for note in notes:
                    desk.tell_state(note.key, f"{number} {'x' * 240}")
                while number not in numbers_in((await quick.of_kind("state")).data):
                    pass
            seen = [await slow.of_kind("state")]
            while numbers_in(seen[-1].data) != {150}:
                seen.append(await slow.of_kind("state"))
    shown = [max(numbers_in(one.data)) for one in seen]
    # What lay in the pipe comes first; then one event has all that is left of it.
    assert shown == sorted(shown)
    assert shown[-1] - shown[-2] > 75


def numbers_in(data: dict[str, Any]) -> set[int]:
    return {int(told["value"].split()[0]) for told in data.values()}


async def test_a_room_that_changes_is_another_card(environment):
    desk = device("desk")
    async with house(environment, desk) as home:
        async with home.browser.stream() as stream:
            await stream.event()
            tables = {"broker": {"listen": ["mqtt://127.0.0.1:0"]}, "toy": {}}
            rooms = {"desk": {"room": "Attic"}}
            dashboard = {"listen": ["http://127.0.0.1:0"]}
            await home.gateway.reload(
                {**tables, "dashboard": dashboard, "devices": rooms}
            )
            assert (await stream.of_kind("structure")).data == {"devices": ["desk"]}
        assert "Attic" in (await home.browser.get("/")).text


async def test_so_many_streams_and_no_more(environment, monkeypatch):
    monkeypatch.setattr("structiot.dashboard.stream.MAX_STREAMS", 2)
    async with house(environment) as home:
        async with home.browser.stream() as one, home.browser.stream():
            await one.event()
            refused = await home.browser.get("/events")
        await anyio.sleep(1)
        async with home.browser.stream() as again:
            assert (await again.event()).kind == "snapshot"
    assert refused.status == 503
    assert "retry-after" in refused.headers
