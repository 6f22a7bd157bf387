"""Dials in to a manager, says who the device is, and stays connected."""

from __future__ import annotations

import contextlib
import logging
import math
import secrets
import ssl
from typing import Final

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream

from structiot._kit.environment import Environment
from structiot._kit.flow.backoff import Backoff
from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.flow.reconnecting import Reconnecting
from structiot._kit.net.network import LOST, reason_of
from structiot._kit.net.tls import start_tls
from structiot._kit.text import error_text
from structiot.errors import (
    AuthRefused,
    ConnectFailed,
    LinkLost,
    StructiotError,
)
from structiot.manager.errors import ConnectionEnd
from structiot.manager.unacknowledged import SeenMessages, Unacknowledged
from structiot.manager.wire.detection import ENOUGH_BYTES, check_spoken, detect
from structiot.manager.wire.dialects import Dialect
from structiot.manager.wire.events import (
    Acknowledged,
    AliveAsked,
    Data,
    Event,
    InfoAsked,
    Left,
    Welcomed,
)
from structiot.manager.wire.info import Info
from structiot.manager.wire.native import NONCE_BYTES, NativeDevice
from structiot.manager.wire.sides import DeviceSide, device_side

__all__ = ["DiallingIn"]

# Commands of a byte or two: so many are parsed at once, and taken in portions.
_READ_BYTES: Final = 16_384
_EVENTS_A_TURN: Final = 256
_QUIET_S: Final = 0.1
_MOMENT_S: Final = 0.25
_CONNECT_S: Final = 15.0
# From a connection until the manager knows who we are.
_TAKEN_S: Final = 30.0
# A server that has said goodbye may have another device of this UUID.
_AFTER_GOODBYE_S: Final = 30.0
_STALL_S: Final = 15.0

_log: Final = logging.getLogger("structiot.manager.client")


class _Goodbye(LinkLost):
    """The manager has ended the connection by its own will."""


class DiallingIn(Reconnecting):
    """Keeps a device's connection to a manager.

    Attributes:
        dialect: What is spoken; None until the first connection where it is detected.
        info: Who the device says that it is.
        inbox: What the manager has sent.
    """

    def __init__(
        self,
        host: str,
        port: int,
        info: Info,
        *,
        dialect: Dialect | None,
        secret: bytes | None,
        ssl_context: ssl.SSLContext | None,
        heartbeat_s: float,
        max_items: int,
        environment: Environment,
    ) -> None:
        super().__init__(Backoff(), environment.random)
        self.dialect: Dialect | None = dialect
        self.info: Info = info
        self.inbox: Mailbox[bytes] = Mailbox(
            max_items, name=f"messages for {info.uuid}"
        )
        self.unacknowledged: Unacknowledged = Unacknowledged()
        self.side: DeviceSide | None = None
        self._host, self._port = host, port
        self._given = dialect
        self._secret = secret
        self._ssl_context = ssl_context
        self._heartbeat_s = heartbeat_s
        self._environment = environment
        self._seen = SeenMessages(1)
        self._stream: ByteStream | None = None
        self._is_taken = False
        self._writing = anyio.Lock()
        self._goodbyes = 0
        self._introduction = anyio.CancelScope()

    def __repr__(self) -> str:
        return f"<{self.info.uuid} at {self._host}:{self._port}>"

    @property
    def is_connected(self) -> bool:
        """Whether the manager knows who we are, and is there."""
        return self._is_taken

    async def write(self, frame: bytes) -> None:
        """Write something to the present connection.

        Raises:
            ConnectionEnd: There is none, or it has ended meanwhile.
        """
        # When its turn comes there may be another connection, which begins with other words.
        stream = self._stream
        if stream is None:
            raise ConnectionEnd("there is no connection")
        stalled = ConnectionEnd(f"the manager has taken nothing for {_STALL_S:g} s")
        try:
            async with self._writing:
                await anyio.lowlevel.checkpoint_if_cancelled()
                if stream is not self._stream:
                    raise ConnectionEnd("the connection has ended meanwhile")
                with anyio.move_on_after(_STALL_S):
                    try:
                        await stream.send(frame)
                    except anyio.get_cancelled_exc_class():
                        # Half a frame may be there: nothing can be said behind it.
                        if self._stream is stream:
                            self.drop(stalled)
                        raise
                    return
        except anyio.ClosedResourceError:
            # By us: its number is nobody's any more, and says nothing.
            raise ConnectionEnd("the connection has ended meanwhile") from None
        except LOST as exc:
            raise ConnectionEnd(reason_of(exc) or "the manager has hung up") from exc
        raise stalled

    async def write_if_connected(self, frame: bytes) -> None:
        """Write something that is written again after each new connection anyhow."""
        with contextlib.suppress(ConnectionEnd):
            await self.write(frame)

    # ------------------------------------------------------------ the connection

    async def run_connection(self) -> None:
        """Connect, say who we are, and listen."""
        async with await self._connect() as stream:
            self._stream = stream
            deadline = anyio.current_time() + _TAKEN_S
            try:
                with anyio.CancelScope(deadline=deadline) as self._introduction:
                    await self._listen(stream, *await self._begin(stream))
            finally:
                self._stream = self.side = None
                self._is_taken = False
        raise LinkLost(f"the manager has not taken the device within {_TAKEN_S:g} s")

    def lost(self, error: StructiotError, retry_in_s: float | None) -> None:
        """Say it in the log, unless the block ends with it; who waits to send waits on."""
        if retry_in_s is None:
            return
        reason = error_text(error)
        is_news = self.is_news(error, is_said=isinstance(error, _Goodbye))
        level = logging.WARNING if is_news else logging.INFO
        _log.log(level, "%r: %s; tried again in %.3g s", self, reason, retry_in_s)

    def end(self, error: StructiotError) -> None:
        """There will be no connection any more; whoever waits for one gets this error."""
        super().end(error)
        self.unacknowledged.fail_all(error)

    def delay_after(self, error: StructiotError) -> float | None:
        """Wait longer if the manager has said goodbye: another device may be us."""
        delay_s = super().delay_after(error)
        if delay_s is None or not isinstance(error, _Goodbye):
            self._goodbyes = 0
            return delay_s
        self._goodbyes += 1
        return max(delay_s, _AFTER_GOODBYE_S * 2.0 ** min(self._goodbyes - 1, 5))

    async def _connect(self) -> ByteStream:
        host, port = self._host, self._port
        with anyio.move_on_after(_CONNECT_S):
            stream = await self._environment.network.connect_tcp(host, port)
            if self._ssl_context is None:
                return stream
            return await start_tls(stream, self._ssl_context, host=host, port=port)
        message = f"no connection to {host}:{port} within {_CONNECT_S:g} s"
        raise ConnectFailed(message, host=host, port=port)

    async def _begin(self, stream: ByteStream) -> tuple[DeviceSide, bytes]:
        """Find out what is spoken; give what has come already."""
        first = b""
        dialect = self._given
        if dialect is None:
            first = await self._receive(stream, _CONNECT_S)
            while len(first) < ENOUGH_BYTES:
                with anyio.move_on_after(_QUIET_S) as patience:
                    first += await self._receive(stream, _CONNECT_S)
                if patience.cancelled_caught:
                    break
            dialect = detect(first)
        if self._secret is not None and dialect is not Dialect.STRUCTIOT:
            message = (
                f"the manager speaks {dialect}, in which it cannot prove that it "
                "knows the secret"
            )
            raise AuthRefused(message)
        self.dialect = dialect
        nonce = secrets.token_bytes(NONCE_BYTES)
        return device_side(dialect, nonce, secret=self._secret), first

    async def _listen(self, stream: ByteStream, side: DeviceSide, data: bytes) -> None:
        self.side, silence_s = side, 2 * self._heartbeat_s + 15
        if self._given is not None:
            data = await self._receive(stream, silence_s)
            check_spoken(data, self._given)
        while True:
            events = side.feed(data) if data else side.let_go()
            for number, event in enumerate(events, 1):
                if number % _EVENTS_A_TURN == 0:
                    await anyio.lowlevel.checkpoint()
                silence_s = await self._take(event, side) or silence_s
            data = b""
            if side.holds:
                with anyio.move_on_after(_MOMENT_S):
                    data = await self._receive(stream, silence_s)
            else:
                data = await self._receive(stream, silence_s)

    async def _receive(self, stream: ByteStream, most_s: float) -> bytes:
        try:
            with anyio.move_on_after(most_s):
                return await stream.receive(_READ_BYTES)
        except LOST as exc:
            if isinstance(exc.__cause__, AuthRefused):
                # In TLS 1.3 a certificate is refused after the handshake.
                raise exc.__cause__ from exc
            raise LinkLost(reason_of(exc) or "the manager has hung up") from exc
        raise LinkLost(f"the manager has said nothing for {most_s:g} s")

    async def _take(self, event: Event, side: DeviceSide) -> float | None:
        """Take what the manager says; give how long it may be silent, if that is new."""
        match event:
            case InfoAsked():
                await self.write(side.tell_info(self.info))
                if not isinstance(side, NativeDevice):
                    self._taken()
            case Welcomed(heartbeat_s):
                await self._resend(side)
                self._taken()
                return 2.0 * heartbeat_s + 15
            case AliveAsked():
                await self.write(side.say_alive())
            case Data():
                await self._took(event, side)
            case Acknowledged(message_id):
                self.unacknowledged.acknowledged(message_id)
            case Left(reason):
                raise _Goodbye(reason or "the manager has said goodbye")
        return None

    async def _took(self, message: Data, side: DeviceSide) -> None:
        message_id = message.message_id
        if not message_id or self._seen.is_new("", message_id):
            self.inbox.put(message.data)
        if message_id and isinstance(side, NativeDevice):
            await self.write(side.acknowledge(message_id))

    async def _resend(self, side: DeviceSide) -> None:
        """Write what is not acknowledged, and what comes to that meanwhile."""
        written: set[int] = set()
        while rest := [
            one for one in self.unacknowledged.messages if one[0] not in written
        ]:
            for message_id, payload in rest:
                await self.write(side.write(payload, message_id))
                written.add(message_id)

    def _taken(self) -> None:
        if not self._is_taken:
            self._is_taken = True
            self._introduction.deadline = math.inf
            self.connected()
            _log.info("%r: connected", self)
