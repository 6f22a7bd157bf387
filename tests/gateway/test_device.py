"""Whatever one device does costs its own availability and nothing else."""

from __future__ import annotations

import json
import logging
from itertools import pairwise

import anyio
import pytest

from structiot.errors import ConnectFailed, LinkLost, UsageError
from structiot.gateway import DeviceUpdate, GatewayDevice, GatewayEvent
from structiot.model import (
    Availability,
    DeviceInfo,
    EntitiesChanged,
    Entity,
    Sensor,
    StateChange,
    Switch,
    Text,
)
from tests.gateway.support import (
    AT,
    ENTITIES,
    AnyPlace,
    ScriptedDevice,
    TopicSink,
    context_of,
    managed,
    running,
    settled,
)

pytestmark = pytest.mark.virtual_time

AVAILABILITY = "structiot/desk/availability"
CONFIG = "homeassistant/device/structiot_maxsmart_SN1/config"


@pytest.fixture
def board() -> TopicSink:
    return TopicSink()


@pytest.fixture
def device() -> ScriptedDevice:
    return ScriptedDevice()


async def test_a_device_is_announced_then_available_then_its_states(board, device):
    device.first.append(EntitiesChanged(at_utc=AT))
    async with running(managed(device, context_of(board))):
        device.tell_state("port_1", True)
        device.tell_state("port_1_power", 5.2)
        await settled()
    topics = list(dict.fromkeys(topic for topic, _ in board.history))
    assert topics == [
        AVAILABILITY,
        CONFIG,
        "structiot/desk/port_1/state",
        "structiot/desk/port_1_power/state",
    ]
    assert board.payloads(AVAILABILITY)[:2] == ["offline", "online"]
    assert board.retained["structiot/desk/port_1/state"] == "ON"
    assert board.retained["structiot/desk/port_1_power/state"] == "5.2"
    assert json.loads(board.retained[CONFIG])["device"]["name"] == "Desk"


async def test_a_device_without_a_name_shows_nothing_until_it_is_known(board, device):
    device.open_error = ConnectFailed("nobody there")
    care = managed(device, context_of(board), name=None)
    async with running(care):
        assert (board.history, care.slug) == ([], None)
        assert care.label == care.name == "strip at 10.0.0.7"
        device.open_error = None
        await anyio.sleep(60)
        assert care.slug == "maxsmart_sn1"
        assert care.name == "STRIP"
        assert board.retained["structiot/maxsmart_sn1/availability"] == "online"


async def test_an_unreachable_device_is_tried_with_growing_delay_and_said_once(
    board, device, caplog
):
    caplog.set_level(logging.INFO, "structiot.gateway")
    device.open_error = ConnectFailed("cannot connect to 10.0.0.7:80: no route to host")
    care = managed(device, context_of(board))
    async with running(care):
        await anyio.sleep(240)
        times = device.opened_at
        waits = [later - earlier for earlier, later in pairwise(times)]
        assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
        assert board.payloads(AVAILABILITY) == ["offline"] * 2
        assert caplog.messages == [
            (
                "Desk (strip at 10.0.0.7): cannot connect to 10.0.0.7:80: no route to host; "
                "trying again in 1.0 s"
            )
        ]
        caplog.clear()
        device.open_error = None
        await anyio.sleep(60)
        assert caplog.messages == ["Desk (strip at 10.0.0.7) is reached again as desk"]
        assert care.is_available
    assert not device.is_open


async def test_a_device_that_hangs_while_it_opens_is_given_up_after_a_minute(
    board, device
):
    device.open_takes_s = 1e9
    care = managed(device, context_of(board))
    async with running(care):
        await anyio.sleep(59)
        assert care.availability.reason == "not reached yet"
        await anyio.sleep(1.5)
        assert care.availability.reason == "it was not open after 60 s"
        device.open_takes_s = 0
        await anyio.sleep(2)
        assert care.is_available


async def test_a_device_that_is_open_has_no_deadline(board, device):
    care = managed(device, context_of(board))
    async with running(care):
        await anyio.sleep(86_400)
        assert (device.opened, care.is_available) == (1, True)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (LinkLost("it hung up"), "it hung up"),
        (None, "it has left"),
    ],
)
async def test_a_device_whose_events_end_is_opened_again(board, device, error, reason):
    care = managed(device, context_of(board))
    async with running(care):
        device.end_events(error)
        await settled()
        assert board.retained[AVAILABILITY] == "offline"
        assert care.availability.reason == reason
        await anyio.sleep(2)
        assert board.retained[AVAILABILITY] == "online"
        assert device.opened == 2


async def test_a_device_that_lived_long_is_tried_at_once_when_it_is_lost(board, device):
    device.open_error = ConnectFailed("no")
    async with running(managed(device, context_of(board))):
        await anyio.sleep(40)  # the next delay would be 32 s
        device.open_error = None
        await anyio.sleep(100)
        opened = device.opened
        device.end_events()
        await anyio.sleep(1.1)
        assert device.opened == opened + 1


@pytest.mark.parametrize("error", [RuntimeError("a bug"), TimeoutError(), KeyError(3)])
async def test_a_fault_in_a_systems_code_is_that_devices_trouble(
    board, device, error, caplog
):
    device.open_error = error
    other = ScriptedDevice()
    site = context_of(board)
    care, neighbour = managed(device, site), managed(other, site, name="Other")
    async with running(care, neighbour):
        assert care.availability.reason.startswith("internal error: ")
        assert neighbour.is_available
        await anyio.sleep(300)
        assert neighbour.is_available
        assert other.opened == 1
    assert any("internal error" in message for message in caplog.messages)


async def test_a_device_says_by_itself_that_it_is_away_and_back(board, device):
    async with running(managed(device, context_of(board))):
        device.tell(Availability(is_available=False, at_utc=AT, reason="silent"))
        await settled()
        assert board.retained[AVAILABILITY] == "offline"
        device.tell(Availability(is_available=True, at_utc=AT))
        await settled()
        assert board.retained[AVAILABILITY] == "online"
        assert device.opened == 1


async def test_nonsense_is_said_once_and_left_out(board, device, caplog):
    async with running(managed(device, context_of(board))):
        for _ in range(3):
            device.tell_state("port_9", True)
            device.tell_state("port_1", "maybe")
            device.tell_state("port_1_power", float("nan"))
            device.tell("no event")
        device.tell_state("port_2", False)
        await settled()
    assert board.retained["structiot/desk/port_2/state"] == "OFF"
    assert "structiot/desk/port_1/state" not in board.retained
    said = [message.partition("ignored: ")[2] for message in caplog.messages]
    assert said == [
        "it has no entity 'port_9'",
        "port_1 is a switch and cannot be 'maybe'",
        "port_1_power is a sensor and cannot be nan",
        "'no event' is no event",
    ]


async def test_an_entity_that_cannot_be_a_topic_is_left_out(board, caplog):
    class Strange(Entity):
        """No kind of the model."""

    entities = (*ENTITIES, Switch(key="a/b"), Switch(key=""), Strange(key="odd"))
    device = ScriptedDevice(entities=entities)
    async with running(managed(device, context_of(board))):
        components = json.loads(board.retained[CONFIG])["components"]
        assert set(components) == {"port_1", "port_2", "port_1_power"}
    assert len(caplog.messages) == 3


async def test_entities_that_are_gone_are_taken_away(board, device):
    async with running(managed(device, context_of(board))):
        device.tell_state("port_2", True)
        await settled()
        device.entities = (Switch(key="port_1", name="Kettle"),)
        device.tell(EntitiesChanged(at_utc=AT))
        await settled()
        components = json.loads(board.retained[CONFIG])["components"]
        assert components["port_1"]["name"] == "Kettle"
        assert components["port_2"] == {"platform": "switch"}
        assert components["port_1_power"] == {"platform": "sensor"}
        assert "structiot/desk/port_2/state" not in board.retained


async def test_what_happens_is_told_to_the_gateways_holder(board, device):
    events: list[GatewayEvent] = []
    async with running(managed(device, context_of(board, events))):
        device.tell_state("port_1", True)
        device.tell_state("port_9", True)
        await settled()
    kinds = [type(e.event).__name__ for e in events if isinstance(e, DeviceUpdate)]
    assert kinds == ["Availability", "Availability", "StateChange", "Availability"]


async def test_a_device_can_be_opened_anew_at_once(board, device):
    care = managed(device, context_of(board))
    async with running(care):
        care.reopen()
        await settled()
        assert (device.opened, care.is_available) == (2, True)
        device.open_error = ConnectFailed("no")
        device.end_events()
        await anyio.sleep(100)
        device.open_error = None
        opened = device.opened
        care.reopen()
        await settled()
        assert (device.opened, care.is_available) == (opened + 1, True)


async def test_a_device_that_is_given_up_leaves_the_broker(board, device):
    care = managed(device, context_of(board))
    async with running(care):
        device.tell_state("port_1", True)
        await settled()
        care.release()
        await settled()
        assert board.retained == {}
        assert not device.is_open
        await anyio.sleep(300)
        assert (device.opened, board.retained) == (1, {})


async def test_a_device_that_another_one_is_already_is_tried_again_later(board, device):
    is_taken = True

    class Taken(AnyPlace):
        def claim(self, device: GatewayDevice, info: DeviceInfo) -> str:
            if is_taken:
                raise UsageError("it is the same device as Kitchen")
            return "desk"

    care = managed(device, context_of(board), name=None, places=Taken())
    async with running(care):
        await anyio.sleep(300)
        assert (device.is_open, board.history) == (False, [])
        assert care.availability.reason == "it is the same device as Kitchen"
        is_taken = False
        await anyio.sleep(61)
        assert board.retained[AVAILABILITY] == "online"


async def test_a_secret_that_is_refused_is_told_nowhere(board, device, caplog):
    secret = Text(key="pin", name="PIN", is_secret=True, min_length=8)
    device.entities = (*device.entities, secret)
    events: list[GatewayEvent] = []
    care = managed(device, context_of(board, events))
    async with running(care):
        care.request("pin", topic="structiot/desk/pin/set", payload=b"hunter2")
        care.request("pin", topic="structiot/desk/pin/set", payload=b"hunter2-and-more")
        await settled()
    assert ("pin", "hunter2-and-more") in device.commands
    told = [payload for _, payload in board.told]
    assert json.loads(told[0])["payload"] == "***"
    assert "hunter2" not in f"{board.told} {events} {caplog.messages}"


async def test_what_is_shown_is_rounded_on_the_topic_and_in_the_event(board):
    sensor = Sensor(key="warmth", unit="°C", decimals=1)
    seen: list[GatewayEvent] = []
    device = ScriptedDevice(entities=(sensor,))
    care = managed(device, context_of(board, seen))
    async with running(care):
        device.tell(StateChange(key="warmth", state=20.700000000000003, at_utc=AT))
        await settled()
        assert board.retained["structiot/desk/warmth/state"] == "20.7"
        assert care.states == {"warmth": 20.7}
    changes = [one.event for one in seen if isinstance(one, DeviceUpdate)]
    assert StateChange(key="warmth", state=20.7, at_utc=AT) in changes
