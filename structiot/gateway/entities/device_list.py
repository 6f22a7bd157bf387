"""The list of the gateway's devices, as it stands on the broker. Pure.

It is cut into pages that every broker takes: `{"page": 1, "pages": 2, "devices": [...]}`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from structiot._kit.json_text import compact
from structiot._kit.text import printable
from structiot.gateway.entities.commands import takes_commands
from structiot.gateway.entities.components import platform_of
from structiot.model import DeviceInfo, Entity

__all__ = ["MAX_PAGE_CHARS", "device_json", "pages_of"]

# But for a device that has more to say.
MAX_PAGE_CHARS = 60_000
_OF_INFO = ("id", "manufacturer", "model", "serial", "firmware", "hardware", "via")
_MAX_CHARS = 200


def device_json(
    slug: str,
    name: str,
    system: str,
    info: DeviceInfo | None = None,
    entities: Mapping[str, Entity] | None = None,
) -> str:
    """Describe a device.

    Args:
        slug: Its level in topics.
        name: What people call it.
        system: Whose driver serves it.
        info: Who it is, if that is known.
        entities: What it has, by key.
    """
    told: dict[str, object] = {"device": slug, "name": _cut(name), "system": system}
    for member in _OF_INFO:
        if value := getattr(info, member, None):
            told[member] = _cut(str(value))
    told["entities"] = [_entity(one) for one in (entities or {}).values()]
    return compact(told, is_ascii=False)


def _entity(entity: Entity) -> dict[str, object]:
    told: dict[str, object] = {
        "key": entity.key,
        "platform": platform_of(entity),
        "takes_commands": takes_commands(entity),
    }
    for member in ("name", "device_class", "unit"):
        if value := getattr(entity, member, None):
            told[member] = _cut(str(value))
    return told


def _cut(text: str) -> str:
    return printable(text, most=_MAX_CHARS)


def pages_of(devices: Iterable[str]) -> list[str]:
    """Put devices, each as `device_json` gives it, on as many pages as they need."""
    pages: list[list[str]] = [[]]
    length = 0
    for one in devices:
        if pages[-1] and length + len(one) > MAX_PAGE_CHARS:
            pages.append([])
            length = 0
        pages[-1].append(one)
        length += len(one) + 1
    return [
        f'{{"page":{number},"pages":{len(pages)},"devices":[{",".join(page)}]}}'
        for number, page in enumerate(pages, 1)
    ]
