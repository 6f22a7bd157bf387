"""Devices that speak by themselves: as well as being polled, or only so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import anyio
import pytest

from structiot.devices import BaseDevice
from structiot.errors import ConnectFailed, UnsupportedDevice, UsageError
from structiot.model import (
    Availability,
    Device,
    DeviceInfo,
    Occurrence,
    Reading,
    Sensor,
    StateChange,
)
from tests.link.device.toys import (
    Appliance,
    Doorbell,
    Plug,
    PushingPlug,
    states,
    surroundings,
    waiting,
)

pytestmark = pytest.mark.virtual_time

GONE = ConnectFailed("connection refused", host="plug")


def told(events: Sequence[object]) -> list[tuple[bool, str]]:
    return [(e.is_available, e.reason) for e in events if isinstance(e, Availability)]


# ---------------------------------------------------------------- polled and pushed to


async def test_what_it_says_by_itself_is_told_at_once_and_once():
    appliance = Appliance()
    async with (
        PushingPlug(appliance, surroundings()) as plug,
        plug.events() as events,
    ):
        await anyio.sleep(1)
        await waiting(events)
        appliance.is_on = False
        plug.take_message(False)
        assert states(await waiting(events)) == {"relay": False}
        plug.take_message(False)
        assert await waiting(events) == []
        # The poll finds nothing new but what was not pushed.
        await anyio.sleep(5)
        assert states(await waiting(events)) == {"power": 0.0}


async def test_being_heard_of_brings_it_back_and_to_its_usual_pace():
    appliance = Appliance()
    async with (
        PushingPlug(appliance, surroundings()) as plug,
        plug.events() as events,
    ):
        await anyio.sleep(1)
        appliance.trouble = GONE
        await anyio.sleep(1800)
        await appliance.next_question()
        await waiting(events)
        assert not plug.is_available
        # The next poll would be made in a minute.
        appliance.trouble = None
        appliance.asked.clear()
        since = anyio.current_time()
        plug.take_message(True)
        assert told(await waiting(events)) == [(True, "")]
        await anyio.sleep(11)
        times = [when - since for when in appliance.polls]
        assert times == pytest.approx([5, 10], abs=0.001)
        assert told(await waiting(events)) == []


@pytest.mark.parametrize("is_press", [True, False])
async def test_being_heard_of_ends_the_count_of_failures(is_press):
    appliance = Appliance()
    async with PushingPlug(appliance, surroundings()) as plug, plug.events():
        await anyio.sleep(1)
        appliance.trouble = GONE
        for _ in range(60):
            await anyio.sleep(1)
            if is_press:
                plug.take_press()
            else:
                plug.take_message(True)
            assert plug.is_available
    assert len(appliance.polls) > 5


async def test_reports_that_hold_all_make_polls_unnecessary():
    appliance = Appliance()
    async with PushingPlug(appliance, surroundings()) as plug, plug.events() as events:
        await anyio.sleep(1)
        appliance.asked.clear()
        for power in range(10):
            plug.take_report(True, float(power))
            await anyio.sleep(4)
        assert appliance.polls == []
        assert states(await waiting(events))["power"] == 9.0
        await anyio.sleep(2)
        assert len(appliance.polls) == 1


async def test_polls_can_be_rarer_while_pushes_come():
    appliance = Appliance()
    async with PushingPlug(appliance, surroundings()) as plug, plug.events():
        plug.take_channel(True)
        await anyio.sleep(5.5)
        appliance.asked.clear()
        await anyio.sleep(3600)
        assert appliance.polls == []
        await plug.command("relay", command=False)
        await anyio.sleep(60)
        assert len(appliance.polls) == 1 + 4
        plug.take_channel(False)
        appliance.asked.clear()
        await anyio.sleep(21)
        assert len(appliance.polls) == 4


async def test_a_word_that_it_is_gone_needs_no_second():
    appliance = Appliance()
    async with (
        PushingPlug(appliance, surroundings(), 60.0) as plug,
        plug.events() as events,
    ):
        await anyio.sleep(1)
        await waiting(events)
        plug.take_goodbye()
        plug.take_goodbye()
        assert told(await waiting(events)) == [(False, "its hub says that it is gone")]
        # It is asked whether that is so, after a moment.
        await anyio.sleep(3)
        assert told(await waiting(events)) == [(True, "")]


# ---------------------------------------------------------------- parts of another


async def test_a_part_of_a_device_has_the_whole_polled_while_it_is_watched():
    class Part(BaseDevice[DeviceInfo]):
        def take(self, power_w: float) -> None:
            self._tell({"power": power_w})

    class Whole(Plug):
        def __init__(self, appliance: Appliance) -> None:
            super().__init__(appliance, surroundings())
            info = DeviceInfo(id="part-1", system="toy", name="Part", via=self.info.id)
            self.part = Part(
                info,
                [Sensor(key="power")],
                poller=self._poller,
                environment=surroundings(),
            )

        async def _poll(self) -> None:
            await super()._poll()
            self.part.take(self._appliance.power_w / 2)

    appliance = Appliance()
    async with Whole(appliance) as whole, whole.part as part:
        appliance.asked.clear()
        async with part.events() as events:
            await anyio.sleep(1)
            appliance.power_w = 100.0
            await anyio.sleep(5)
            assert states(await waiting(events)) == {"power": 50.0}
        assert len(appliance.polls) == 2
        await anyio.sleep(60)
        assert len(appliance.polls) == 2


# ---------------------------------------------------------------- only pushed to


async def test_a_device_that_dials_in_is_there_while_it_is_connected():
    async with Doorbell(surroundings()) as bell, bell.events() as events:
        assert isinstance(bell, Device)
        assert told(await waiting(events)) == [(False, "")]
        bell.connected()
        bell.take({"battery": 80.0})
        found = await waiting(events)
        assert told(found) == [(True, "")]
        assert states(found) == {"battery": 80.0}
        bell.connected()
        bell.take({"battery": 80.0})
        assert await waiting(events) == []
        bell.disconnected("connection lost")
        assert told(await waiting(events)) == [(False, "connection lost")]
        assert bell.states == {"battery": 80.0}


async def test_three_presses_within_a_second_are_three_events_and_late_comers_get_none():
    async with Doorbell(surroundings()) as bell, bell.events() as events:
        bell.connected()
        await waiting(events)
        for _ in range(3):
            bell.take({"pressed": "press"})
            await anyio.sleep(0.3)
        async with bell.events() as late:
            presses = await waiting(events)
            assert all(isinstance(press, Occurrence) for press in presses)
            assert [(p.key, p.event_type) for p in presses] == [  # type: ignore[union-attr]
                ("button", "press")
            ] * 3
            assert len({p.at_utc for p in presses}) == 3
            assert not any(isinstance(e, Occurrence) for e in await waiting(late))
            assert "button" not in bell.states
            bell.take({"pressed": "hold"})
            assert len(await waiting(late)) == len(await waiting(events)) == 1


async def test_presses_keep_their_place_among_states_that_are_conflated():
    async with Doorbell(surroundings()) as bell, bell.events() as slow:
        bell.connected()
        await waiting(slow)
        for percent in range(50):
            bell.take({"battery": float(percent)})
            bell.take({"pressed": "press"})
        found = await waiting(slow)
        assert [type(event) for event in found] == [
            *[Occurrence] * 49,
            StateChange,
            Occurrence,
        ]


async def test_a_listener_that_sleeps_holds_no_more_than_256_presses():
    async with Doorbell(surroundings()) as bell, bell.events() as slow:
        for _ in range(1000):
            bell.take({"pressed": "press"})
        assert len(await waiting(slow)) == 256 + 1


async def test_what_is_known_of_an_occurrence_is_bounded():
    class Chatty(Doorbell):
        def take_text(self, text: str) -> None:
            self._tell_occurrence("button", "press", data={"text": text})

    async with Chatty(surroundings()) as bell, bell.events() as events:
        await waiting(events)
        bell.take_text("x" * 16_000)
        with pytest.raises(UsageError, match=r"button of Bell: .* are too many"):
            bell.take_text("x" * 17_000)
        (told,) = await waiting(events)
        assert isinstance(told, Occurrence)
        assert told.data == {"text": "x" * 16_000}


async def test_latest_readings_come_first_where_nobody_polls():
    class Meter(BaseDevice[DeviceInfo]):
        def take(self, channel: int, power_w: float) -> None:
            at_utc = self._environment.now_utc()
            reading = Reading(
                device="m", channel=channel, at_utc=at_utc, power_w=power_w
            )
            self._tell(readings=[reading])

    info = DeviceInfo(id="m", system="toy", name="Meter")
    async with Meter(info, environment=surroundings()) as meter:
        meter.take(0, 30.0)
        meter.take(1, 10.0)
        meter.take(1, 20.0)
        async with meter.readings() as readings, meter.changes() as changes:
            found = [(one.channel, one.power_w) for one in await waiting(readings)]
            assert found == [(0, 30.0), (1, 20.0)]
            meter.take(1, 25.0)
            (change,) = await waiting(changes)
            assert change.channel == 1


async def test_a_device_without_commands_says_so():
    async with Doorbell(surroundings()) as bell:
        with pytest.raises(UsageError, match="button of Bell is only read"):
            await bell.command("button", None)


async def test_who_wants_readings_of_what_has_no_meter_is_told_so_at_once():
    async with Doorbell(surroundings()) as doorbell:
        for listening in (doorbell.readings, doorbell.changes):
            with pytest.raises(UnsupportedDevice, match="has no meter"):
                async with listening():
                    pytest.fail("there is none")


async def test_what_turns_out_to_have_no_meter_ends_the_wait_for_readings():
    class Unknown(Doorbell):
        is_known = False

        @property
        def _is_metered(self) -> bool:
            return not self.is_known

        def tell_name(self, name: str) -> None:
            self.is_known = True
            self._describe(replace(self.info, name=name), self.entities)

    async with (
        Unknown(surroundings()) as unknown,
        unknown.readings() as readings,
        unknown.changes() as changes,
    ):
        unknown.tell_name("Front door")
        with pytest.raises(UnsupportedDevice, match="Front door has no meter"):
            await anext(readings)
        with pytest.raises(UnsupportedDevice, match="Front door has no meter"):
            await anext(changes)


async def test_states_are_as_they_were_when_they_were_asked_for():
    async with PushingPlug(Appliance(), surroundings()) as plug:
        before = plug.states
        for key in before:
            # Going through them, one is told others.
            plug.take_message(not before["relay"])
            assert before[key] == plug.states[key] or key == "relay"
        assert (before["relay"], plug.states["relay"]) == (True, False)
        with pytest.raises(TypeError):
            plug.states["relay"] = True  # type: ignore[index]
