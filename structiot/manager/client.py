"""One device that has dialled in here, as its user holds it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from copy import copy
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from structiot._kit.arguments import check_argument
from structiot._kit.net.client_stream import ClientStream
from structiot.errors import ReplyTimeout
from structiot.manager.base_client import BaseClient
from structiot.manager.errors import InvalidInfo
from structiot.manager.payloads import payload_of
from structiot.manager.unacknowledged import Unacknowledged, new_message_id
from structiot.manager.wire.dialects import Dialect
from structiot.manager.wire.info import Info
from structiot.manager.wire.sides import ServerSide

if TYPE_CHECKING:
    from structiot._kit.environment import Environment

__all__ = ["ManagerClient"]


class ManagerClient(BaseClient):
    """A device that is connected to this manager; made by it."""

    def __init__(
        self,
        stream: ClientStream,
        side: ServerSide,
        info: Info,
        *,
        address: tuple[str, int],
        dialect: Dialect,
        unacknowledged: Unacknowledged | None,
        reply_s: float,
        environment: Environment,
    ) -> None:
        super().__init__(
            info,
            address=address,
            dialect=dialect,
            connected_at_utc=environment.now_utc(),
            unacknowledged=unacknowledged,
        )
        self._stream = stream
        self._side = side
        self._reply_s = reply_s
        self._environment = environment
        self._asking = anyio.Lock()
        # Of other nodes: they end with the connection, and are theirs to send again.
        self._forwarded: Unacknowledged | None = None

    @property
    def node(self) -> str:
        """Which node it is connected to; nothing for this one."""
        return ""

    # ------------------------------------------------------------ for its user

    async def refresh_info(self) -> Info:
        """Ask anew who it is; `data` is what it says then.

        Raises:
            InvalidInfo: It says that it is another device, of another type, or nothing
                that makes sense; its connection is ended.
            ReplyTimeout: It says nothing in time.
            ConnectionEnd: The connection has ended.
        """
        found = await self._asked("info", self._side.ask_info)
        assert isinstance(found, Info)  # noqa: S101 - what `told_info` has put there
        return found

    async def heartbeat(self) -> float:
        """Ask whether it is there; give how long it took to answer, in seconds.

        Raises:
            ConnectionEnd: It has not answered in time, and its connection has been ended.
        """
        begun = anyio.current_time()
        try:
            await self._asked("alive", self._side.ask_alive)
        except ReplyTimeout:
            await self.end("it did not answer a heartbeat")
            await self._check_open()
        return anyio.current_time() - begun

    async def end(self, reason: str = "the manager has ended it") -> None:
        """Say goodbye and close the connection, in bounded time.

        Raises:
            UsageError: The reason is no text.
        """
        check_argument("reason", reason, str)
        self.end_now(reason)
        await anyio.lowlevel.checkpoint()

    # ------------------------------------------------------------ for the manager

    @contextmanager
    def sending(
        self, data: bytes | str, forwarded_id: int = 0
    ) -> Generator[Callable[[], Awaitable[None]] | None]:
        """Send a message at once; what it yields waits for its arrival, if it has to.

        Args:
            data: The message; text as UTF-8.
            forwarded_id: By which id another node sends it, which also sends it again.

        Raises:
            Overflowed: As many messages as may be are not acknowledged yet.
            StructiotError: As `send`.
        """
        payload = payload_of(data)
        if self._ended is not None:
            raise copy(self._ended)
        if self._unacknowledged is None:
            is_taken = self.say(self._side.write(payload))
            yield None if is_taken else self._drained
            return
        waiting = self._unacknowledged
        if forwarded_id:
            if self._forwarded is None:
                self._forwarded = Unacknowledged()
            waiting = self._forwarded
        message_id = forwarded_id or new_message_id(self._environment.random)
        frame = self._side.write(payload, message_id)
        with waiting.under_way(message_id, payload) as reply:
            self.say(frame)
            yield reply.wait

    def is_forwarding(self, message_id: int) -> bool:
        """Whether a message of another node is on its way already."""
        return self._forwarded is not None and message_id in self._forwarded

    def say(self, frame: bytes) -> bool:
        """Write something without waiting; tell whether all was taken at once."""
        self._stream.out += frame
        return self._stream.flush()

    def end_now(self, reason: str) -> None:
        """Say goodbye without waiting."""
        if self._ended is None:
            self.over(reason)
            self._stream.out += self._side.say_goodbye(reason)
            self._stream.end()

    def ask_alive(self) -> None:
        """Ask whether it is there, without waiting."""
        self.say(self._side.ask_alive())

    def told_info(self, info: Info) -> None:
        """Take an info that was asked for anew.

        Raises:
            InvalidInfo: It is another device's, or one's of another type.
        """
        if info.uuid != self.uuid or info.type != self.type:
            other = info.uuid if info.uuid != self.uuid else f"of type {info.type!r}"
            error = InvalidInfo(f"{self.uuid} says now that it is {other}")
            self.fail_info(error)
            raise error
        self.data = info
        if "info" in self._answers:
            self._answers.resolve("info", info)

    def fail_info(self, error: InvalidInfo) -> None:
        """What was told for an info is none."""
        self._answers.fail("info", error)

    def acknowledged(self, message_id: int) -> None:
        """A message has arrived."""
        if self.is_forwarding(message_id) and self._forwarded is not None:
            self._forwarded.acknowledged(message_id)
        elif self._unacknowledged is not None:
            self._unacknowledged.acknowledged(message_id)

    def is_alive(self) -> None:
        """Take it that it is there."""
        if "alive" in self._answers:
            self._answers.resolve("alive", True)  # noqa: FBT003

    def over(self, reason: str) -> None:
        """Take it that the connection has ended; the first reason stays."""
        super().over(reason)
        if self._forwarded is not None and self._ended is not None:
            self._forwarded.fail_all(self._ended)

    def resend(self) -> None:
        """Send again what was not acknowledged on an older connection."""
        waiting = self._unacknowledged.messages if self._unacknowledged else ()
        for message_id, payload in waiting:
            self._stream.out += self._side.write(payload, message_id)
        self._stream.flush()

    # ------------------------------------------------------------ inside

    async def _drained(self) -> None:
        stream = self._stream
        while self._ended is None and not stream.is_drained:
            await stream.progress()
        await self._check_open()

    async def _asked(self, what: str, question: Callable[[], bytes]) -> object:
        async with self._asking:
            await self._check_open()
            patience_s = self._reply_s
            with self._answers.expect(what) as answer:
                with anyio.move_on_after(patience_s):
                    self.say(question())
                    return await answer.wait()
        message = f"{self.uuid} has not answered within {patience_s:g} s"
        raise ReplyTimeout(message, request=what, after_s=patience_s)
