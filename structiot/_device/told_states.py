"""What a device told last of each of its entities, and when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType

import anyio

from structiot.model import State, StateChange

__all__ = ["ToldStates"]


class ToldStates:
    """The latest states, told by difference."""

    def __init__(self) -> None:
        self._states: dict[str, State | None] = {}
        # By the clock of the day, and by one that never jumps.
        self._told_at: dict[str, tuple[datetime, float]] = {}
        self._every_s: dict[str, float] = {}

    @property
    def states(self) -> Mapping[str, State | None]:
        """The latest state of each entity that has told one, by key."""
        return MappingProxyType(self._states)

    @property
    def changes(self) -> list[StateChange]:
        """The latest states as events, each with the time when it was told last."""
        return [
            StateChange(key=key, state=state, at_utc=self._told_at[key][0])
            for key, state in self._states.items()
        ]

    def silent_s(self, key: str) -> float | None:
        """Give for how long a state was not told; None if it never was."""
        told = self._told_at.get(key)
        return None if told is None else anyio.current_time() - told[1]

    def every_s(self, key: str, usual_s: float) -> float:
        """Give how often a state is told, as was said last, else the usual time."""
        return self._every_s.get(key, usual_s)

    def take(
        self,
        states: Mapping[str, State | None],
        at_utc: datetime,
        every_s: float | None = None,
    ) -> list[StateChange]:
        """Take what is told, and how often it is; give what is news."""
        if every_s is not None:
            self._every_s.update(dict.fromkeys(states, every_s))
        known = self._states
        news = {k: s for k, s in states.items() if k not in known or known[k] != s}
        # Somebody may be going through those that were there.
        self._states = known | news if news else known
        self._told_at.update(dict.fromkeys(states, (at_utc, anyio.current_time())))
        return [
            StateChange(key=key, state=state, at_utc=at_utc)
            for key, state in news.items()
        ]

    def keep(self, keys: Iterable[str]) -> set[str]:
        """Forget all but these; give what was forgotten."""
        gone = self._states.keys() - set(keys)
        if gone:
            self._states = {k: s for k, s in self._states.items() if k not in gone}
        for key in gone:
            del self._told_at[key]
            self._every_s.pop(key, None)
        return gone
