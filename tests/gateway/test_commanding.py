"""Commands from the broker: understood, carried out in turn, or answered."""

from __future__ import annotations

import json

import anyio
import pytest

from structiot.errors import CommandRefused, ConnectFailed, LinkLost
from structiot.gateway import GatewayDevice
from tests.gateway.support import (
    ScriptedDevice,
    TopicSink,
    context_of,
    managed,
    running,
    settled,
)

pytestmark = pytest.mark.virtual_time


@pytest.fixture
def board() -> TopicSink:
    return TopicSink()


@pytest.fixture
def device() -> ScriptedDevice:
    return ScriptedDevice()


def errors_of(board: TopicSink) -> list[str]:
    assert {topic for topic, _ in board.told} <= {"structiot/desk/error"}
    return [json.loads(payload)["error"] for _, payload in board.told]


def ask(care: GatewayDevice, entity: str, payload: bytes) -> None:
    topic = f"structiot/desk/{entity}/set"
    care.request(entity, topic=topic, payload=payload)


async def test_a_command_reaches_the_device(board, device):
    care = managed(device, context_of(board))
    async with running(care):
        ask(care, "port_1", b"ON")
        ask(care, "port_2", b"off")
        await settled()
    assert device.commands == [("port_1", True), ("port_2", False)]
    assert board.told == []


async def test_a_port_that_does_not_exist_is_answered_with_those_that_do(board, device):
    care = managed(device, context_of(board))
    async with running(care):
        ask(care, "port_7", b"ON")
    assert board.told == [
        (
            "structiot/desk/error",
            json.dumps(
                {
                    "error": "Desk (strip at 10.0.0.7) has no 'port_7'; "
                    "there are port_1, port_2",
                    "topic": "structiot/desk/port_7/set",
                    "payload": "ON",
                    "at": "2024-05-01T12:00:00.000+00:00",
                }
            ),
        )
    ]


@pytest.mark.parametrize(
    ("entity", "payload", "said"),
    [
        ("port_1", b"maybe", "port_1 takes ON or OFF, not 'maybe'"),
        ("port_1_power", b"5", "port_1_power takes no commands: it is only read"),
        ("port_1", b"\xff", "a command is text in UTF-8, and this is not"),
    ],
)
async def test_a_command_that_cannot_be_is_answered(
    board, device, entity, payload, said
):
    care = managed(device, context_of(board))
    async with running(care):
        ask(care, entity, payload)
    assert errors_of(board) == [said]


async def test_a_refusal_of_the_device_is_answered(board, device):
    device.command_error = CommandRefused("strip refused cmd 200 (code 404)")
    care = managed(device, context_of(board))
    async with running(care):
        ask(care, "port_1", b"ON")
        await settled()
        assert care.is_available
    assert errors_of(board) == ["strip refused cmd 200 (code 404)"]


async def test_a_fault_while_a_command_runs_is_answered(board, device, caplog):
    device.command_error = ZeroDivisionError("oops")
    care = managed(device, context_of(board))
    async with running(care):
        ask(care, "port_1", b"ON")
        await settled()
        assert care.is_available
    assert errors_of(board) == ["internal error: ZeroDivisionError: oops"]


async def test_a_command_that_hangs_ends_at_its_deadline_and_delays_nobody_else(board):
    site = context_of(board)
    slow, quick = ScriptedDevice(), ScriptedDevice()
    slow.command_takes_s = 1e9
    one, two = managed(slow, site), managed(quick, site, name="Other")
    async with running(one, two):
        ask(one, "port_1", b"ON")
        ask(one, "port_2", b"ON")
        two.request("port_1", topic="structiot/other/port_1/set", payload=b"ON")
        await settled()
        assert quick.commands == [("port_1", True)]
        slow.command_takes_s = 0
        await anyio.sleep(15.1)
        said = "Desk (strip at 10.0.0.7) did not carry it out within 15 s"
        assert errors_of(board) == [said]
        assert slow.commands == [("port_2", True)]


async def test_commands_do_not_pile_up(board, device):
    device.command_takes_s = 1e9
    care = managed(device, context_of(board))
    async with running(care):
        for _ in range(34):
            ask(care, "port_1", b"ON")
            await settled()
        said = "32 commands wait for Desk (strip at 10.0.0.7) already"
        assert errors_of(board) == [said]
        device.end_events(LinkLost("it hung up"))
        await settled()
        assert errors_of(board)[1:] == [
            "Desk (strip at 10.0.0.7) was closed meanwhile",
            *["Desk (strip at 10.0.0.7) is not available: it hung up"] * 32,
        ]


async def test_a_command_to_a_device_that_is_away_says_why(board, device):
    device.open_error = ConnectFailed("no route to host")
    care = managed(device, context_of(board))
    async with running(care):
        ask(care, "port_1", b"ON")
    assert errors_of(board) == [
        "Desk (strip at 10.0.0.7) is not available: no route to host"
    ]


async def test_a_long_payload_is_shown_in_part(board, device):
    care = managed(device, context_of(board))
    async with running(care):
        ask(care, "port_1", b"\x00" * 5000)
    ((topic, payload),) = board.told
    assert json.loads(payload)["payload"] == "?" * 197 + "..."
    assert topic == "structiot/desk/error"
