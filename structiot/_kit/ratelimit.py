"""A token bucket: a steady rate with room for bursts."""

from __future__ import annotations

import anyio

__all__ = ["TokenBucket"]


class TokenBucket:
    """Allow `rate_per_s` on average and `burst` at once.

    The arithmetic is pure: `take` gets the time as an argument. `acquire` waits by
    the clock of the event loop, first come first served.

    Args:
        rate_per_s: Tokens that flow in each second, above 0.
        burst: Most tokens the bucket holds; it begins full.
    """

    def __init__(self, rate_per_s: float, burst: float) -> None:
        if rate_per_s <= 0 or burst <= 0:
            message = f"a bucket needs a rate and room: {rate_per_s:g}/s, {burst:g}"
            raise ValueError(message)
        self.rate_per_s = rate_per_s
        self.burst = burst
        self._tokens = float(burst)
        self._filled_at: float | None = None

    def available(self, now: float) -> float:
        """Give the tokens in the bucket; negative while a debt is paid off."""
        if self._filled_at is None:
            self._filled_at = now
        gained = max(0.0, now - self._filled_at) * self.rate_per_s
        self._tokens = min(self.burst, self._tokens + gained)
        self._filled_at = max(now, self._filled_at)
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
        """Wait until the tokens may be used; a cancelled wait gives them back."""
        wait_s = self.take(anyio.current_time(), tokens)
        try:
            await anyio.sleep(wait_s)
        except BaseException:
            self._tokens += tokens
            raise
