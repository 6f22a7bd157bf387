"""What one model is: hardware, firmware, abilities, and what it is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from structiot.meross.wire.batch import MULTIPLE
from structiot.meross.wire.encryption import ENCRYPTED_ABILITY
from structiot.sim.meross.stage import Part, Stage

__all__ = ["NEWER", "TIMERS", "TOGGLE", "MerossModel", "PartMaker", "abilities"]

PartMaker: TypeAlias = Callable[[Stage], Part]
Abilities: TypeAlias = Mapping[str, Mapping[str, Any]]

# On nearly every device; reference 5.2.
_BASE: Final = (
    "Config.Key Config.WifiList Config.Wifi Config.Trace System.All System.Hardware "
    "System.Firmware System.Debug System.Online System.Time System.Clock "
    "System.Ability System.Runtime System.Report System.Position System.DNDMode "
    "Control.Bind Control.Unbind Control.Upgrade"
)
NEWER: Final = "Config.WifiX Config.Info"
TIMERS: Final = "Control.TimerX Control.TriggerX Digest.TriggerX Digest.TimerX"
TOGGLE: Final = f"Control.ToggleX {TIMERS}"


def abilities(
    *names: str,
    most_commands: int | None = 5,
    without: str = "",
    **attributes: Mapping[str, Any],
) -> Abilities:
    """Make an ability list.

    Args:
        names: Namespaces without `Appliance.`, with blanks in between; they follow those
            that all have.
        most_commands: How many requests a batch may have; None knows no batches.
        without: Those of all that it has not.
        attributes: Of single ones, by name with `_` instead of the dot.
    """
    wanted = [name for text in (_BASE, *names) for name in text.split()]
    missing = set(without.split())
    found: dict[str, Mapping[str, Any]] = {
        f"Appliance.{name}": attributes.get(name.replace(".", "_"), {})
        for name in wanted
        if name not in missing
    }
    if most_commands is not None:
        found[MULTIPLE] = {"maxCmdNum": most_commands}
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class MerossModel:
    """One model with one firmware.

    Attributes:
        name: What it is called here: its type, and more where there are several.
        about: What it is, in a few words.
        kind: The type that it tells, the name by default.
        sub_type: The variant that it tells.
        hardware: Version of the hardware.
        firmware: Version of the firmware.
        chip: Its processor.
        abilities: What it lists, with attributes.
        parts: What it is made of.
        channels: What the cloud's device list says of its channels.
        answer_bytes: Where its answers to batches are cut off.
        is_legacy: Whether System.All has `control` instead of a digest.
        subdevices: What is paired with a hub at first: type and id of each.
    """

    name: str
    about: str
    kind: str = ""
    sub_type: str = "eu"
    hardware: str = "2.0.0"
    firmware: str
    chip: str = "mt7682"
    abilities: Abilities
    parts: tuple[PartMaker, ...]
    channels: tuple[Mapping[str, Any], ...] = field(default=({},))
    answer_bytes: int = 3000
    is_legacy: bool = False
    subdevices: tuple[tuple[str, str], ...] = ()

    @property
    def type(self) -> str:
        """The type that it tells."""
        return self.kind or self.name

    @property
    def is_encrypted(self) -> bool:
        """Whether it is encrypted in the local network."""
        return ENCRYPTED_ABILITY in self.abilities
