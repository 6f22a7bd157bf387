"""The boxes of all who listen to one thing, each bounded by itself."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

__all__ = ["FanOut"]


class _Closable(Protocol):
    def close(self) -> None: ...


B = TypeVar("B", bound=_Closable)


class FanOut(Generic[B]):
    """Listeners' boxes, such as `Mailbox` and `ConflatingQueue`; who tells, iterates.

        for box in listeners:
            box.put(event)

    Nothing here waits. What a box does when its listener is slow is the box's own
    policy, so one listener never costs another anything. A box may be added or leave
    while others are told.
    """

    __slots__ = ("_boxes", "_is_closed")

    def __init__(self) -> None:
        # Never changed in place: whoever iterates has the boxes of that moment.
        self._boxes: tuple[B, ...] = ()
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._boxes)

    def __iter__(self) -> Iterator[B]:
        return iter(self._boxes)

    @contextmanager
    def listening(self, box: B) -> Generator[B]:
        """Tell a box, too, for the length of the block, and close it then.

        What the newcomer has to know first is put in before. Once the fan-out is
        closed, so is the box.
        """
        if self._is_closed:
            box.close()
        self._boxes = (*self._boxes, box)
        try:
            yield box
        finally:
            self._boxes = tuple(one for one in self._boxes if one is not box)
            box.close()

    def close(self) -> None:
        """End every iteration after what waits; closing twice is silent."""
        self._is_closed = True
        for box in self._boxes:
            box.close()
