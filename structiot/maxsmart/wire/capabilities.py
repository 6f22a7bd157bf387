"""Which firmware can what, as data, and what a device has shown beyond that.

The rows are what is known of each firmware; None is "nobody knows", and then the
device is asked and its answer remembered. What its owner says (`assume_supported`)
goes before all that, for a version is only a guess at what a device can.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, cast, get_args

from structiot.errors import UnsupportedDevice, UsageError
from structiot.maxsmart.wire.messages import Transport
from structiot.model import DeviceInfo

__all__ = [
    "CAPABILITIES",
    "Capabilities",
    "Capability",
    "NameLimit",
    "capability_named",
    "name_limit_of",
    "renames_by",
]

Capability: TypeAlias = Literal[
    "statistics", "rename", "port_names", "clock", "identifiers"
]
CAPABILITIES: Final[tuple[Capability, ...]] = get_args(Capability)

_WORDS: Final[Mapping[Capability, str]] = {
    "statistics": "statistics",
    "rename": "names that can be changed",
    "port_names": "names of ports",
    "clock": "commands to read its clock",
    "identifiers": "identifiers of the hardware",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NameLimit:
    """How long a name may be.

    Attributes:
        most: Longest name.
        unit: What is counted; bytes are those of UTF-8.
    """

    most: int
    unit: Literal["characters", "bytes"]

    def length_of(self, name: str) -> int:
        """Measure a name."""
        return len(name) if self.unit == "characters" else len(name.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """What a firmware can; None is unknown."""

    statistics: bool | None = None
    rename: bool | None = None
    port_names: bool | None = None
    clock: bool | None = None
    identifiers: bool | None = None
    name_limit: NameLimit = NameLimit(most=21, unit="characters")
    # V3 where HTTP has no command for it, also on a device that speaks both.
    renames_by: Transport = "http"

    def can(self, capability: Capability) -> bool | None:
        return cast("bool | None", getattr(self, capability))


_V3_NAMES: Final = NameLimit(most=15, unit="bytes")
_NOTHING_KNOWN: Final = _Row()
# Each row holds from its version on, within the same major number.
_ROWS: Final[Mapping[tuple[int, int], _Row]] = MappingProxyType(
    {
        (1, 6): _Row(port_names=False),
        (1, 10): _Row(),
        (1, 30): _Row(
            statistics=True, rename=True, port_names=True, clock=True, identifiers=True
        ),
        (2, 11): _Row(port_names=False),
        (3, 36): _Row(
            statistics=False,
            rename=True,
            port_names=False,
            clock=True,
            identifiers=False,
            name_limit=_V3_NAMES,
            renames_by="udp_v3",
        ),
        (5, 11): _Row(
            statistics=False,
            rename=False,
            port_names=False,
            clock=False,
            identifiers=False,
            name_limit=_V3_NAMES,
            renames_by="udp_v3",
        ),
    }
)
# V3 has no command for these, whatever the firmware.
_BY_HTTP_ALONE: Final = frozenset({"statistics", "clock", "identifiers"})


class Capabilities:
    """What one device can, as far as that is known.

    Args:
        transport: How it is spoken to.
        has_port_names: As the attribute.
        assumed: What its owner says it can.

    Attributes:
        has_port_names: Whether discovery brought names of ports; None if it brought
            nothing at all so far.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        has_port_names: bool | None,
        assumed: Iterable[str] = (),
    ) -> None:
        self._transport = transport
        self._shown: dict[tuple[str | None, Capability], bool] = {}
        self._assumed = {capability_named(capability) for capability in assumed}
        self.has_port_names: bool | None = has_port_names

    def of(self, capability: Capability, firmware: str | None) -> bool | None:
        """Tell whether the device can; None if only trying will tell."""
        capability_named(capability)
        if capability in self._assumed:
            return True
        if capability == "port_names" and self.has_port_names is not None:
            return self.has_port_names
        if self._transport == "udp_v3" and capability in _BY_HTTP_ALONE:
            return False
        row_says = _row_of(firmware).can(capability)
        return self._shown.get((firmware, capability)) if row_says is None else row_says

    def show(
        self, capability: Capability, firmware: str | None, *, is_supported: bool
    ) -> None:
        """Note what the device did when it was asked."""
        self._shown[firmware, capability] = is_supported

    def missing(
        self, capability: Capability, label: str, info: DeviceInfo
    ) -> UnsupportedDevice:
        """Make the error that says which firmware can."""
        able = tuple(
            f"{major}.{minor:02d}"
            for (major, minor), row in _ROWS.items()
            if row.can(capability)
        )
        firmware = info.firmware
        message = f"{label}, firmware {firmware or '?'}, has no {_WORDS[capability]}; "
        message += f"known to have them: firmware {', '.join(able)}"
        return UnsupportedDevice(
            message, model=info.model, firmware=firmware, supported=able
        )


def name_limit_of(firmware: str | None) -> NameLimit:
    """Tell how long a name a firmware takes."""
    return _row_of(firmware).name_limit


def renames_by(firmware: str | None) -> Transport:
    """Tell by which protocol a firmware that has both is renamed."""
    return _row_of(firmware).renames_by


def _row_of(firmware: str | None) -> _Row:
    found = re.match(r"(\d{1,3})\.(\d{1,3})", firmware or "", re.ASCII)
    if found is None:
        return _NOTHING_KNOWN
    version = (int(found[1]), int(found[2]))
    older = [known for known in _ROWS if known <= version]
    if not older:
        return _NOTHING_KNOWN
    newest = max(older)
    # Between two generations nobody has seen one; after the last, more of the same.
    is_same = newest[0] == version[0] or newest == max(_ROWS)
    return _ROWS[newest] if is_same else _NOTHING_KNOWN


def capability_named(capability: str) -> Capability:
    """Give the capability of this name.

    Raises:
        UsageError: There is none.
    """
    for known in CAPABILITIES:
        if capability == known:
            return known
    message = f"no capability {capability!r}; there are {', '.join(CAPABILITIES)}"
    raise UsageError(message)
