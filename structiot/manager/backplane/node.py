"""One node of several that are one manager.

    device -- message --> node -- shared, and acknowledged by the broker --> all nodes
                           |                        then
    device <-- acknowledged by our own dialect -----+

Each node takes each message once. A node that is there tells so now and then; one that
goes says so, by its will if need be, and one that falls silent is gone as well.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Final

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup, TaskStatus

from structiot._kit.environment import Environment
from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.flow.tasks import service_group
from structiot.errors import LinkLost
from structiot.manager.backplane.forwarding import Forwarding
from structiot.manager.backplane.opening import node_of
from structiot.manager.backplane.other_nodes import OtherNodes
from structiot.manager.backplane.publisher import Publisher
from structiot.manager.base_client import BaseClient
from structiot.manager.client import ManagerClient
from structiot.manager.manager import Manager
from structiot.manager.unacknowledged import SeenMessages
from structiot.manager.wire.dialects import Dialect
from structiot.manager.wire.envelopes import (
    PORTION,
    Ask,
    Came,
    Envelope,
    Gone,
    Here,
    Listed,
    Member,
    Message,
    Report,
    Send,
    Went,
    decode,
)
from structiot.mqtt import Connected, ConnectionEvent, Messages, MqttClient

__all__ = ["BackplaneNode"]

_HERE_S: Final = 30.0
_LIST_S: Final = 2.0
_ASK_S: Final = 10.0
_GOODBYE_S: Final = 1.0
_NODES_SEEN: Final = 256
_MESSAGES_SEEN: Final = 4096

_log: Final = logging.getLogger("structiot.manager.backplane")


class BackplaneNode:
    """Tells other nodes what this one has, and keeps what they have in the manager.

    Args:
        manager: This node's.
        client: Opened by `open_backplane`.
        environment: Clock and chance.

    Raises:
        ConfigError: It was not.
    """

    def __init__(
        self, manager: Manager, client: MqttClient, environment: Environment
    ) -> None:
        self._manager = manager
        self._client = client
        self._address = node_of(client)
        self._id = self._address.node
        self._publisher = Publisher(client)
        self._forwarding = Forwarding(
            self._address,
            manager,
            client,
            self._publisher,
            member_of=self._member,
            environment=environment,
        )
        self._others = OtherNodes(self._id, manager, self._forwarding, environment)
        # Of devices without ids of their own: the broker may deliver them twice.
        self._seen = SeenMessages(_NODES_SEEN, _MESSAGES_SEEN)
        self._list_wanted = anyio.Event()
        self._may_ask_at = 0.0

    def __repr__(self) -> str:
        return f"<BackplaneNode {self._id}>"

    async def run(
        self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Be a node until cancelled; the others are told of the end.

        Raises:
            LinkLost: The client has given up.
        """
        client, address = self._client, self._address
        inbox = address.inbox_of(self._id)
        try:
            async with (
                client.subscription(address.everything, 1, "noop") as told,
                client.subscription(inbox, 1, "noop") as orders,
                client.events() as events,
                service_group() as tg,
            ):
                tg.start_soon(self._publisher.run, name="structiot.manager publisher")
                tg.start_soon(self._watch, events, name="structiot.manager broker")
                tg.start_soon(self._list_when_asked, name="structiot.manager list")
                tg.start_soon(self._beat, name="structiot.manager nodes")
                tg.start_soon(self._hear, told, name="structiot.manager fleet")
                task_status.started()
                await self._obey(orders, tg)
        finally:
            with (
                contextlib.suppress(LinkLost),
                anyio.move_on_after(_GOODBYE_S, shield=True),
            ):
                self._tell(Gone(self._id, "its node has ended"))
                self._publisher.close()
                await self._publisher.run()

    # ------------------------------------------------------------ what we tell

    @property
    def nodes(self) -> tuple[str, ...]:
        """The other nodes that are there."""
        return self._others.ids

    @property
    def have_told(self) -> bool:
        """Whether all of them have listed what they have."""
        return self._others.have_told

    def came(self, client: ManagerClient, former: BaseClient | None) -> None:
        """A device has connected here."""
        self._others.began(client, former)
        self._tell(Came(self._id, (self._member(client),)))

    def changed(self, client: ManagerClient) -> None:
        """A device says something else of itself."""
        self._tell(Came(self._id, (self._member(client),)))

    def went(self, client: ManagerClient) -> None:
        """A device is not connected here any more."""
        turn = self._others.ended(client)
        self._tell(Went(self._id, client.uuid, turn, client.end_reason))

    def took(
        self,
        client: ManagerClient,
        data: bytes,
        message_id: int,
        then: Callable[[], None],
    ) -> bool:
        """Share a message, `then` do what follows; tell whether there was room."""
        is_own = client.dialect is Dialect.STRUCTIOT
        number = message_id or self._forwarding.made_up_id()
        message = Message(self._id, client.uuid, client.type, number, is_own, data)
        return self._publisher.put(self._address.messages, message, then)

    def _tell(self, envelope: Envelope) -> None:
        self._publisher.put(self._address.presence, envelope)

    def _member(self, client: ManagerClient) -> Member:
        return Member(
            info=client.data,
            dialect=client.dialect,
            address=client.address,
            turn=self._others.turn_of(client),
        )

    async def _list_when_asked(self) -> None:
        """List all that is here, at most so often, however often that is asked for."""
        while True:
            await self._list_wanted.wait()
            self._list_wanted = anyio.Event()
            clients = list(self._manager.clients.values())
            for begin in range(0, len(clients) or 1, PORTION):
                portion = [
                    self._member(one)
                    for one in clients[begin : begin + PORTION]
                    if one.is_connected
                ]
                is_last = begin + PORTION >= len(clients)
                self._tell(Listed(self._id, tuple(portion), not begin, is_last))
                await anyio.lowlevel.checkpoint()
            await anyio.sleep(_LIST_S)

    async def _beat(self) -> None:
        while True:
            await anyio.sleep(_HERE_S)
            self._tell(Here(self._id, len(self._manager.clients)))
            if self._client.is_connected:
                for node in self._others.silent():
                    self._gone(node, "its node has fallen silent")

    async def _watch(self, events: Mailbox[ConnectionEvent]) -> None:
        """Ask all, and tell all, whenever there is a new connection to the broker."""
        async for event in events:
            if isinstance(event, Connected):
                self._others.connected()
                self._may_ask_at = 0.0
                self._ask()
                self._list_wanted.set()

    def _ask(self) -> None:
        now = anyio.current_time()
        if now >= self._may_ask_at:
            self._may_ask_at = now + _ASK_S
            self._tell(Here(self._id, len(self._manager.clients), asks=True))

    # ------------------------------------------------------------ what others tell

    async def _hear(self, told: Messages) -> None:
        async for published in told:
            envelope = decode(published.payload)
            if envelope is None:
                _log.debug("%r: no envelope on %s", self, published.topic)
            elif envelope.node != self._id:
                self._heard(envelope)
            elif isinstance(envelope, Gone):
                # The will of a connection that is gone, while we are here.
                self._list_wanted.set()

    def _heard(self, envelope: Envelope) -> None:
        match envelope:
            case Here():
                if self._others.here(envelope):
                    self._ask()
                if envelope.asks:
                    # The list may have to wait; whoever asks knows that one comes.
                    self._tell(Here(self._id, len(self._manager.clients)))
                    self._list_wanted.set()
            case Listed():
                self._others.listed(envelope)
            case Came():
                self._others.came(envelope)
            case Went():
                self._others.went(envelope)
            case Gone(node, reason):
                self._gone(node, reason)
            case Message():
                self._take(envelope)

    def _gone(self, node: str, reason: str) -> None:
        self._others.gone(node, reason)
        self._forwarding.gone(node, reason)

    def _take(self, message: Message) -> None:
        if message.is_own:
            seen, sender = self._manager.exchanges.seen, message.uuid
        else:
            seen, sender = self._seen, message.node
        if seen.is_new(sender, message.message_id):
            self._manager.took(self._others.client_of(message), message.data)

    async def _obey(self, orders: Messages, tg: TaskGroup) -> None:
        """Do what other nodes want of this one, and take what they tell it alone."""
        async for published in orders:
            match decode(published.payload):
                case Send(to=self._id) as order:
                    self._forwarding.send(order, tg)
                case Ask(to=self._id) as order:
                    tg.start_soon(self._forwarding.answer, order)
                case Report(to=self._id) as report:
                    self._forwarding.reported(report)
                case Came() as told if told.node != self._id:
                    self._others.came(told)
