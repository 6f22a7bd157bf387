"""Which of the gateway's devices are offered, as what, and with which services. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from structiot._kit.text import printable
from structiot.connector import Device
from structiot.gateway.drivers.connector.section import (
    ConnectorDeviceSection,
    ConnectorSection,
)
from structiot.gateway.drivers.connector.values import platform_id
from structiot.gateway.drivers.driver import ServedDevice
from structiot.model import Entity, Text

__all__ = ["Offer", "offer_of"]


@dataclass(eq=False, slots=True)
class Offer:
    """A device that is offered.

    Attributes:
        id: Its id at the platform.
        served: The device.
        rule: As what.
        services: The keys of those of its entities that are services.
        refused: Until when which service tells nothing, as the platform refuses it.
    """

    id: str
    served: ServedDevice
    rule: ConnectorDeviceSection
    services: frozenset[str]
    refused: dict[str, float] = field(default_factory=dict)

    def device(self) -> Device:
        """Describe it as the platform shall have it."""
        device = Device(self.id, self.rule.type, printable(self.served.name, most=100))
        for tag_id, tag in (self.rule.tags or {}).items():
            device.add_tag(tag_id, tag)
        return device


def offer_of(served: ServedDevice, section: ConnectorSection) -> Offer | None:
    """Give as what a device is offered; None if it is not, or has not said who it is."""
    info = served.info
    if info is None or info.is_provisional:
        return None
    given = (info.system, info.id, served.name, info.model or "")
    for rule in section.devices:
        wanted = (rule.system, rule.id, rule.name, rule.model)
        pairs = zip(given, wanted, strict=True)
        if all(want is None or fnmatchcase(text, want) for text, want in pairs):
            services = {
                key
                for key, entity in served.entities.items()
                if _is_service(entity) and _fits_any(key, rule.entities)
            }
            return Offer(platform_id(info), served, rule, frozenset(services))
    return None


def _is_service(entity: Entity) -> bool:
    return not (isinstance(entity, Text) and entity.is_secret)


def _fits_any(key: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(key, pattern) for pattern in patterns)
