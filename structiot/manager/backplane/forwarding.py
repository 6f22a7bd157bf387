"""Messages on their way to devices of other nodes, and from other nodes to ours.

    user -- send --> node -- forwarded --> the device's node --> device
                      ^                         |
                      +-------- report ---------+

Who sends keeps a message of our own dialect until it is acknowledged, and sends it again
with the same id to whichever node the device comes to; the device takes each id once. A
message of another dialect is forwarded once: where its node is gone, or no report comes,
its fate is unknown, and that is what the sender is told.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

import anyio
from anyio.abc import TaskGroup

from structiot._kit.environment import Environment
from structiot._kit.flow.replies import Reply, ReplyTable
from structiot._kit.text import error_text
from structiot.errors import LinkLost, Overflowed, StructiotError
from structiot.manager.backplane.opening import NodeAddress
from structiot.manager.backplane.publisher import Publisher
from structiot.manager.client import ManagerClient
from structiot.manager.errors import ConnectionEnd, FateUnknown
from structiot.manager.manager import Manager
from structiot.manager.unacknowledged import Exchanges, SeenMessages, new_message_id
from structiot.manager.wire.dialects import Dialect
from structiot.manager.wire.envelopes import (
    Ask,
    Came,
    Errand,
    Member,
    Outcome,
    Report,
    Send,
)
from structiot.mqtt import MqttClient

if TYPE_CHECKING:
    from structiot.manager.backplane.remote_client import RemoteClient

__all__ = ["Forwarding"]

_REPORT_S: Final = 15.0
_MOST_DELIVERING: Final = 4096
_NODES_SEEN: Final = 256
_MESSAGES_SEEN: Final = 4096
_ABSENT: Final = "it is not connected there"


class Forwarding:
    """The way to devices of other nodes, and from other nodes to ours.

    Args:
        address: Which node this is.
        manager: This node's.
        client: To the broker.
        publisher: What takes envelopes.
        member_of: Gives what is told of a device of ours.
        environment: Chance.

    Attributes:
        exchanges: What is under way to devices.
    """

    def __init__(
        self,
        address: NodeAddress,
        manager: Manager,
        client: MqttClient,
        publisher: Publisher,
        *,
        member_of: Callable[[ManagerClient], Member],
        environment: Environment,
    ) -> None:
        self.exchanges: Exchanges = manager.exchanges
        self._address = address
        self._id = address.node
        self._manager = manager
        self._client = client
        self._publisher = publisher
        self._member_of = member_of
        self._random = environment.random
        self._reports: ReplyTable[int, None] = ReplyTable("reports of nodes")
        self._reporters: dict[int, str] = {}
        # Without ids that devices know: the broker may deliver it twice.
        self._seen = SeenMessages(_NODES_SEEN, _MESSAGES_SEEN)
        self._delivering = 0

    # ------------------------------------------------------------ to other nodes

    def made_up_id(self) -> int:
        """Make up the id of a message."""
        return new_message_id(self._random)

    def check(self) -> None:
        """Raise why there is no way at present, if so."""
        if not self._client.is_connected:
            raise LinkLost("there is no connection to the broker of the backplane")

    def forward(self, client: RemoteClient, message_id: int, payload: bytes) -> bool:
        """Have a node send a message; tell whether there was room for it."""
        is_own = client.dialect is Dialect.STRUCTIOT
        order = Send(self._id, client.node, client.uuid, message_id, is_own, payload)
        return self._publisher.put(self._address.inbox_of(client.node), order)

    async def ask(self, client: RemoteClient, what: Errand, reason: str = "") -> None:
        """Have a node ask a device something, or end its connection.

        Raises:
            FateUnknown: Its node does not tell, or it has not answered.
            StructiotError: It was not asked.
        """
        self.check()
        number, node = self.made_up_id(), client.node
        order = Ask(self._id, node, client.uuid, number, what, reason)
        with self.reporting(client, number) as reply:
            if not self._publisher.put(self._address.inbox_of(node), order):
                raise Overflowed("more waits for the other nodes than may")
            await self.report(reply)

    @contextmanager
    def reporting(
        self, client: RemoteClient, message_id: int
    ) -> Generator[Reply[None]]:
        """Await a report for the length of the block."""
        with self._reports.expect(message_id) as reply:
            self._reporters[message_id] = client.node
            try:
                yield reply
            finally:
                del self._reporters[message_id]

    async def report(self, reply: Reply[None]) -> None:
        """Wait for it, in bounded time.

        Raises:
            FateUnknown: Nobody knows what became of the message.
            StructiotError: It was not sent.
        """
        with anyio.move_on_after(_REPORT_S):
            await reply.wait()
            return
        text = f"no node has told within {_REPORT_S:g} s whether a message has arrived"
        raise FateUnknown(text, after_s=_REPORT_S)

    def gone(self, node: str, reason: str) -> None:
        """No report will come from a node any more."""
        for message_id, reporter in list(self._reporters.items()):
            if reporter == node:
                text = f"{reason}; whether the message has arrived is not known"
                self._reports.fail(message_id, FateUnknown(text))

    # ------------------------------------------------------------ from other nodes

    def send(self, order: Send, tg: TaskGroup) -> None:
        """Send to a device of ours, and report in a task of its own."""
        is_own, number = order.is_own, order.message_id
        if not is_own and not self._seen.is_new(order.node, number):
            return
        client = self._manager.clients.get(order.uuid)
        if client is None or is_own != (client.dialect is Dialect.STRUCTIOT):
            self._report(order, Outcome.ABSENT, _ABSENT)
        elif self._delivering >= _MOST_DELIVERING:
            self._report(order, Outcome.FULL)
        elif not client.is_forwarding(number):
            with ExitStack() as stack:
                try:
                    arrival = stack.enter_context(client.sending(order.data, number))
                except Overflowed:
                    self._report(order, Outcome.FULL)
                except StructiotError as exc:
                    self._report(order, Outcome.ABSENT, error_text(exc))
                else:
                    if arrival is None:
                        self._report(order, Outcome.DELIVERED)
                        return
                    self._delivering += 1
                    tg.start_soon(self._deliver, order, arrival, stack.pop_all())

    async def _deliver(
        self, order: Send, arrival: Callable[[], Awaitable[None]], stack: ExitStack
    ) -> None:
        """Report when it has arrived, or when its connection has ended before."""
        try:
            with stack:
                await arrival()
        except StructiotError as exc:
            self._report(order, Outcome.UNKNOWN, error_text(exc))
        else:
            self._report(order, Outcome.DELIVERED)
        finally:
            self._delivering -= 1

    async def answer(self, order: Ask) -> None:
        """Ask a device of ours, or end its connection, and report."""
        client = self._manager.clients.get(order.uuid)
        if not self._seen.is_new(order.node, order.message_id):
            return
        if client is None:
            self._report(order, Outcome.ABSENT, _ABSENT)
            return
        if self._delivering >= _MOST_DELIVERING:
            self._report(order, Outcome.FULL)
            return
        self._delivering += 1
        try:
            match order.what:
                case Errand.END:
                    await client.end(order.reason)
                case Errand.ALIVE:
                    await client.heartbeat()
                case Errand.INFO:
                    await client.refresh_info()
                    # On the topic of the report, and therefore known before it.
                    told = Came(self._id, (self._member_of(client),))
                    self._publisher.put(self._address.inbox_of(order.node), told)
        except StructiotError as exc:
            self._report(order, Outcome.UNKNOWN, error_text(exc))
        else:
            self._report(order, Outcome.DELIVERED)
        finally:
            self._delivering -= 1

    def _report(self, order: Send | Ask, outcome: Outcome, reason: str = "") -> None:
        to, number = order.node, order.message_id
        report = Report(self._id, to, order.uuid, number, outcome, reason)
        self._publisher.put(self._address.inbox_of(to), report)

    def reported(self, report: Report) -> None:
        """Take what a node reports."""
        number, uuid, reason = report.message_id, report.uuid, report.reason
        waiting = self.exchanges.waiting_for(uuid)
        match report.outcome:
            case Outcome.DELIVERED if number in self._reports:
                self._reports.resolve(number, None)
            case Outcome.DELIVERED:
                waiting.acknowledged(number)
            case Outcome.FULL:
                error = Overflowed(f"too much is under way to {uuid} already")
                self._reports.fail(number, error)
                waiting.fail(number, error)
            case Outcome.ABSENT:
                # What is acknowledged waits on, for the device to come again.
                text = f"nothing was sent to {uuid}: {reason}"
                self._reports.fail(number, ConnectionEnd(text))
            case Outcome.UNKNOWN:
                text = f"whether it has arrived at {uuid} is not known: {reason}"
                self._reports.fail(number, FateUnknown(text))
