"""What is set once and then left. Facts: reference 4.2 and 4.4."""

from __future__ import annotations

from typing import ClassVar

from structiot.meross.features.channels import ChannelFeature
from structiot.meross.features.fields import (
    Adjustable,
    Field,
    Hidden,
    Measured,
    Pace,
    Switched,
)
from structiot.meross.wire.envelope import Method
from structiot.meross.wire.payloads import Item

__all__ = ["ChildLock", "Overheating", "PowerRetention", "Standby", "StatusLight"]


class StatusLight(ChannelFeature):
    """The light on the device; Meross calls it off "do not disturb"."""

    name = "status_light"
    abilities: ClassVar[tuple[str, ...]] = ("Appliance.System.DNDMode",)
    fields: ClassVar[tuple[Field, ...]] = (
        Switched(
            "status_light",
            ("mode",),
            category="config",
            icon="mdi:led-on",
            on=(0,),
            off=1,
        ),
    )
    is_certain = True
    is_list = False
    has_channel = False


class ChildLock(ChannelFeature):
    """The buttons on the device, and whether they work."""

    name = "child_lock"
    abilities: ClassVar[tuple[str, ...]] = ("Appliance.Control.PhysicalLock",)
    fields: ClassVar[tuple[Field, ...]] = (
        Switched("child_lock", ("onoff",), category="config", icon="mdi:lock"),
    )
    asks: ClassVar[Method | None] = Method.PUSH
    is_certain = True


class Overheating(ChannelFeature):
    """Whether it switches off when it gets too hot; -1 where it cannot."""

    name = "overheating_protection"
    abilities: ClassVar[tuple[str, ...]] = ("Appliance.Config.OverTemp",)
    fields: ClassVar[tuple[Field, ...]] = (
        Switched(
            "overheating_protection",
            ("enable",),
            category="config",
            icon="mdi:thermometer-alert",
            off=2,
        ),
        Hidden("overheating_type", ("type",)),
    )
    is_whole = True
    is_list = False
    has_channel = False

    def accepts(self, item: Item, channel: int) -> bool:
        """It has no channels."""
        return channel == 0 and super().accepts(item, channel)


class Standby(ChannelFeature):
    """Whether it switches off what takes little for long, and what that is."""

    name = "standby_killer"
    abilities: ClassVar[tuple[str, ...]] = ("Appliance.Config.StandbyKiller",)
    # There are none with more channels.
    asked: ClassVar[object] = [{"channel": 0}]
    fields: ClassVar[tuple[Field, ...]] = (
        Switched(
            "standby_killer",
            ("enable",),
            name="Switch off standby",
            category="config",
            icon="mdi:power-sleep",
            off=2,
        ),
        Adjustable(
            "standby_power_w",
            ("power",),
            name="Standby power",
            category="config",
            device_class="power",
            is_optional=True,
            unit="W",
            scale=1000,
            lowest=0,
            highest=10_000,
            minimum=0,
            maximum=100,
            step=0.1,
        ),
        Adjustable(
            "standby_time_s",
            ("time",),
            name="Standby time",
            category="config",
            device_class="duration",
            is_optional=True,
            unit="s",
            lowest=0,
            highest=10_000_000,
            minimum=1,
            maximum=86_400,
            step=1,
        ),
        Hidden("standby_alert", ("alert",)),
    )
    is_whole = True


class PowerRetention(ChannelFeature):
    """What it does after a power cut, by the device's number: nobody knows their names."""

    name = "power_retention"
    abilities: ClassVar[tuple[str, ...]] = ("Appliance.Control.PowerRetention",)
    fields: ClassVar[tuple[Field, ...]] = (
        Measured(
            "power_retention",
            ("state",),
            name="After a power cut",
            category="diagnostic",
            is_enabled=False,
            icon="mdi:power-plug-off",
            lowest=0,
            highest=255,
            unit=None,
            state_class=None,
        ),
    )
    asked: ClassVar[object] = [{"channel": 0}]
    pace: ClassVar[Pace] = "once"
