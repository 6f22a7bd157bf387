"""All states of a device as one JSON, published once for each burst of changes."""

from __future__ import annotations

import json

import anyio
import pytest

from structiot.gateway.entities.states import state_json, state_payload
from structiot.model import (
    BinarySensor,
    EntitiesChanged,
    Entity,
    Light,
    LightState,
    Lock,
    LockState,
    Number,
    Select,
    Sensor,
    State,
    Switch,
    Text,
)
from tests.gateway.asked_house import RELAYS, asked, plug_of
from tests.gateway.entities import ALL
from tests.gateway.memory_house import House, retained
from tests.gateway.support import AT

pytestmark = pytest.mark.virtual_time
TOPIC = "structiot/desk/state"


@pytest.mark.parametrize(
    ("entity", "state", "shown"),
    [
        (Switch(key="k"), True, "ON"),
        (Switch(key="k"), None, None),
        (BinarySensor(key="k"), False, "OFF"),
        (Sensor(key="k"), 5.25, 5.25),
        (Sensor(key="k"), -0.0, 0.0),
        (Sensor(key="k"), "None", "None"),
        (Sensor(key="k"), "5", "5"),
        (Sensor(key="k"), 'a "word"\n', 'a "word"\n'),
        (Sensor(key="k"), None, None),
        (Number(key="k", minimum=0, maximum=9), 3, 3),
        (Select(key="k", options=("a", "1")), "1", "1"),
        (Lock(key="k"), LockState.LOCKED, "LOCKED"),
        (Text(key="k"), "Zoë", {"text": "Zoë"}),
        (Light(key="k"), LightState(is_on=True), {"state": "ON"}),
    ],
    ids=repr,
)
def test_a_state_as_json_is_what_its_topic_says(
    entity: Entity, state: State | None, shown: object
):
    payload = state_payload(entity, state)
    found = json.loads(state_json(entity, state, payload))
    assert (found, type(found)) == (shown, type(shown))


@pytest.mark.parametrize("entity", ALL, ids=lambda one: type(one).__name__)
def test_of_every_kind_nothing_known_is_json_too(entity: Entity):
    if type(entity).__name__ in {"Button", "Event"}:
        return
    json.loads(state_json(entity, None, state_payload(entity, None)))


async def test_ten_values_at_once_are_one_message():
    keys = [f"value_{number}" for number in range(10)]
    device = plug_of("Desk", [Sensor(key=key) for key in keys])
    async with asked(device) as (_, asker):
        for round_ in range(3):
            for number, key in enumerate(keys):
                device.tell_state(key, float(number + round_))
                await anyio.sleep(0.001)
            await anyio.sleep(5)
        told = asker.told("desk/state")
        assert len(told) == 3
        assert told[-1] == {key: n + 2.0 for n, key in enumerate(keys)}
        assert list(told[-1]) == keys
        device.tell_state(keys[0], 2.0)
        await anyio.sleep(5)
        assert len(asker.told("desk/state")) == 3


async def test_it_is_retained_and_follows_what_the_device_has():
    device = plug_of("Desk")
    async with asked(device) as (_, asker):
        device.tell_state("relay", True)
        device.tell_state("power", 5.5)
        await anyio.sleep(1)
        stands = await retained(asker.client, TOPIC)
        assert json.loads(stands[TOPIC]) == {"relay": "ON", "power": 5.5}
        device.entities = RELAYS[:1]
        device.tell(EntitiesChanged(at_utc=AT))
        await anyio.sleep(1)
        assert asker.told("desk/state")[-1] == {"relay": "ON"}


async def test_it_goes_with_its_device():
    device, house = plug_of("Desk"), House()
    async with asked(device, house=house) as (gateway, asker):
        device.tell_state("relay", True)
        await anyio.sleep(1)
        assert TOPIC in await retained(asker.client, "structiot/desk/#")
        device.tell_state("relay", False)
        gateway.devices["desk"].release()
        await anyio.sleep(5)
        assert await retained(asker.client, "structiot/desk/#") == {}


async def test_too_much_text_for_one_message_is_left_out_and_said(caplog):
    device = plug_of("Desk", [Sensor(key=f"s{number}") for number in range(8)])
    async with asked(device) as (_, asker):
        device.tell_state("s0", "short")
        await anyio.sleep(1)
        for number in range(8):
            device.tell_state(f"s{number}", "x" * 60_000)
        await anyio.sleep(1)
        assert asker.told("desk/state") == [{"s0": "short"}]
        assert len(asker.told("desk/s7/state")) == 1
        said = [one for one in caplog.messages if "one JSON of all its states" in one]
        assert len(said) == 1
