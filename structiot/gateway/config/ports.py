"""Ports that several parts of the gateway would listen at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from structiot.errors import InternalError
from structiot.gateway.config.dashboard import DashboardSection
from structiot.gateway.config.fields import (
    Finding,
    Listening,
    SystemSection,
    models_in,
)
from structiot.gateway.config.sections import BrokerSection, GatewayConfig
from structiot.gateway.isolation import called

__all__ = ["ports_taken_twice"]

_USUAL_PORTS = {"mqtt": 1883, "ws": 80, "http": 80, "https": 443}
_EVERYWHERE = {"", "0.0.0.0", "::"}  # noqa: S104 - it is looked for, not listened at
_HERE = {"localhost": "127.0.0.1"}


def ports_taken_twice(
    model: type[GatewayConfig], data: Mapping[str, object]
) -> Iterator[Finding]:
    """Find places to listen at that are taken by another part of the same gateway."""
    taken: list[Listening] = []
    for one in _places(model, data):
        for other in taken:
            if _clash(one, other):
                # What is not written has no place to be pointed at.
                at, by = (one, other) if one.is_written else (other, one)
                message = (
                    f"{at.host}:{at.port} is listened at already, by [{by.path[0]}]"
                )
                yield Finding(path=at.path, message=message)
                break
        taken.append(one)


def _places(
    model: type[GatewayConfig], data: Mapping[str, object]
) -> Iterator[Listening]:
    mqtt, broker = data.get("mqtt", {}), data.get("broker", {})
    if isinstance(mqtt, Mapping) and "uri" not in mqtt:
        yield from _listed("broker", broker, BrokerSection().listen)
    page = data.get("dashboard", {})
    if isinstance(page, Mapping) and page.get("enabled", True) is True:
        yield from _listed("dashboard", page, DashboardSection().listen)
    for name, info in model.model_fields.items():
        table = data.get(name)
        for section, _ in models_in(info.annotation):
            if issubclass(section, SystemSection) and isinstance(table, Mapping):
                yield from _of_system(name, section, table)


def _of_system(
    name: str, section: type[SystemSection], table: Mapping[str, object]
) -> list[Listening]:
    try:
        return called(lambda: [one.below(name) for one in section.listens_at(table)])
    # Whatever a stranger's does: `cross_checks` is where it is said.
    except InternalError:
        return []


def _listed(name: str, table: object, usual: tuple[str, ...]) -> Iterator[Listening]:
    listen = table.get("listen") if isinstance(table, Mapping) else None
    is_written = isinstance(listen, list | tuple)
    for index, uri in enumerate(listen if isinstance(listen, list | tuple) else usual):
        try:
            parts = urlsplit(uri if isinstance(uri, str) else "")
            port = parts.port
        except ValueError:
            continue
        if port is None:
            port = _USUAL_PORTS.get(parts.scheme, 0)
        yield Listening(
            path=(name, "listen", index),
            host=parts.hostname or "",
            port=port,
            is_written=is_written,
        )


def _clash(one: Listening, other: Listening) -> bool:
    if one.port != other.port or not one.port:
        return False
    hosts = {_HERE.get(host, host) for host in (one.host.lower(), other.host.lower())}
    return len(hosts) == 1 or bool(hosts & _EVERYWHERE)
