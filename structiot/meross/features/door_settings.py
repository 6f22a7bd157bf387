"""What an opener of garage doors is set to. Facts: reference 4.8."""

from __future__ import annotations

from typing import ClassVar, Final

from structiot.meross.features.channels import ChannelFeature
from structiot.meross.features.feature import About, entity_key
from structiot.meross.features.fields import Adjustable, Field, Hidden, Switched
from structiot.meross.wire.envelope import Payload
from structiot.meross.wire.payloads import Item

__all__ = ["CONFIG", "MULTIPLE_CONFIG", "DoorSettings", "SharedDoorSettings"]

CONFIG: Final = "Appliance.GarageDoor.Config"
MULTIPLE_CONFIG: Final = "Appliance.GarageDoor.MultipleConfig"


def _duration(key: str, member: str, name: str, least_s: float) -> Adjustable:
    return Adjustable(
        key,
        (member,),
        name=name,
        category="config",
        device_class="duration",
        is_optional=True,
        is_enabled=member.startswith("door"),
        scale=1000,
        lowest=0,
        highest=3_600,
        unit="s",
        minimum=least_s,
        maximum=60.0 if member == "signalDuration" else 120.0,
        step=0.1,
    )


_OPENING: Final = ("open_time_s", "open_signal_s")
_CLOSING: Final = ("close_time_s", "close_signal_s")
_THERE: Final = "door_enabled"


class DoorSettings(ChannelFeature):
    """The settings of each door; an order repeats those it has.

    Args:
        about: What is known of the device.
        channels: The doors; more may be found.
    """

    name = "door_settings"
    abilities: ClassVar[tuple[str, ...]] = (MULTIPLE_CONFIG,)
    fields: ClassVar[tuple[Field, ...]] = (
        Switched(
            "buzzer",
            ("buzzerEnable",),
            category="config",
            is_optional=True,
            icon="mdi:bullhorn",
        ),
        _duration("open_time_s", "doorOpenDuration", "Time to open", 1.0),
        _duration("close_time_s", "doorCloseDuration", "Time to close", 1.0),
        _duration("signal_s", "signalDuration", "Length of signal", 0.1),
        _duration("open_signal_s", "signalOpen", "Length of signal to open", 0.1),
        _duration("close_signal_s", "signalClose", "Length of signal to close", 0.1),
        Hidden(_THERE, ("doorEnable",)),
    )
    is_whole = True

    def __init__(self, about: About, channels: set[int]) -> None:
        super().__init__(about)
        self._channels = channels

    def question(self) -> Payload:
        """Ask for each door."""
        return {"config": [{"channel": channel} for channel in self.channels or (0,)]}

    def accepts(self, item: Item, channel: int) -> bool:  # noqa: ARG002
        """It has settings for doors, and makes none."""
        return channel in self._channels

    def is_there(self, channel: int) -> bool:
        """Tell whether a door is in use: an opener of three may have but one."""
        return self.known_of(_THERE, channel) != 0

    def duration_s(self, channel: int, *, is_opening: bool) -> float | None:
        """Give how long a door is set to take, or its signal, whichever is known."""
        names = _OPENING if is_opening else _CLOSING
        found = (self.known_of(name, channel) for name in names)
        return next((ms / 1000 for ms in found if ms is not None), None)

    def known_of(self, key: str, channel: int) -> float | None:
        """Give the number that the wire last had for a field of a door."""
        return self.known(entity_key(key, channel))


class SharedDoorSettings(DoorSettings):
    """The settings of all doors together, which stand on channel 0."""

    abilities: ClassVar[tuple[str, ...]] = (CONFIG,)
    is_list = False
    has_channel = False

    def __init__(self, about: About) -> None:
        super().__init__(about, {0})

    def question(self) -> Payload:
        """Ask for all together."""
        return {"config": {}}

    def known_of(self, key: str, channel: int) -> float | None:  # noqa: ARG002
        """Give the number that the wire last had for a field of all doors."""
        return self.known(key)
