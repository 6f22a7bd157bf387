"""Keeps a connection to the platform, and what outlives each single one."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random
from typing import Final, TypeAlias

import anyio
import anyio.lowlevel

from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.flow.reconnecting import Reconnecting
from structiot._kit.flow.tasks import service_group
from structiot._kit.rare_lines import RareLines
from structiot._kit.text import counted, error_text, printable
from structiot.connector.command import Command
from structiot.connector.errors import PlatformRefused
from structiot.connector.offered import OfferedDevices
from structiot.connector.outbox import Outbox, Outgoing, event_name
from structiot.connector.platform import Incoming, Platform, Session
from structiot.connector.states import (
    Authenticating,
    Connecting,
    Ended,
    Ready,
    States,
    Synchronising,
    Waiting,
)
from structiot.errors import AuthRefused, StructiotError, TransportError

__all__ = ["PlatformLink"]

_Answer: TypeAlias = Callable[[Session], Awaitable[None]]

_COMMANDS: Final = 256
_COMMANDS_BYTES: Final = 16_777_216
# Of as many devices events are under way at once.
_EVENTS_AT_ONCE: Final = 8
_ANSWER_S: Final = 10.0
# A silent refusal may be a platform that is just going down: not three times.
_MOST_REFUSALS: Final = 3

_log: Final = logging.getLogger("structiot.connector")


class PlatformLink(Reconnecting):
    """The connection to a platform, and what outlives each single one.

    Args:
        platform: Makes connections.
        offered: The devices.
        outbox: Events to be sent.
        random: For waiting times.

    Attributes:
        states: What it is doing.
        commands: What the platform has asked, for whoever takes it.
        offered: As given.
        outbox: As given.
        unanswered: How many answers to commands have not reached the platform.
    """

    def __init__(
        self,
        platform: Platform,
        offered: OfferedDevices,
        outbox: Outbox,
        random: Random,
    ) -> None:
        super().__init__(platform.backoff, random)
        self.states: States = States()
        self.commands: Mailbox[Command] = Mailbox(
            _COMMANDS,
            policy="drop_newest",
            name=f"commands of {platform.name}",
            max_bytes=_COMMANDS_BYTES,
            size_of=lambda command: command.size_bytes,
        )
        self.unanswered: int = 0
        self.offered: OfferedDevices = offered
        self.outbox: Outbox = outbox
        self._platform = platform
        # While it is authenticated; and while it is synchronised, too.
        self._open: Session | None = None
        self._ready: Session | None = None
        self._is_starting = True
        # In a row, before we were let in and after that.
        self._refusals: Counter[bool] = Counter()
        self._told = ""
        self._warnings = RareLines(_log, anyio.current_time)

    def __repr__(self) -> str:
        return f"<link to the {self._platform.name}>"

    @property
    def is_ready(self) -> bool:
        """Whether events are taken and changes passed on at once."""
        return self._ready is not None

    @property
    def is_starting(self) -> bool:
        """Whether the first attempt to connect is under way, or has not even begun."""
        return self._is_starting

    @property
    def gid(self) -> str:
        """The gateway that we are at the platform."""
        return self._platform.gid

    # -- one connection ------------------------------------------------------------

    async def run_connection(self) -> None:
        """Connect, synchronise, and serve until the connection ends."""
        self.states.tell(Connecting())
        is_let_in = False
        try:
            async with self._platform.session(
                self._on_command, lambda: self.states.tell(Authenticating())
            ) as session:
                is_let_in = True
                try:
                    await self._serve(session)
                finally:
                    # Who waits need not wait for the goodbye as well.
                    self._disconnected()
        except AuthRefused:
            self._refusals[is_let_in] += 1
            raise
        finally:
            self._disconnected()

    async def _serve(self, session: Session) -> None:
        self._refusals[False] = 0
        self._open = session
        self._wake()
        self.states.tell(Synchronising())
        await self.offered.synchronise(session)
        self._refusals[True] = 0
        self._told = ""
        self._ready, self._is_starting = session, False
        self.connected()
        self.states.tell(Ready())
        devices = counted(len(self.offered), "device")
        _log.info("%s: %s offered", self._platform.name, devices)
        async with service_group() as tg:
            for _ in range(_EVENTS_AT_ONCE):
                tg.start_soon(self._send_events, session)
            tg.start_soon(self.offered.keep_settled, session)
            await session.wait_lost()

    def _disconnected(self) -> None:
        self._open = self._ready = None
        self._is_starting = False
        self.offered.disconnected()
        self.outbox.release()

    def is_final(self, error: StructiotError) -> bool:
        """Whether another attempt could not help; what was said without a word may pass."""
        if isinstance(error, AuthRefused) and error.code is None:
            return max(self._refusals.values()) >= _MOST_REFUSALS
        return super().is_final(error)

    def lost(self, error: StructiotError, retry_in_s: float | None) -> None:
        """Say it, in the log and as a state."""
        if retry_in_s is None:
            return
        reason = error_text(error)
        level = logging.WARNING if self.is_news(error) else logging.INFO
        where = self._platform.name
        _log.log(level, "%s: %s; tried again in %.3g s", where, reason, retry_in_s)
        self.states.tell(Waiting(error, anyio.current_time() + retry_in_s))

    def end(self, error: StructiotError) -> None:
        """There will be no connection any more; whoever waits for one gets this error."""
        super().end(error)
        self._disconnected()
        self.commands.close()
        self.states.tell(Ended(error))

    async def check_event(self, device_id: str, service: str) -> None:
        """Look whether an event may be kept, while it cannot be sent.

        Raises:
            PlatformRefused: The platform would refuse it, as far as that can be told.
        """
        if self.is_ready:
            return
        offered = self.offered
        if offered.get(device_id) is None:
            # It may have been given to the device manager alone.
            await offered.read()
        try:
            self._platform.check_event(
                device_id,
                service,
                is_held=offered.get(device_id) is not None,
                was_held=device_id in offered.known,
            )
        except PlatformRefused as exc:
            raise exc.named(event_name(device_id, service)) from None

    # -- commands and events ---------------------------------------------------------

    def _on_command(self, incoming: Incoming) -> None:
        device = self.offered.get(incoming.device_id)
        self.commands.put(Command(incoming, device, self))

    async def respond(
        self, incoming: Incoming, data: str | None, metadata: str | None
    ) -> bool:
        """Answer a command by whichever connection there is within 10 s."""
        return await self._answer(
            incoming, lambda session: session.respond(incoming, data, metadata)
        )

    async def fail(self, incoming: Incoming, text: str) -> bool:
        """Say of a command that it has failed, in the same way."""
        return await self._answer(
            incoming, lambda session: session.fail(incoming, text)
        )

    async def _answer(self, incoming: Incoming, answer: _Answer) -> bool:
        deadline = anyio.current_time() + _ANSWER_S
        reason = f"no connection in {_ANSWER_S:g} s"
        session: Session | None = None
        self.unanswered += 1
        try:
            while session := await self._next_session(session, deadline):
                # Who has an answer twice knows by its task that it is one.
                with suppress(TransportError):
                    await answer(session)
                    self.unanswered -= 1
                    return True
        except StructiotError as exc:
            reason = error_text(exc)
        named = printable(incoming.device_id)
        text = "a command for %s has not had its answer: %s"
        self._warnings.say(text, named, reason)
        return False

    async def _next_session(
        self, before: Session | None, deadline: float
    ) -> Session | None:
        """Wait for a session that is open, and another one than before."""
        with anyio.CancelScope(deadline=deadline):
            await self.until(lambda: self._open not in {None, before})
        return None if self._open is before else self._open

    async def _send_events(self, session: Session) -> None:
        outbox = self.outbox
        while True:
            event = await outbox.take()
            if self._ready is not session:
                outbox.put_back(event, was_sent=False)
                return
            try:
                await self._send_event(session, event)
            except TransportError:
                # The session tells it to who waits for its end.
                self._ready = None
                outbox.put_back(event)
                return
            except BaseException:
                outbox.put_back(event)
                raise
            outbox.settle(event)

    async def _send_event(self, session: Session, event: Outgoing) -> None:
        try:
            event.response = await session.event(
                event.device_id, event.service, event.data, event.metadata
            )
        except PlatformRefused as exc:
            event.refusal = refusal = exc.named(event.name)
            if not event.is_awaited:
                text = "an event that was kept is refused: %s"
                self._warnings.say(text, error_text(refusal))
