"""Places for connections: who comes while all are taken waits for those just leaving."""

from __future__ import annotations

from collections.abc import Callable

import anyio

__all__ = ["Room"]

# The end of a connection is noticed by its own task, which may have its turn only
# after the newcomer's, and on some networks the two arrive in either order.
SOON_S = 0.1
MOST_WAITING = 64


class Room:
    """Tells newcomers when somebody has left; holds 64 of them for 0.1 s at most."""

    def __init__(self) -> None:
        self._waiting: set[anyio.Event] = set()

    async def soon(self, has_room: Callable[[], bool]) -> bool:
        """Wait until there is room, for a moment; the room is to be taken at once."""
        if has_room():
            return True
        if len(self._waiting) >= MOST_WAITING:
            return False
        with anyio.move_on_after(SOON_S):
            while not has_room():
                left = anyio.Event()
                self._waiting.add(left)
                try:
                    await left.wait()
                finally:
                    self._waiting.discard(left)
            return True
        return False

    def left(self) -> None:
        """Somebody has left."""
        for event in self._waiting:
            event.set()
