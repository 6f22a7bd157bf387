"""One connection to a SEPL platform: requests by token, commands, deadlines.

One task reads, one writes, one watches the clock. The platform works on one request
after the other and reads nothing meanwhile, not even a ping (reference 1). So only the
oldest request that is not answered has a deadline; it begins when that of the one before
has ended, and as long as there is one a missing pong says nothing.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from random import Random
from typing import Final
from uuid import UUID

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from structiot._kit.flow.replies import ReplyTable
from structiot._kit.rare_lines import RareLines
from structiot._kit.text import error_text, printable
from structiot._kit.websocket import WebSocket
from structiot.connector.device import Device
from structiot.connector.errors import PlatformRefused
from structiot.connector.link.descriptions import sepl_description, sepl_hashes
from structiot.connector.platform import Incoming, PlatformResponse
from structiot.connector.wire.envelope import (
    OK,
    Frame,
    Handler,
    Hello,
    Welcome,
    read_frame,
    read_welcome,
    write_frame,
    write_hello,
)
from structiot.connector.wire.hashes import DeviceHashes
from structiot.connector.wire.parts import (
    event_payload,
    held_bytes,
    read_command,
    response_payload,
)
from structiot.errors import (
    AuthRefused,
    LinkLost,
    ProtocolViolation,
    ReplyTimeout,
    StructiotError,
    TransportError,
    UsageError,
)

__all__ = ["SeplSession", "not_offered"]

_HELLO_S: Final = 15.0
# The platform itself tries `clear` and `commit` for up to 30 s (reference 10).
_CHANGE_S: Final = 45.0
_REPLY_S: Final = 10.0
# After so long a silence it is asked whether it is there, and so long may it think.
_SILENCE_S: Final = 15.0
_PONG_S: Final = 15.0
# More than 5 refusals in a row have the platform hang up.
_REFUSALS_IN_A_ROW: Final = 4
_BAD_REQUEST: Final = 400
_DENIED: Final = frozenset({401, 403})

_log: Final = logging.getLogger("structiot.connector")


class SeplSession:
    """One connection; made by `SeplPlatform`.

    Args:
        websocket: The connection.
        on_command: Called for each command.
        random: For tokens.
    """

    def __init__(
        self,
        websocket: WebSocket,
        on_command: Callable[[Incoming], None],
        random: Random,
    ) -> None:
        self._websocket = websocket
        self._on_command = on_command
        self._random = random
        self._replies: ReplyTable[str, Frame] = ReplyTable("requests to a platform")
        # What was asked and not answered: how long that may take, and what it is.
        self._asked: dict[str, tuple[float, str]] = {}
        self._turn_began_at = 0.0
        self._pinged_at = 0.0
        self._frames: deque[str] = deque()
        self._to_write = anyio.Event()
        self._to_watch = anyio.Event()
        self._answered = anyio.Event()
        self._ended = anyio.Event()
        self._error: StructiotError | None = None
        self._committed = ""
        # Of which devices events are taken; and those of which it is known what the
        # platform has, as it was told.
        self._offered: set[str] = set()
        self._told = DeviceHashes()
        self._refusals = 0
        self._warnings = RareLines(_log, anyio.current_time)

    def start(self, tasks: TaskGroup) -> None:
        """Read, write and watch, in tasks that live as long as the connection."""
        for work in (self._read, self._write, self._watch):
            tasks.start_soon(work, name=f"structiot.connector {work.__name__[1:]}")

    def end(self, error: StructiotError) -> None:
        """Let it be over: the first error counts, and all who wait get it."""
        if self._error is None:
            self._error = error
            if not isinstance(error, TransportError):
                lost = LinkLost(f"the connection has ended: {error}", reason=str(error))
                lost.__cause__ = error
                error = lost
            self._replies.fail_all(error)
            self._answered.set()
            self._ended.set()

    async def wait_lost(self) -> None:
        """Wait for the end, and raise why."""
        await self._ended.wait()
        if self._error is not None:
            raise copy(self._error)

    # -- what is asked ---------------------------------------------------------------

    async def authenticate(self, hello: Hello) -> Welcome:
        """Say who we are.

        Raises:
            AuthRefused: The platform refuses that in words.
            PlatformRefused: It refuses for another reason.
            ProtocolViolation: Its answer is none.
            LinkLost: It hangs up.
        """
        answer = await self._ask(hello.token, write_hello(hello), _HELLO_S, "the hello")
        if answer.status != OK:
            words = _words(answer)
            if answer.status not in _DENIED:
                raise PlatformRefused(answer.status, words)
            message = f"the platform refuses the credentials: {words}"
            raise AuthRefused(message, account=hello.user, code=answer.status)
        welcome = read_welcome(answer)
        self._committed = welcome.hash
        return welcome

    def forget_committed(self) -> None:
        """What was committed is another gateway's: synchronise whatever it is."""
        self._committed = ""

    async def synchronise(
        self, devices: Sequence[Device]
    ) -> Mapping[str, PlatformRefused]:
        """Compare hashes; if they differ, clear, put each device and commit."""
        self._told = await sepl_hashes(devices)
        if self._committed == self._told.digest():
            self._offered = {device.id for device in devices}
            return {}
        await self._request(Handler.CLEAR, None, _CHANGE_S)
        self._committed, self._told = "", DeviceHashes()
        refused: dict[str, PlatformRefused] = {}
        for device in devices:
            try:
                await self.put(device)
            except PlatformRefused as exc:
                refused[device.id] = exc.with_traceback(None)
        await self.commit()
        return refused

    async def put(self, device: Device) -> None:
        """Add or change a device."""
        payload, digest = sepl_description(device)
        # Until it is answered nobody knows what the platform has.
        self._told.discard(device.id)
        await self._request(Handler.PUT, payload, _CHANGE_S)
        self._offered.add(device.id)
        self._told.put(device.id, digest)

    async def disconnect(self, device_id: str) -> None:
        """Take a device off the gateway."""
        await self._withdraw(Handler.DISCONNECT, device_id)

    async def delete(self, device_id: str) -> None:
        """Take a device off the platform."""
        await self._withdraw(Handler.DELETE, device_id)

    async def _withdraw(self, handler: Handler, device_id: str) -> None:
        await self._request(handler, device_id, _CHANGE_S)
        self._offered.discard(device_id)
        self._told.discard(device_id)

    async def commit(self) -> None:
        """Leave the hash of the devices, as they were told, with the platform."""
        committed = self._told.digest()
        await self._request(Handler.COMMIT, committed, _CHANGE_S)
        self._committed = committed

    async def event(
        self, device_id: str, service: str, data: str | None, metadata: str | None
    ) -> PlatformResponse:
        """Hand over a reading; what the platform is sure to refuse is not sent."""
        if device_id not in self._offered:
            await anyio.lowlevel.checkpoint()
            raise not_offered()
        payload = event_payload(device_id, service, data, metadata)
        answer = await self._request(Handler.EVENT, payload, _REPLY_S)
        return PlatformResponse(answer.status, answer.content_type, answer.payload)

    async def respond(
        self, incoming: Incoming, data: str | None, metadata: str | None
    ) -> None:
        """Answer a command."""
        payload = response_payload(incoming.raw, data, metadata)
        await self._request(Handler.RESPONSE, payload, _REPLY_S)

    async def fail(self, incoming: Incoming, text: str) -> None:
        """Answer a command by metadata that say what has failed."""
        await self.respond(incoming, "", f"error: {text}")

    async def _request(
        self, handler: Handler, payload: object, limit_s: float
    ) -> Frame:
        if handler is not Handler.COMMIT:
            await self._until_safe()
        token = str(UUID(int=self._random.getrandbits(128), version=4))
        try:
            text = write_frame(Frame(handler, token, payload))
        except UsageError as exc:
            raise PlatformRefused(_BAD_REQUEST, str(exc), was_sent=False) from None
        answer = await self._ask(token, text, limit_s, f"{handler}")
        if answer.status != OK:
            raise PlatformRefused(answer.status, _words(answer))
        return answer

    async def _until_safe(self) -> None:
        """Wait until the platform would not hang up if it refused all that is asked."""
        while (
            self._error is None
            and self._refusals + len(self._asked) >= _REFUSALS_IN_A_ROW
        ):
            if self._asked:
                await self._answered.wait()
                continue
            # A success ends the row.
            try:
                await self._request(Handler.COMMIT, self._committed, _CHANGE_S)
            except PlatformRefused:
                return

    async def _ask(self, token: str, text: str, limit_s: float, what: str) -> Frame:
        with self._replies.expect(token) as reply:
            if not self._asked:
                self._turn_began_at = anyio.current_time()
            self._asked[token] = (limit_s, what)
            self._frames.append(text)
            self._to_write.set()
            self._to_watch.set()
            return await reply.wait()

    # -- the connection's tasks --------------------------------------------------------

    async def _read(self) -> None:
        websocket = self._websocket
        try:
            while True:
                self._take(await websocket.receive())
        except anyio.EndOfStream:
            reason = f"{websocket.close_code} {websocket.close_reason}".strip()
            self.end(LinkLost(f"the platform has hung up: {reason}", reason=reason))
        except StructiotError as exc:
            self.end(exc.with_traceback(None))

    async def _write(self) -> None:
        try:
            while True:
                while self._frames:
                    await self._websocket.send(self._frames.popleft())
                self._to_write = anyio.Event()
                await self._to_write.wait()
        except LinkLost:
            # The reader finds out what the platform has said before, or the watch that
            # there is no answer.
            return

    async def _watch(self) -> None:
        websocket = self._websocket
        while self._error is None:
            now = anyio.current_time()
            if self._asked:
                limit_s, what = next(iter(self._asked.values()))
                due = self._turn_began_at + limit_s
                if now >= due:
                    message = f"the platform has not answered {what} in {limit_s:g} s"
                    self.end(ReplyTimeout(message, request=what, after_s=limit_s))
            elif websocket.heard_at < self._pinged_at:
                due = self._pinged_at + _PONG_S
                if now >= due:
                    silence = f"silent for {now - websocket.heard_at:.3g} s"
                    self.end(LinkLost(f"the platform is {silence}", reason=silence))
            else:
                due = websocket.heard_at + _SILENCE_S
                if now >= due:
                    await self._ping(now)
                    continue
            self._to_watch = anyio.Event()
            with anyio.CancelScope(deadline=due):
                await self._to_watch.wait()

    async def _ping(self, now: float) -> None:
        self._pinged_at = now
        try:
            with anyio.move_on_after(_PONG_S):
                await self._websocket.ping()
        except LinkLost as exc:
            self.end(exc.with_traceback(None))

    def _take(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            text = "the platform has sent a binary frame, which means nothing"
            self._warnings.say(text)
            return
        try:
            frame = read_frame(message)
            if frame.handler == Handler.COMMAND:
                self._take_command(frame, held_bytes(message.encode()))
                return
        except ProtocolViolation as exc:
            self._warnings.say("passed over from the platform: %s", error_text(exc))
            return
        if frame.handler != Handler.RESPONSE:
            text = "the platform has sent something of the handler %r, unknown here"
            self._warnings.say(text, frame.handler)
        elif self._asked.pop(frame.token, None) is None:
            text = "the platform has answered what was not asked, or twice: status %d"
            self._warnings.say(text, frame.status)
        else:
            self._turn_began_at = anyio.current_time()
            self._to_watch.set()
            self._refusals = 0 if frame.status == OK else self._refusals + 1
            self._answered.set()
            self._answered = anyio.Event()
            # Whoever asked may have been cancelled meanwhile.
            self._replies.resolve(frame.token, frame)

    def _take_command(self, frame: Frame, size_bytes: int) -> None:
        command = read_command(frame.payload)
        incoming = Incoming(
            device_id=command.device_id,
            service=command.service,
            parts=command.parts,
            raw=command.payload,
            size_bytes=size_bytes,
            received_at=anyio.current_time(),
        )
        self._on_command(incoming)


def not_offered() -> PlatformRefused:
    """Say that an event is of a device that the platform does not take any from."""
    text = "the gateway does not offer this device"
    return PlatformRefused(_BAD_REQUEST, text, was_sent=False)


def _words(answer: Frame) -> str:
    return printable(str(answer.payload or ""))
