"""Writing pieces to any stream, large ones without a copy where that can be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, cast, runtime_checkable

from anyio.abc import ByteStream

from structiot._kit.out_buffer import Buffer

__all__ = ["Gathering", "joined", "portions", "send_pieces"]

# What one write through TLS or in a frame has of something large: whole records, and of
# what publishers wait for (LARGE_HIGH_WATER_BYTES in all, and a bit) not a scrap too many.
PORTION_BYTES = 278_528


@runtime_checkable
class Gathering(Protocol):
    """A stream that can write pieces without joining all of them."""

    async def send_pieces(self, pieces: list[Buffer]) -> None:
        """Write all of them in order, as `send` does."""
        ...


async def send_pieces(stream: ByteStream, pieces: list[Buffer]) -> None:
    """Write pieces to any stream: as they are if it knows how, else in portions."""
    if isinstance(stream, Gathering):
        await stream.send_pieces(pieces)
        return
    for parts in portions(pieces):
        await stream.send(joined(parts))


def portions(
    pieces: list[Buffer], size: int = PORTION_BYTES
) -> Iterator[list[memoryview]]:
    """Give what one write has of some pieces, until all is given."""
    parts: list[memoryview] = []
    room = size
    for piece in pieces:
        view = memoryview(piece)
        while view:
            parts.append(view[:room])
            view, room = view[room:], room - len(parts[-1])
            if not room:
                yield parts
                parts, room = [], size
    if parts:
        yield parts


def joined(parts: list[memoryview]) -> bytes:
    """Make one piece of several."""
    # Streams take what is like bytes; those of frames make bytes of it.
    return cast("bytes", parts[0]) if len(parts) == 1 else b"".join(parts)
