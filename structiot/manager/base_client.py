"""What every device that has dialled in can be asked for, wherever it is connected."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from copy import copy
from datetime import datetime
from typing import Final

import anyio
import anyio.lowlevel

from structiot._kit.flow.fan_out import FanOut
from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.flow.replies import ReplyTable
from structiot.manager.errors import ConnectionEnd
from structiot.manager.unacknowledged import Unacknowledged
from structiot.manager.wire.dialects import Dialect
from structiot.manager.wire.info import Info, held_bytes

__all__ = ["BaseClient"]

_INBOX: Final = 64


class BaseClient(ABC):
    """A device by one of its connections, here or at another node; made by the manager.

    Attributes:
        data: What it says of itself: `uuid`, `type`, `data`, and `get()` for all three.
        address: From where it has dialled in: host and port.
        dialect: What it speaks.
        connected_at_utc: Since when it is known.
        info_bytes: What `data` held in memory when it connected.
    """

    def __init__(
        self,
        info: Info,
        *,
        address: tuple[str, int],
        dialect: Dialect,
        connected_at_utc: datetime,
        unacknowledged: Unacknowledged | None,
    ) -> None:
        self.data: Info = info
        self.address: tuple[str, int] = address
        self.dialect: Dialect = dialect
        self.connected_at_utc: datetime = connected_at_utc
        self._unacknowledged = unacknowledged
        self._ended: ConnectionEnd | None = None
        # At first: what is held by who is told that it is gone.
        self.info_bytes: int = held_bytes(info.data)
        self._channel = anyio.Lock()
        # Of the request that is under way, which no other connection can answer.
        self._requesting: anyio.CancelScope | None = None
        # One each: an answer to a request, an info, a sign of life.
        self._answers: ReplyTable[str, object] = ReplyTable(info.uuid)
        self._boxes: FanOut[Mailbox[bytes]] | None = None
        self._inbox: Mailbox[bytes] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.uuid} of type {self.type!r}>"

    @property
    def uuid(self) -> str:
        """Which device it is."""
        return self.data.uuid

    @property
    def type(self) -> str:
        """What it is."""
        return self.data.type

    @property
    @abstractmethod
    def node(self) -> str:
        """Which node it is connected to; nothing for this one."""

    @property
    def is_local(self) -> bool:
        """Whether it is connected to this manager, and to no other node of it."""
        return not self.node

    @property
    def is_connected(self) -> bool:
        """Whether this connection is open."""
        return self._ended is None

    def return_data(self) -> dict[str, object]:
        """Give what it says of itself as a plain dict, as `data.get()` does."""
        return self.data.get()

    # ------------------------------------------------------------ for its user

    async def send(self, data: bytes | str) -> None:
        """Send a message; text as UTF-8.

        In our own dialect it returns when the device has acknowledged it, and what was
        not acknowledged is sent again after the device has connected anew, at whichever
        node, as long as somebody waits here. In the others, which acknowledge nothing,
        it returns when the system's network has taken it, and nothing is sent twice.
        Cancelled, it may have arrived.

        Raises:
            UsageError: It is too long, or the device would obey it as a command.
            ConnectionEnd: The connection has ended, or in our own dialect the manager has;
                what was on its way may have arrived.
            FateUnknown: Of a device at another node: whether it has arrived is not known.
            LinkLost: Of a device at another node: there is no way to it at present.
        """
        # What the network takes at once waits for nothing, and others have a turn too.
        await anyio.lowlevel.checkpoint()
        await self._check_open()
        if self._unacknowledged is not None:
            await self._unacknowledged.wait_for_room()
        with self.sending(data) as arrival:
            if arrival is not None:
                await arrival()

    async def receive(self) -> bytes:
        """Wait for the next message; from the first call on they are kept for the next.

        Of 64 that nobody receives the oldest are dropped.

        Raises:
            ConnectionEnd: The connection has ended, and all that came was received.
        """
        if self._inbox is None:
            self._inbox = Mailbox(_INBOX, name=f"messages of {self.uuid}")
            if self._ended is not None:
                self._inbox.close(self._ended)
        async for data in self._inbox:
            return data
        raise ConnectionEnd("the connection has ended")

    async def request(self, data: bytes | str) -> bytes:
        """Send a message and wait for what the device sends next; one at a time.

        What it sends next is told to nobody else here. There is no deadline but the
        caller's and the end of the connection, behind which nothing is sent again.

        Raises:
            StructiotError: As `send`.
        """
        async with self._channel:
            await self._check_open()
            with self._answers.expect("answer") as answer:
                try:
                    with anyio.CancelScope() as self._requesting:
                        await self.send(data)
                finally:
                    self._requesting = None
                found = await answer.wait()
        assert isinstance(found, bytes)  # noqa: S101 - what `took` has put there
        return found

    @asynccontextmanager
    async def messages(self, *, max_items: int = 64) -> AsyncGenerator[Mailbox[bytes]]:
        """Iterate over what it sends, until its connection ends.

        Args:
            max_items: Messages that wait for a slow consumer; the oldest are dropped and
                counted (`.dropped`).
        """
        box = Mailbox[bytes](max_items, name=f"messages of {self.uuid}")
        if self._boxes is None:
            self._boxes = FanOut()
        if self._ended is not None:
            self._boxes.close()
        with self._boxes.listening(box):
            yield box

    @abstractmethod
    async def refresh_info(self) -> Info:
        """Ask anew who it is; `data` is what it says then."""

    @abstractmethod
    async def heartbeat(self) -> float:
        """Ask whether it is there; give how long it took to answer, in seconds."""

    @abstractmethod
    async def end(self, reason: str = "the manager has ended it") -> None:
        """Say goodbye and close the connection."""

    # ------------------------------------------------------------ for the manager

    @abstractmethod
    def sending(
        self, data: bytes | str
    ) -> AbstractContextManager[Callable[[], Awaitable[None]] | None]:
        """Send a message at once; what it yields waits for its arrival, if it has to.

        Raises:
            Overflowed: As many messages as may be are not acknowledged yet.
            StructiotError: As `send`.
        """

    @abstractmethod
    def resend(self) -> None:
        """Send again what was not acknowledged on an older connection."""

    def took(self, data: bytes) -> bool:
        """Take a message; tell whether it was the answer to a request."""
        if "answer" in self._answers:
            return self._answers.resolve("answer", data)
        for box in self._boxes or ():
            box.put(data)
        if self._inbox is not None:
            self._inbox.put(data)
        return False

    def end_now(self, reason: str) -> None:
        """End the connection, if it is this manager's, and take it that it has."""
        self.over(reason)

    def over(self, reason: str) -> None:
        """Take it that the connection has ended; the first reason stays."""
        if self._ended is None:
            self._ended = error = ConnectionEnd(
                f"the connection to {self.uuid} has ended: {reason}", reason=reason
            )
            self._answers.fail_all(error)
            if self._requesting is not None:
                self._requesting.cancel()
            if self._boxes is not None:
                self._boxes.close()
            if self._inbox is not None:
                self._inbox.close(error)

    async def _check_open(self) -> None:
        if self._ended is not None:
            # Who is cancelled together with the manager is not told that it has ended.
            await anyio.lowlevel.checkpoint_if_cancelled()
            raise copy(self._ended)

    @property
    def end_reason(self) -> str:
        """Why the connection has ended; nothing while it is open."""
        return self._ended.reason if self._ended is not None else ""
