"""One connection to the SEPL platform, from its HTTP request to its end.

    upgrade --> handshake --> messages, strictly one after the other --> closed

The reading task does what a message asks for before it reads on, so that pings go
unanswered meanwhile. Commands and late answers are written by others. It ends when the
client goes, says nothing for 40 s, does not log in, or has made too many errors in a row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

import anyio
from anyio.abc import ByteStream

from structiot._kit.flow.tasks import service_group
from structiot._kit.json_text import parse_object
from structiot._kit.net.network import LOST, reason_of
from structiot._kit.text import error_text
from structiot._kit.websocket import Origins, WebSocket, accept_websocket
from structiot.errors import ProtocolViolation, StructiotError
from structiot.sim.connector.sepl_records import SeplMessage
from structiot.sim.connector.sepl_session import Refused, SeplSession, log_in
from structiot.sim.connector.sepl_wire import SeplWire
from structiot.sim.connector.sepl_writer import SeplWriter
from structiot.sim.shared.faults import Fault, FaultKind, framed

if TYPE_CHECKING:
    from structiot.sim.connector.sepl import SeplPlatformSim

__all__ = ["SeplConnection"]

READ_LIMIT_S: Final = 40.0
PING_S: Final = 20.0
MOST_BUSY_S: Final = 30.0
MOST_ERRORS: Final = 5
_MOST_BYTES: Final = 1024 * 1024
_SLOW: Final = frozenset({"clear", "commit"})
_ANYBODY: Final = Origins(["*"])
_UNAVAILABLE: Final = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"

_Object: TypeAlias = Mapping[str, Any]


@final
class SeplConnection:
    """One connection; made by the platform.

    Attributes:
        number: Which one, the first being 1.
        wire: What is below its websocket.
        writer: Writes to the client, once there is a websocket.
        session: What it is after its handshake.
    """

    def __init__(
        self, platform: SeplPlatformSim, number: int, stream: ByteStream
    ) -> None:
        self.number: int = number
        self.wire: SeplWire = SeplWire(stream, platform.frost)
        self.writer: SeplWriter | None = None
        self.session: SeplSession | None = None
        self._platform = platform
        self._faults = platform.faults
        self._counts: Counter[str] = Counter()
        self._errors = 0

    async def run(self) -> str:
        """Serve the client; say why it is over."""
        try:
            return await self._run()
        except anyio.EndOfStream:
            return "closed by the client"
        except (StructiotError, *LOST) as exc:
            if self.wire.is_broken_off:
                return "broken off by the platform"
            is_ours = isinstance(exc, StructiotError)
            return error_text(exc) if is_ours else reason_of(exc)

    async def _run(self) -> str:
        fault = self._faults.take({"upgrade"}, needs_word=True)
        if fault is not None and fault.kind is not FaultKind.DELAY:
            return await self._refuse_upgrade(fault)
        await anyio.sleep(self._faults.delay_for(fault))
        websocket = None
        with anyio.move_on_after(READ_LIMIT_S):
            websocket = await accept_websocket(
                self.wire, origins=_ANYBODY, max_message_bytes=_MOST_BYTES
            )
        if websocket is None:
            return "it asks for no websocket"
        async with service_group() as tasks:
            writer = SeplWriter(self.wire, websocket, self._faults, tasks)
            self.writer = writer
            tasks.start_soon(self._ping, websocket, writer)
            return await self._converse(websocket, writer)

    async def _refuse_upgrade(self, fault: Fault) -> str:
        match fault.kind:
            case FaultKind.DROP:
                while True:
                    await self.wire.receive()
            case FaultKind.REFUSE:
                await self.wire.send(_UNAVAILABLE)
            case FaultKind.FRAME:
                await self.wire.send(framed(fault, b"", bytes))
        return "refused a websocket"

    async def _ping(self, websocket: WebSocket, writer: SeplWriter) -> None:
        """Ping until the client does so itself."""
        while True:
            await anyio.sleep(PING_S)
            if websocket.pings:
                return
            if not self._faults.is_silent:
                await writer.ping()

    async def _converse(self, websocket: WebSocket, writer: SeplWriter) -> str:
        begun_at = anyio.current_time()
        while self.session is None:
            # Pongs are no reason to wait longer for it.
            text = None
            with anyio.CancelScope(deadline=begun_at + READ_LIMIT_S):
                text = await self._next(websocket)
            if text is None or not await self._log_in(writer, text):
                await writer.close()
                return "does not say who it is" if text is None else "refused"
        while (text := await self._next(websocket)) is not None:
            await self._take(self.session, writer, text)
            if self._errors > MOST_ERRORS:
                why = "too many consecutive errors"
                await writer.close(reason=why)
                return why
        await writer.close()
        return f"silent for {READ_LIMIT_S:g} s"

    async def _next(self, websocket: WebSocket) -> str | None:
        """Wait for a text, and pass over what is none; None after too long a silence."""
        since = anyio.current_time()
        while True:
            deadline = max(since, websocket.heard_at) + READ_LIMIT_S
            with anyio.CancelScope(deadline=deadline) as patience:
                message = await websocket.receive()
                if isinstance(message, str):
                    return message
            if not patience.cancelled_caught:
                continue
            before = anyio.current_time()
            await self._platform.frost.wait()
            if (now := anyio.current_time()) > before:
                since = now
            elif websocket.heard_at + READ_LIMIT_S <= now:
                return None

    async def _log_in(self, writer: SeplWriter, text: str) -> bool:
        """Answer a handshake; False if it is refused, of which there is no word."""
        fault = self._faults.take({"handshake"})
        kind = None if fault is None else fault.kind
        try:
            asked = parse_object(text.encode(), "a handshake")
        except ProtocolViolation:
            return False
        record = self._record("handshake", asked.get("token"), _without_secret(asked))
        if kind is FaultKind.DROP:
            return True
        if kind is FaultKind.HANG_UP:
            await writer.hang_up()
        if kind is not FaultKind.REFUSE:
            self.session = log_in(self._platform, self.number, asked)
        if self.session is None:
            return False
        self._platform.note(self, "connected", is_end=False)
        gateway = self.session.gateway
        payload = {"gid": gateway.id, "hash": gateway.hash}
        await self._answer(writer, fault, record, 200, payload)
        return True

    async def _take(self, session: SeplSession, writer: SeplWriter, text: str) -> None:
        """Do what one message asks for, and answer."""
        asked = _read_message(text)
        if asked is None:
            fault = self._faults.take({"unreadable"})
            record = self._record("", "", text[:1000])
            for _ in range(2 if self._platform.strict_legacy else 1):
                await self._answer(writer, fault, record, 400, "no message")
            return
        handler, payload = asked["handler"], asked.get("payload")
        record = self._record(handler, asked["token"], payload)
        self._counts[handler] += 1
        words = {handler, f"{handler}{self._counts[handler]}", *_uris(payload)}
        fault = self._faults.take(words)
        kind = None if fault is None else fault.kind
        if kind in {FaultKind.DROP, FaultKind.HANG_UP}:
            self._platform.records.tell(record)
            if kind is FaultKind.HANG_UP:
                await writer.hang_up()
            return
        if kind is FaultKind.REFUSE:
            status, said = self._faults.refusal_status, self._faults.refusal_text
        else:
            status, said = await self._carry_out(session, handler, payload)
        await self._answer(writer, fault, record, status, said)

    async def _carry_out(
        self, session: SeplSession, handler: str, payload: object
    ) -> tuple[int, str]:
        busy_s = self._platform.busy_s if handler in _SLOW else 0.0
        await anyio.sleep(min(busy_s, MOST_BUSY_S))
        if busy_s > MOST_BUSY_S:
            return 500, "the platform is busy"
        try:
            session.handle(handler, payload)
        except Refused as exc:
            return exc.status, exc.text
        return 200, "ok"

    def _record(self, handler: str, token: object, payload: object) -> SeplMessage:
        record = SeplMessage(
            connection=self.number,
            handler=handler,
            token=token if isinstance(token, str) else "",
            payload=payload,
            at_utc=self._platform.environment.now_utc(),
        )
        self._platform.records.messages.append(record)
        return record

    async def _answer(
        self,
        writer: SeplWriter,
        fault: Fault | None,
        record: SeplMessage,
        status: int,
        payload: object,
    ) -> None:
        self._errors = 0 if status == 200 else self._errors + 1
        if fault is None or fault.kind is not FaultKind.LOSE_REPLY:
            record.status = status
        self._platform.records.tell(record)
        answer = {
            "status": status,
            "handler": "response",
            "token": record.token,
            "content_type": "string" if isinstance(payload, str) else "map",
            "payload": payload,
        }
        await writer.say(fault, answer)

    async def command(self, payload: _Object) -> None:
        """Send a command; a fault may take it.

        Raises:
            LinkLost: The client is gone, or takes nothing.
        """
        words = {"command", payload["device_url"], payload["service_url"]}
        fault = self._faults.take(words, needs_word=True)
        is_lost = fault is not None and fault.kind is FaultKind.DROP
        if self.writer is None or is_lost:
            return
        command = {
            "status": 0,
            "handler": "command",
            "token": "",
            "content_type": "map",
            "payload": payload,
        }
        await self.writer.say(fault, command)


def _read_message(text: str) -> dict[str, Any] | None:
    """Read an envelope, its handler and token being texts; None if it is none."""
    try:
        asked = parse_object(text.encode(), "a message")
    except ProtocolViolation:
        return None
    asked.setdefault("handler", "")
    asked.setdefault("token", "")
    are_texts = all(isinstance(asked[name], str) for name in ("handler", "token"))
    return asked if are_texts else None


def _without_secret(asked: _Object) -> dict[str, Any]:
    return {**asked, "pw": "***"} if "pw" in asked else dict(asked)


def _uris(payload: object) -> Collection[str]:
    """Give the device that a message is about, for faults meant for it."""
    if isinstance(payload, dict):
        named = [payload.get(n) for n in ("uri", "device_uri", "device_url")]
        return [one for one in named if isinstance(one, str)]
    return [payload] if isinstance(payload, str) else []
