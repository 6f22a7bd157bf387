"""What most users want of a device: on and off, energy by day and hour, timers."""

from __future__ import annotations

from typing import Literal, TypeVar

from structiot.errors import UnsupportedDevice, UsageError
from structiot.meross.asked_device import AskedDevice
from structiot.meross.features.channels import MAX_CHANNELS
from structiot.meross.features.energy_days import (
    DailyEnergy,
    HourConsumption,
    HourlyEnergy,
    days_request,
    read_daily_energy,
    read_hourly_energy,
)
from structiot.meross.features.feature import Feature, Request, entity_key
from structiot.meross.features.timers import (
    Rules,
    Timer,
    Trigger,
    read_timers,
    read_triggers,
)
from structiot.meross.wire.envelope import Payload

__all__ = ["Handling"]

F = TypeVar("F", bound=Feature)


class Handling(AskedDevice):
    """What may be wanted of any device; one that cannot do it says so."""

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
            UsageError: It has no such channel.
            StructiotError: As `request`.
        """
        await self._feature(HourConsumption, "does not remember the energy of hours")
        self._check_metered(channel)
        answer = await self._answer(HourConsumption.request(channel))
        return read_hourly_energy(answer, channel)

    async def timers(self) -> tuple[Timer, ...]:
        """Ask for the timers that it carries out by itself.

        Raises:
            UnsupportedDevice: It knows none.
            StructiotError: As `request`.
        """
        answers = await self._rules("timers")
        return tuple(timer for answer in answers for timer in read_timers(answer))

    async def triggers(self) -> tuple[Trigger, ...]:
        """Ask for the countdowns that it begins by itself when something is switched on.

        Raises:
            UnsupportedDevice: It knows none.
            StructiotError: As `request`.
        """
        answers = await self._rules("triggers")
        return tuple(one for answer in answers for one in read_triggers(answer))

    async def set_rule(self, rule: Timer | Trigger) -> None:
        """Set a timer or a trigger: one of the same `id` is replaced.

        Raises:
            UsageError: No device could carry it out, or it has no such channel.
            UnsupportedDevice: It knows none.
            StructiotError: As `request`.
        """
        await self._order_rule(rule, Rules.order(rule))

    async def remove_rule(self, rule: Timer | Trigger) -> None:
        """Delete a timer or a trigger, by its `id`.

        Raises:
            UsageError: It is none.
            UnsupportedDevice: It knows none, or does not let them be deleted.
            StructiotError: As `request`.
        """
        await self._order_rule(rule, Rules.removal(rule))

    async def _rules(self, which: Literal["timers", "triggers"]) -> list[Payload]:
        """Ask which there are, and then for each; a legacy device tells all at once."""
        rules, is_trigger = (
            await self._feature(Rules, f"has no {which}"),
            which == "triggers",
        )
        question = rules.which(is_trigger=is_trigger)
        if question is not None:
            await self._answer(question)
        return await self._ask(rules.questions(is_trigger=is_trigger))

    async def _order_rule(self, rule: Timer | Trigger, order: Request) -> None:
        await self._feature(Rules, "has no timers and no triggers")
        if order.namespace not in self.about.abilities:
            raise self._without("takes no orders for timers and triggers")
        channel = rule.channel
        if channel and not any(e.key.endswith(f"_{channel}") for e in self.entities):
            raise UsageError(f"this {self.about.model} has no channel {channel}")
        await self.request(order.namespace, order.method, order.payload)

    async def _answer(self, question: Request) -> Payload:
        return await self.request(question.namespace, "GET", question.payload)

    def _check_metered(self, channel: int) -> None:
        """See that a channel is metered, where it is known which ones are."""
        keys = [entity.key for entity in self.entities]
        metered = [n for n in range(MAX_CHANNELS) if entity_key("power_w", n) in keys]
        if metered and channel not in metered:
            there_are = ", ".join(map(str, metered))
            message = (
                f"this {self.about.model} meters channel {there_are}, not {channel}"
            )
            raise UsageError(message)

    async def _turn(self, channel: int, *, is_on: bool) -> None:
        await self.known()
        await super()._turn(channel, is_on=is_on)

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
