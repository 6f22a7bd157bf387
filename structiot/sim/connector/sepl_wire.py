"""The stream below a websocket of the SEPL platform: odd frames go through here as well."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, final

import anyio
from anyio.abc import ByteStream

__all__ = ["Frost", "SeplWire"]


@final
class Frost:
    """Whether the platform stands still."""

    def __init__(self) -> None:
        self._thawed: anyio.Event | None = None

    async def hold(self, still_s: float) -> None:
        """Stand still for a while, of which one that has begun is no part."""
        await self.wait()
        self._thawed = anyio.Event()
        try:
            await anyio.sleep(still_s)
        finally:
            self._thawed.set()
            self._thawed = None

    async def wait(self) -> None:
        """Wait as long as it stands still."""
        while self._thawed is not None:
            await self._thawed.wait()


@final
class SeplWire(ByteStream):
    """A stream whose pieces are sent one after the other, and none while it is frozen.

    Attributes:
        is_broken_off: Whether it was closed here without a word.
    """

    def __init__(self, stream: ByteStream, frost: Frost) -> None:
        self._stream = stream
        self._frost = frost
        self._sending = anyio.Lock()
        self._held = b""
        self.is_broken_off: bool = False

    async def thawed(self) -> None:
        """Wait as long as it is frozen."""
        await self._frost.wait()

    async def break_off(self) -> None:
        """Close it without a word."""
        self.is_broken_off = True
        await anyio.aclose_forcefully(self._stream)

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        """Receive something, when it is not frozen."""
        await self.thawed()
        if not self._held:
            self._held = await self._stream.receive(max_bytes)
            await self.thawed()
        data, self._held = self._held, b""
        return data

    async def send(self, item: bytes) -> None:
        """Send all of it, when it is not frozen."""
        async with self._sending:
            await self.thawed()
            await self._stream.send(item)

    async def send_eof(self) -> None:
        """Send no more."""
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """Close it."""
        await self._stream.aclose()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """Those of the stream below."""
        return self._stream.extra_attributes
