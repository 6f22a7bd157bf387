"""Turning on and off whatever a device switches."""

from __future__ import annotations

from datetime import datetime

from structiot._device.device import BaseDevice
from structiot.errors import UsageError
from structiot.meross.features.feature import Update, entity_key
from structiot.model import ClimateState, Command, DeviceInfo, FanState, LightState

__all__ = ["Turning"]


class Turning(BaseDevice[DeviceInfo]):
    """A device of which one may say on and off, without knowing what it is."""

    def _tell_update(
        self, update: Update, at_utc: datetime, every_s: float | None = None
    ) -> None:
        """Tell what a payload has told, but whether there are other entities."""
        if update.states or update.readings:
            self._tell(update.states, update.readings, at_utc=at_utc, every_s=every_s)
        for one in update.happened:
            self._tell_occurrence(
                one.key, one.event_type, data=one.data, at_utc=one.at_utc
            )

    async def turn_on(self, channel: int = 0) -> None:
        """Turn the device on, or one of its channels: an outlet, a lamp, a fan, a valve.

        Raises:
            UsageError: It has nothing to turn on there.
            StructiotError: As `command`.
        """
        await self._turn(channel, is_on=True)

    async def turn_off(self, channel: int = 0) -> None:
        """Turn the device, or one of its channels, off; errors as of `turn_on`."""
        await self._turn(channel, is_on=False)

    async def _turn(self, channel: int, *, is_on: bool) -> None:
        orders: dict[str, Command] = {
            "switch": is_on,
            "light": LightState(is_on=is_on),
            "fan": FanState(is_on=is_on),
            "water": is_on,
            "valve": ClimateState(mode="heat" if is_on else "off"),
        }
        keys = {entity.key for entity in self.entities}
        for name, order in orders.items():
            key = entity_key(name, channel)
            if key in keys:
                await self.command(key, order)
                return
        message = f"this {self.info.model} has nothing to turn on in channel {channel}"
        raise UsageError(message)
