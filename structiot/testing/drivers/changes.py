"""Waiting until something holds that others bring about."""

from __future__ import annotations

from collections.abc import Callable

import anyio

__all__ = ["Changes"]


class Changes:
    """Tells those who wait that something has changed."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def tell(self) -> None:
        """Let all who wait look again."""
        self._event.set()
        self._event = anyio.Event()

    async def until(
        self,
        condition: Callable[[], object],
        *,
        within_s: float,
        failure: Callable[[], str],
    ) -> None:
        """Wait until a condition holds; it is looked at after each change.

        Raises:
            AssertionError: It did not within that time; with what `failure` says then.
        """
        with anyio.move_on_after(within_s):
            while not condition():
                await self._event.wait()
        if not condition():
            raise AssertionError(f"after {within_s:g} s: {failure()}")
