"""Devices that are listed by where they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from structiot.gateway.config.fields import Finding

__all__ = ["places_listed_twice"]


def places_listed_twice(
    table: Mapping[str, object], *, port: str, usual_port: int
) -> Iterator[Finding]:
    """Find devices of a section that are at one place, host and port.

    Args:
        table: The section as it was written.
        port: The key of the port, of a device or of the section.
        usual_port: The port if neither has one.
    """
    devices = table.get("devices")
    seen: set[tuple[str, str]] = set()
    for index, device in enumerate(
        devices if isinstance(devices, list | tuple) else ()
    ):
        host = device.get("host") if isinstance(device, Mapping) else None
        if not isinstance(host, str):
            continue
        place = (host.lower(), str(device.get(port, table.get(port, usual_port))))
        if place in seen:
            yield Finding(
                path=("devices", index, "host"),
                message=f"host {host!r} is listed twice with the same {port}",
            )
        seen.add(place)
