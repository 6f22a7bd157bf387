"""Commands from the page: what the device gets, and how each ending is told."""

from __future__ import annotations

import anyio
import pytest

from structiot.errors import CommandRefused, LinkLost, ReplyTimeout
from structiot.model import LightState, LockAction
from tests.dashboard.house import EVERYTHING, device, house

pytestmark = pytest.mark.virtual_time

FINE = [
    ("main", True, True),
    ("main", False, False),
    ("main", "on", True),
    ("main", "OFF", False),
    ("lamp", "ON", LightState(is_on=True)),
    ("lamp", {"brightness": 40}, LightState(brightness_percent=40)),
    (
        "lamp",
        {"state": "ON", "brightness": 12.5},
        LightState(is_on=True, brightness_percent=12.5),
    ),
    ("limit", 7, 7.0),
    ("limit", 2.5, 2.5),
    ("limit", "3", 3.0),
    ("note", "Grüße \N{SLIGHTLY SMILING FACE}", "Grüße \N{SLIGHTLY SMILING FACE}"),
    ("note", "", ""),
    ("door", "LOCK", LockAction.LOCK),
    ("restart", "PRESS", None),
]
NONSENSE = [
    ("main", "perhaps"),
    ("main", 2),
    ("main", None),
    ("main", [True]),
    ("main", {"a": {"b": 1}}),
    ("limit", 11),
    ("limit", "NaN"),
    ("limit", True),
    ("lamp", {"brightness": "very"}),
    ("note", "x" * 300),
    ("note", "x" * 5000),
    ("restart", "press it"),
    ("window", True),
    ("bell", "ring"),
    ("signal", 3),
]


async def test_a_value_is_said_in_the_words_of_the_set_topic(environment):
    everything = device("all", EVERYTHING)
    async with house(environment, everything) as home:
        for entity, value, _ in FINE:
            answer = await home.browser.set(f"all/{entity}", value)
            assert (entity, answer.status) == (entity, 200)
    expected = [(entity, command) for entity, _, command in FINE]
    assert everything.commands == expected


async def test_nonsense_is_refused_in_a_sentence(environment):
    everything = device("all", EVERYTHING)
    async with house(environment, everything) as home:
        for entity, value in NONSENSE:
            answer = await home.browser.set(f"all/{entity}", value)
            assert (entity, value, answer.status) == (entity, value, 400)
            assert len(answer.json()["error"]) > 10
        secret = await home.browser.set("all/pin", "x" * 256)
        token = (await home.browser.get("/api/session")).headers["x-csrf-token"]
        fields = {"X-CSRF-Token": token, "Content-Type": "application/json"}
        for body in (
            b"",
            b"{",
            b"[]",
            b'"ON"',
            b"{}",
            b'{"values": 1}',
            b'{"value": NaN}',
            b'{"value": 1e999}',
            b'{"value": "\\ud800"}',
            b'\xff{"value": 1}',
            b"[" * 60_000,
        ):
            for entity in ("main", "note"):
                target = f"/api/set/all/{entity}"
                answer = await home.browser.ask("POST", target, fields, body)
                assert (body[:20], answer.status) == (body[:20], 400)
        long = b'{"value": "' + b"x" * 70_000 + b'"}'
        answer = await home.browser.ask("POST", "/api/set/all/note", fields, long)
    assert secret.status == 400
    assert "xxx" not in secret.text
    assert answer.status == 413
    assert everything.commands == []


async def test_what_there_is_not_cannot_be_set(environment):
    async with house(environment, device("desk")) as home:
        for key in ("nobody/relay", "desk/nothing", "desk/%2e%2e", "desk/re%2flay"):
            answer = await home.browser.set(key, True)
            assert answer.status == 404
            assert answer.headers["content-type"] == "application/json"
        for target in ("/api/set/desk", "/api/set/desk/relay/x", "/api/set/%ff/relay"):
            answer = await home.browser.post(target, {"value": True})
            assert answer.status == 404


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (CommandRefused("it is locked"), 502),
        (ReplyTimeout("it kept silent"), 504),
        (LinkLost("it went"), 409),
        (ZeroDivisionError("hm"), 502),
    ],
)
async def test_what_the_device_refuses(environment, error, status):
    desk = device("desk")
    async with house(environment, desk) as home:
        desk.command_error = error
        answer = await home.browser.set("desk/relay", True)
    assert answer.status == status
    assert answer.json()["error"]


async def test_a_device_that_is_away_says_why(environment):
    desk = device("desk")
    async with house(environment, desk) as home:
        home.registered["desk"].reopen()
        desk.open_error = LinkLost("unplugged")
        await anyio.sleep(3)
        answer = await home.browser.set("desk/relay", True)
    assert answer.status == 409
    assert "unplugged" in answer.json()["error"]


async def test_a_device_that_does_not_answer_in_time(environment):
    desk = device("desk")
    async with house(environment, desk) as home:
        desk.command_takes_s = 1000.0
        began_at = anyio.current_time()
        answer = await home.browser.set("desk/relay", True)
        assert 10 < anyio.current_time() - began_at <= 15.1
        desk.command_takes_s = 0.0
        await anyio.sleep(20)
        again = await home.browser.set("desk/relay", True)
    assert (answer.status, again.status) == (504, 200)
    assert "15 s" in answer.json()["error"]


async def test_a_slow_command_holds_up_no_page(environment):
    desk = device("desk")
    async with house(environment, desk) as home:
        desk.command_takes_s = 5.0
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(home.browser.set, "desk/relay", True)
            await anyio.sleep(0.1)
            began_at = anyio.current_time()
            assert (await home.browser.get("/")).status == 200
            assert anyio.current_time() - began_at < 0.1


async def test_a_flood_of_commands_is_refused_and_not_kept(environment):
    desk = device("desk")
    statuses: list[int] = []
    async with house(environment, desk) as home:
        token = (await home.browser.get("/api/session")).headers["x-csrf-token"]
        desk.command_takes_s = 1.0

        async def press() -> None:
            answer = await home.browser.set("desk/relay", True, X_CSRF_Token=token)
            statuses.append(answer.status)

        async with anyio.create_task_group() as tasks:
            for _ in range(60):
                tasks.start_soon(press)
    assert len(statuses) == 60
    assert statuses.count(502) >= 20
    assert statuses.count(200) >= 10
