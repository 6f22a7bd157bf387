"""A token bucket: a steady rate with room for bursts."""

from __future__ import annotations

import math

import anyio

from structiot.errors import ConfigError

__all__ = ["TokenBucket"]


class TokenBucket:
    """Allow `rate_per_s` on average and `burst` at once.

    The arithmetic is pure: `take` gets the time as an argument; a time before the
    latest one counts as the latest. `acquire` waits by the clock of the event loop,
    first come first served.

    Args:
        rate_per_s: Tokens that flow in each second, above 0.
        burst: Most tokens the bucket holds, above 0; it begins full.

    Raises:
        ConfigError: No rate or no room.
    """

    def __init__(self, rate_per_s: float, burst: float) -> None:
        if not (0 < rate_per_s < math.inf and 0 < burst < math.inf):
            message = f"a bucket needs a rate and room: {rate_per_s:g}/s, {burst:g}"
            raise ConfigError(message)
        self.rate_per_s = rate_per_s
        self.burst = burst
        self._tokens = float(burst)
        self._filled_at: float | None = None
        self._turn = anyio.Lock(fast_acquire=True)

    def available(self, now: float) -> float:
        """Give the tokens in the bucket; negative while a debt is paid off."""
        last = now if self._filled_at is None else self._filled_at
        self._filled_at = max(now, last)
        gained = (self._filled_at - last) * self.rate_per_s
        self._tokens = min(self.burst, self._tokens + gained)
        return self._tokens

    def take(self, now: float, tokens: float = 1.0) -> float:
        """Take tokens at once and give the seconds to wait before using them.

        The bucket may go into debt, so callers who wait in turn stay in turn.
        """
        left = self.available(now) - tokens
        self._tokens = left
        return max(0.0, -left / self.rate_per_s)

    def try_take(self, now: float, tokens: float = 1.0) -> bool:
        """Take tokens if they are there; never goes into debt."""
        if self.available(now) < tokens:
            return False
        self._tokens -= tokens
        return True

    async def acquire(self, tokens: float = 1.0) -> None:
        """Wait until the tokens may be used; a cancelled wait gives them back.

        More tokens than the bucket holds are waited for like any other number.
        """
        # One waits for tokens, the others for their turn: if each had its tokens
        # taken in advance, those of a cancelled one would go to the last comer.
        async with self._turn:
            wait_s = self.take(anyio.current_time(), tokens)
            try:
                await anyio.sleep(wait_s)
            except BaseException:
                self._tokens += tokens
                raise
