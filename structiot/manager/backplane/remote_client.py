"""A device that is connected to another node of the manager."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from copy import copy
from datetime import UTC, datetime
from functools import partial

import anyio

from structiot._kit.arguments import check_argument
from structiot.errors import Overflowed
from structiot.manager.backplane.forwarding import Forwarding
from structiot.manager.base_client import BaseClient
from structiot.manager.payloads import payload_of
from structiot.manager.wire.dialects import Dialect
from structiot.manager.wire.envelopes import Errand, Member
from structiot.manager.wire.info import Info
from structiot.manager.wire.sides import server_side

__all__ = ["RemoteClient"]


class RemoteClient(BaseClient):
    """A device that is connected to another node; made by the backplane.

    Attributes:
        turn: Which of its connections this is; the newer has the higher one.
    """

    def __init__(self, node: str, member: Member, forwarding: Forwarding) -> None:
        is_own = member.dialect is Dialect.STRUCTIOT
        super().__init__(
            member.info,
            address=member.address,
            dialect=member.dialect,
            connected_at_utc=datetime.fromtimestamp(member.turn / 1000, UTC),
            unacknowledged=(
                forwarding.exchanges.waiting_for(member.info.uuid) if is_own else None
            ),
        )
        self.turn: int = member.turn
        self._node = node
        self._forwarding = forwarding

    @property
    def node(self) -> str:
        """Which node it is connected to."""
        return self._node

    async def refresh_info(self) -> Info:
        """Have its node ask anew who it is; `data` is what it says then.

        Raises:
            FateUnknown: It has not answered, or its node does not tell.
            ConnectionEnd: It is not connected there any more.
            LinkLost: There is no way to its node at present.
        """
        await self._ask(Errand.INFO)
        return self.data

    async def heartbeat(self) -> float:
        """Have its node ask whether it is there; give how long that took, in seconds.

        Raises:
            StructiotError: As `refresh_info`.
        """
        begun = anyio.current_time()
        await self._ask(Errand.ALIVE)
        return anyio.current_time() - begun

    async def end(self, reason: str = "the manager has ended it") -> None:
        """Have its node say goodbye and close the connection.

        Raises:
            UsageError: The reason is no text.
            StructiotError: As `refresh_info`.
        """
        check_argument("reason", reason, str)
        await self._ask(Errand.END, reason)

    async def _ask(self, what: Errand, reason: str = "") -> None:
        await self._check_open()
        await self._forwarding.ask(self, what, reason)

    @contextmanager
    def sending(self, data: bytes | str) -> Generator[Callable[[], Awaitable[None]]]:
        """Have its node send a message; what it yields waits for its arrival.

        Raises:
            Overflowed: As many messages as may be are not acknowledged yet.
            StructiotError: As `send`.
        """
        payload = payload_of(data)
        if self._ended is not None:
            raise copy(self._ended)
        # What cannot be sent is told here and now.
        server_side(self.dialect).write(payload)
        way = self._forwarding
        way.check()
        message_id = way.made_up_id()
        waiting = self._unacknowledged
        with (
            way.reporting(self, message_id)
            if waiting is None
            else waiting.under_way(message_id, payload)
        ) as reply:
            if not way.forward(self, message_id, payload):
                raise Overflowed("more waits for the other nodes than may")
            yield reply.wait if waiting is not None else partial(way.report, reply)

    def resend(self) -> None:
        """Have its node send what was not acknowledged on an older connection."""
        waiting = self._unacknowledged
        for message_id, payload in () if waiting is None else waiting.messages:
            self._forwarding.forward(self, message_id, payload)
