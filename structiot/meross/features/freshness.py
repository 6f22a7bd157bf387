"""Which of several tellings is the newest, by the time stamps of the device.

What it holds is one stamp for each of the keys that it is asked for.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from structiot._kit.json_text import number_of

__all__ = ["Freshness", "stamp_of"]

# A clock further ahead than this is wrong, and would silence whatever comes later.
_AHEAD_S: Final = 3600.0


def stamp_of(value: object, at_utc: datetime) -> float | None:
    """Read a time stamp; None for none, 0 (never) and one of a clock that is wrong."""
    stamp = number_of(value)
    # Ten digits as text are more than a number of that length elsewhere; both occur.
    if stamp is None or not 0 < stamp <= at_utc.timestamp() + _AHEAD_S:
        return None
    return stamp


class Freshness:
    """The newest time stamp of each of some things."""

    def __init__(self) -> None:
        self._newest: dict[str, float] = {}

    def is_newest(self, key: str, stamp: float | None, *, is_old: bool = False) -> bool:
        """Tell whether what has this stamp is to be believed, and remember it if so.

        Args:
            key: What it is of.
            stamp: When it was so; without one it is believed.
            is_old: It comes from where things are known to lag behind: then it is
                believed only if it is newer than what is known, or nothing is.
        """
        newest = self._newest.get(key)
        if newest is not None:
            if stamp is None:
                return not is_old
            if stamp < newest or (is_old and stamp == newest):
                return False
        self._newest[key] = stamp or 0.0
        return True
