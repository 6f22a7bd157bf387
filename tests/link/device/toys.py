"""Devices as a stranger writes them, of the public blocks alone, and what they speak to.

`Plug` is polled, `PushingPlug` is polled and speaks by itself, `Doorbell` only speaks.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import TypeVar

import anyio

from structiot.devices import BaseDevice, Environment, PolledDevice, PollSchedule
from structiot.errors import StructiotError
from structiot.model import (
    Availability,
    Command,
    DeviceEvent,
    DeviceInfo,
    Event,
    Reading,
    Sensor,
    State,
    StateChange,
    Switch,
)

T = TypeVar("T")


class Appliance:
    """A plug in the wall: it answers one question at a time.

    Attributes:
        asked: When it was asked what.
        at_once: The most questions that were ever put to it at once.
        trouble: What a question ends with; None while it works.
        takes_s: How long an answer takes.
    """

    def __init__(self) -> None:
        self.is_on = True
        self.power_w = 60.0
        self.asked: list[tuple[float, str]] = []
        self.at_once = 0
        self.trouble: StructiotError | None = None
        self.takes_s = 0.0
        self._asking = 0
        self._was_asked = anyio.Event()

    async def next_question(self) -> None:
        """Wait until it is asked something more."""
        await self._was_asked.wait()

    @property
    def polls(self) -> list[float]:
        """When it was polled."""
        return [round(when, 6) for when, what in self.asked if what == "status"]

    async def ask(self, what: str) -> Mapping[str, float]:
        self.asked.append((anyio.current_time(), what))
        self._was_asked.set()
        self._was_asked = anyio.Event()
        self._asking += 1
        self.at_once = max(self.at_once, self._asking)
        try:
            await anyio.sleep(self.takes_s)
        finally:
            self._asking -= 1
        if self.trouble is not None:
            raise self.trouble
        if what != "status":
            self.is_on = what == "on"
        return {"relay": self.is_on, "power": self.power_w if self.is_on else 0.0}


class Plug(PolledDevice[DeviceInfo]):
    """A relay and a meter."""

    def __init__(
        self, appliance: Appliance, environment: Environment, poll_s: float = 5.0
    ) -> None:
        super().__init__(
            DeviceInfo(id="plug-1", system="toy", name="Plug"),
            [Switch(key="relay"), Sensor(key="power", device_class="power", unit="W")],
            schedule=PollSchedule(poll_s=poll_s),
            environment=environment,
        )
        self._appliance = appliance

    async def _poll(self) -> None:
        said = await self._appliance.ask("status")
        reading = Reading(
            device=self.info.id,
            channel=1,
            at_utc=self._environment.now_utc(),
            is_on=bool(said["relay"]),
            power_w=said["power"],
        )
        self._tell({"relay": reading.is_on, "power": reading.power_w}, [reading])

    async def _command(self, key: str, command: Command) -> None:
        async with self._commanding():
            await self._appliance.ask("on" if command else "off")
            await self._refresh()


class PushingPlug(Plug):
    """It tells by itself when its relay is switched; its meter is polled."""

    def take_message(self, relay: bool) -> None:
        self._tell({"relay": relay})

    def take_report(self, relay: bool, power_w: float) -> None:
        self._tell({"relay": relay, "power": power_w})
        self._poller.pushed()

    def take_press(self) -> None:
        self._tell_occurrence("button", "press")

    def take_goodbye(self) -> None:
        self._lost("its hub says that it is gone")

    def take_channel(self, is_open: bool) -> None:
        self._poller.set_pace(math.inf if is_open else 5.0)


class Doorbell(BaseDevice[DeviceInfo]):
    """A device that dials in: nobody can ask it anything."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(
            DeviceInfo(id="bell-1", system="toy", name="Bell"),
            [
                Event(key="button", event_types=("press", "hold")),
                Sensor(key="battery", device_class="battery", unit="%"),
            ],
            is_available=False,
            environment=environment,
        )

    @property
    def _is_metered(self) -> bool:
        return False

    def connected(self) -> None:
        self._tell_availability(is_available=True)

    def disconnected(self, reason: str) -> None:
        self._tell_availability(is_available=False, reason=reason)

    def take(self, message: Mapping[str, str | float]) -> None:
        match message:
            case {"pressed": str(how)}:
                self._tell_occurrence("button", how, data={"finger": 1})
            case {"battery": float(percent)}:
                self._tell({"battery": percent})


def surroundings() -> Environment:
    """Give an environment whose chance repeats."""
    return Environment(random=Random(1))


async def waiting(events: AsyncIterator[T]) -> list[T]:
    """Take everything that waits in an iterator."""
    found: list[T] = []
    while True:
        with anyio.move_on_after(0.001) as scope:
            found.append(await anext(events))
        if scope.cancelled_caught:
            return found


def states(events: Sequence[object]) -> dict[str, State | None]:
    """Give the states among events, by key."""
    return {
        event.key: event.state for event in events if isinstance(event, StateChange)
    }


@asynccontextmanager
async def opened(poll_s: float = 5.0) -> AsyncGenerator[tuple[Appliance, Plug]]:
    appliance = Appliance()
    async with Plug(appliance, surroundings(), poll_s) as plug:
        appliance.asked.clear()
        yield appliance, plug


def is_there(plug: Plug) -> bool:
    """Whether it is available; a function, so that types do not remember it."""
    return plug.is_available


def availability(events: list[DeviceEvent]) -> list[tuple[bool, str]]:
    return [(e.is_available, e.reason) for e in events if isinstance(e, Availability)]
