"""What a shell offers for DEVICE: the devices that were listed last; nobody is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio.to_thread

from structiot.cli._common.completing import Offer, completer
from structiot.cli.meross.kept import kept_files

__all__ = ["complete_device"]


@completer
async def complete_device(given: Mapping[str, Any]) -> list[Offer]:
    """Offer the names of the account's devices."""
    files = await kept_files(given.get("store"), given.get("email"), given.get("url"))
    devices = await anyio.to_thread.run_sync(files.devices)
    return [(one.name, one.model) for one in devices]
