"""Devices that tell something and are not in the account's list, or not yet."""

from __future__ import annotations

from typing import Final

__all__ = ["Strangers"]

# Such as one just removed.
_MOST_STRANGERS: Final = 1_024
# How often one has the list asked for: it may not be there at once.
_MOST_LISTS: Final = 3


class Strangers:
    """Counts how often each has had the list asked for."""

    def __init__(self) -> None:
        self._times: dict[str, int] = {}

    def met(self, uuid: str) -> bool:
        """Tell whether to ask for the list, as a stranger has told something."""
        times = self._times.get(uuid, 0)
        is_known = times or len(self._times) < _MOST_STRANGERS
        if not (uuid and is_known and times < _MOST_LISTS):
            return False
        self._times[uuid] = times + 1
        return True

    def listed(self, uuid: str) -> bool:
        """Take it that a device is in the list now; tell whether it was a stranger."""
        return bool(self._times.pop(uuid, 0))
