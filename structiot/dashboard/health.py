"""Whether the gateway is well, for whoever restarts it."""

from __future__ import annotations

from collections.abc import Iterator

from structiot.gateway.status import GatewayStatus

__all__ = ["not_ready"]

# What nobody waits for.
_WELL = {"running", "ended", "removed"}
_NAMES = {"broker connection": "broker"}


def not_ready(status: GatewayStatus) -> Iterator[str]:
    """Name what does not do yet, or not any more, what it is there for."""
    for task in status.tasks:
        for part in task.children:
            if part.state not in _WELL:
                yield _NAMES.get(part.name, part.name)
