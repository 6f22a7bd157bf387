"""Which of the gateway's devices are offered, as what, and with which services. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from structiot._kit.text import printable
from structiot.connector import Device
from structiot.gateway.config.links import LinkSection
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
        type: Its type at the platform.
        tags: Its tags there.
        services: The keys of those of its entities that are services.
        refused: Until when which service tells nothing, as the platform refuses it.
    """

    id: str
    served: ServedDevice
    type: str
    tags: Mapping[str, str]
    services: AbstractSet[str]
    refused: dict[str, float] = field(default_factory=dict)

    def device(self) -> Device:
        """Describe it as the platform shall have it."""
        device = Device(self.id, self.type, printable(self.served.name, most=100))
        for tag_id, tag in self.tags.items():
            device.add_tag(tag_id, tag)
        return device


def offer_of(
    level: str, served: ServedDevice, links: Iterable[LinkSection]
) -> Offer | None:
    """Give as what a device is offered; None if it is not, or has not said who it is.

    The first link that fits it says as what. Those to the same type add what they name.
    """
    info = served.info
    if info is None or info.is_provisional:
        return None
    first: LinkSection | None = None
    services: set[str] = set()
    for link in links:
        keys = link.keys_of(level, served) if link.what == "offer" else None
        if keys is None:
            continue
        first = first or link
        if link.type == first.type:
            services |= {key for key in keys if _is_service(served.entities[key])}
    if first is None:
        return None
    return Offer(
        platform_id(info), served, first.type or "", first.tags or {}, services
    )


def _is_service(entity: Entity) -> bool:
    return not (isinstance(entity, Text) and entity.is_secret)
