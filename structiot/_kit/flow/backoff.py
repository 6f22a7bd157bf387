"""Waiting times between attempts: pure, jittered, seeded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from structiot.errors import ConfigError

__all__ = ["Backoff", "Schedule"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long to wait before each further attempt.

    Delays grow from `first_s` by `factor` up to `cap_s`; each is then drawn from
    the upper `jitter` share of itself, so that many clients do not return in step.

    Raises:
        ConfigError: Delays, jitter or retries that cannot work.

    Attributes:
        first_s: First delay.
        factor: Growth from one delay to the next, at least 1.
        cap_s: Longest delay.
        jitter: Share that is left to chance, 0 (none) to 1 (anything from 0 up).
        retries: Attempts after the first before giving up; None is for ever.
        stable_s: How long a connection must have lived for the count to begin anew.
    """

    first_s: float = 1.0
    factor: float = 2.0
    cap_s: float = 60.0
    jitter: float = 0.5
    retries: int | None = None
    stable_s: float = 60.0

    def __post_init__(self) -> None:
        numbers = (self.first_s, self.factor, self.cap_s, self.jitter)
        if not all(map(math.isfinite, numbers)):
            message = f"delays have an end: {self}"
            raise ConfigError(message)
        if self.first_s < 0 or self.cap_s < 0 or self.factor < 1:
            message = f"delays cannot shrink or be negative: {self}"
            raise ConfigError(message)
        if not 0 <= self.jitter <= 1:
            message = f"jitter is a share from 0 to 1, not {self.jitter:g}"
            raise ConfigError(message)
        if self.retries is not None and self.retries < 0:
            message = f"there cannot be {self.retries} retries"
            raise ConfigError(message)

    def start(self, random: Random | None = None) -> Schedule:
        """Begin a schedule; give a seeded `Random` to have it repeat."""
        return Schedule(self, random or Random())  # noqa: S311 - not a secret


class Schedule:
    """One run through a `Backoff`.

    Attributes:
        attempt: How many delays were given since the last reset.
    """

    def __init__(self, backoff: Backoff, random: Random) -> None:
        self.backoff = backoff
        self.attempt: int = 0
        self._full_s = min(backoff.first_s, backoff.cap_s)
        self._random = random

    def next_delay_s(self) -> float | None:
        """Give the wait before the next attempt, or None when it is time to give up."""
        backoff = self.backoff
        if backoff.retries is not None and self.attempt >= backoff.retries:
            return None
        full_s = self._full_s
        self.attempt += 1
        # Capped at each step: a power of the count would overflow after a week.
        self._full_s = min(full_s * backoff.factor, backoff.cap_s)
        return full_s * (1 - backoff.jitter * self._random.random())

    def succeeded(self, lived_s: float) -> bool:
        """Tell how long the last connection lived; a stable one resets the count."""
        is_stable = lived_s >= self.backoff.stable_s
        if is_stable:
            self.attempt = 0
            self._full_s = min(self.backoff.first_s, self.backoff.cap_s)
        return is_stable
