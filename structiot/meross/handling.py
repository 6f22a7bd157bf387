"""What most users want of a device: on and off, energy by day and hour, timers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeVar

from structiot._kit.arguments import check_argument
from structiot.errors import UnsupportedDevice, UsageError
from structiot.meross.features.energy_days import (
    DailyEnergy,
    HourConsumption,
    HourlyEnergy,
    days_request,
    read_daily_energy,
    read_hourly_energy,
)
from structiot.meross.features.feature import About, Feature, Request, entity_key
from structiot.meross.features.timers import (
    Rules,
    Timer,
    Trigger,
    read_timers,
    read_triggers,
)
from structiot.meross.hub import DeviceWithSubdevices
from structiot.meross.wire.envelope import Payload
from structiot.model import FanState, LightState

__all__ = ["Handling"]

F = TypeVar("F", bound=Feature)


class Handling(DeviceWithSubdevices, ABC):
    """What may be wanted of any device; one that cannot do it says so."""

    @property
    @abstractmethod
    def about(self) -> About:
        """Its abilities, its channels, and what it said of itself."""

    @property
    @abstractmethod
    def features(self) -> tuple[Feature, ...]:
        """What it is composed of."""

    @abstractmethod
    async def request(
        self, namespace: str, method: str = "GET", payload: Payload | None = None
    ) -> Payload:
        """Ask or order something."""

    @abstractmethod
    async def known(self) -> None:
        """Wait until the device has told what it can."""

    async def turn_on(self, channel: int = 0) -> None:
        """Turn the device on, or one of its channels: an outlet, a lamp or a fan.

        Raises:
            UsageError: It has nothing to turn on there.
            StructiotError: As `command`.
        """
        await self._turn(channel, is_on=True)

    async def turn_off(self, channel: int = 0) -> None:
        """Turn the device, or one of its channels, off; errors as of `turn_on`."""
        await self._turn(channel, is_on=False)

    async def daily_energy(self) -> tuple[DailyEnergy, ...]:
        """Ask for the energy of each of the last days, oldest first.

        Raises:
            UnsupportedDevice: It does not remember any.
            StructiotError: As `request`.
        """
        await self.known()
        question = days_request(self.about)
        if question is None:
            raise self._without("does not remember the energy of days")
        return read_daily_energy(await self._answer(question))

    async def hourly_energy(self, channel: int = 0) -> tuple[HourlyEnergy, ...]:
        """Ask for the energy of each of the last hours, oldest first.

        Args:
            channel: Of devices with several meters, which.

        Raises:
            UnsupportedDevice: It does not remember any.
            StructiotError: As `request`.
        """
        await self._feature(HourConsumption, "does not remember the energy of hours")
        answer = await self._answer(HourConsumption.request(channel))
        return read_hourly_energy(answer, channel)

    async def timers(self) -> tuple[Timer, ...]:
        """Ask for the timers that it carries out by itself.

        Raises:
            UnsupportedDevice: It knows none.
            StructiotError: As `request`.
        """
        rules = await self._feature(Rules, "has no timers")
        asked = [rules.question(one.id) for one in rules.timers]
        answers = [await self._answer(one) for one in _distinct(asked)]
        return tuple(timer for answer in answers for timer in read_timers(answer))

    async def triggers(self) -> tuple[Trigger, ...]:
        """Ask for the countdowns that it begins by itself when something is switched on.

        Raises:
            UnsupportedDevice: It knows none.
            StructiotError: As `request`.
        """
        rules = await self._feature(Rules, "has no triggers")
        asked = [rules.question(one.id, is_trigger=True) for one in rules.triggers]
        answers = [await self._answer(one) for one in _distinct(asked)]
        return tuple(one for answer in answers for one in read_triggers(answer))

    async def set_rule(self, rule: Timer | Trigger) -> None:
        """Set a timer or a trigger: one of the same `id` is replaced.

        Raises:
            UnsupportedDevice: It knows none.
            StructiotError: As `request`.
        """
        check_argument("rule", rule, Timer, Trigger)
        rules = await self._feature(Rules, "has no timers and no triggers")
        order = rules.order(rule)
        if order.namespace not in self.about.abilities:
            raise self._without("takes no orders for timers and triggers")
        await self.request(order.namespace, order.method, order.payload)

    async def _answer(self, question: Request) -> Payload:
        return await self.request(question.namespace, "GET", question.payload)

    async def _turn(self, channel: int, *, is_on: bool) -> None:
        await self.known()
        orders = {
            entity_key(name, channel): order
            for name, order in (
                ("switch", is_on),
                ("light", LightState(is_on=is_on)),
                ("fan", FanState(is_on=is_on)),
            )
        }
        keys = [entity.key for entity in self.entities]
        found = next((key for key in orders if key in keys), None)
        if found is None:
            message = (
                f"this {self.about.model} has nothing to turn on in channel {channel}"
            )
            raise UsageError(message)
        await self.command(found, orders[found])

    async def _feature(self, kind: type[F], otherwise: str) -> F:
        await self.known()
        for feature in self.features:
            if isinstance(feature, kind):
                return feature
        raise self._without(otherwise)

    def _without(self, what: str) -> UnsupportedDevice:
        about = self.about
        message = f"this {about.model} {what}"
        firmware = about.system.firmware
        return UnsupportedDevice(message, model=about.model, firmware=firmware)


def _distinct(questions: Sequence[Request]) -> list[Request]:
    """Leave out what is asked already: a legacy device tells all of its rules at once."""
    found: list[Request] = []
    for one in questions:
        if one not in found:
            found.append(one)
    return found
