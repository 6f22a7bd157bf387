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
from structiot._kit.net.counted_warnings import CountedWarnings
from structiot._kit.text import counted, printable
from structiot.errors import LinkLost
from structiot.manager.backplane.forwarding import Forwarding
from structiot.manager.backplane.opening import in_use, node_of
from structiot.manager.backplane.other_nodes import OtherNodes
from structiot.manager.backplane.publisher import Publisher
from structiot.manager.backplane.rivals import Rivals, own_session
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
    node_name,
)
from structiot.mqtt import (
    Connected,
    ConnectionEvent,
    Disconnected,
    Messages,
    MqttClient,
)

__all__ = ["BackplaneNode"]

_HERE_S: Final = 30.0
# A list is read by all other nodes: after one of a thousand devices there is a longer
# rest than after one of ten, but a limit to that, too.
_LIST_S_PER_DEVICE: Final = 0.002
_LIST_S: Final = 2.0
_ASK_S: Final = 10.0
_GOODBYE_S: Final = 1.0
# However many ask, an answer is for all of so long.
_AGAIN_S: Final = 0.1
_ENDED: Final = "its node has ended"
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
        self._publisher = Publisher(client, self._warn)
        self._forwarding = Forwarding(
            self._address,
            manager,
            client,
            self._publisher,
            member_of=self._member,
            environment=environment,
        )
        self._others = OtherNodes(
            self._id, manager, self._forwarding, self._warn, environment
        )
        self._rivals = Rivals(self._id)
        self._warnings: CountedWarnings | None = None
        self._has_lost_broker = False
        # Of devices without ids of their own: the broker may deliver them twice.
        self._seen = SeenMessages(_NODES_SEEN, _MESSAGES_SEEN)
        self._here_wanted = anyio.Event()
        self._list_wanted = anyio.Event()
        self._may_ask_at = 0.0

    def __repr__(self) -> str:
        return f"<BackplaneNode {self._id}>"

    async def run(
        self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Be a node until cancelled; the others are told of the end.

        Raises:
            ConfigError: Another node has our name, and was there before, or the broker
                says that it has taken our session.
            LinkLost: The client has given up.
            UsageError: The client serves another manager.
        """
        client, address = self._client, self._address
        inbox = address.inbox_of(self._id)
        with in_use(client), own_session(self._id):
            try:
                async with (
                    client.subscription(address.everything, 1, "noop") as told,
                    client.subscription(inbox, 1, "noop") as orders,
                    client.events() as events,
                    service_group() as tg,
                ):
                    self._warnings = CountedWarnings(_log, tg)
                    publish = self._publisher.run
                    tg.start_soon(publish, name="structiot.manager publisher")
                    tg.start_soon(self._watch, events, name="structiot.manager broker")
                    tg.start_soon(self._list_when_asked, name="structiot.manager list")
                    tg.start_soon(self._answer_asking, name="structiot.manager here")
                    tg.start_soon(self._beat, name="structiot.manager nodes")
                    tg.start_soon(self._hear, told, name="structiot.manager fleet")
                    task_status.started()
                    await self._obey(orders, tg)
            finally:
                self._warnings = None
                with (
                    contextlib.suppress(LinkLost),
                    anyio.move_on_after(_GOODBYE_S, shield=True),
                ):
                    self._tell(Gone(self._id, _ENDED))
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

    def _tell(self, envelope: Envelope) -> bool:
        is_taken = self._publisher.put(self._address.presence, envelope)
        if not is_taken:
            # What is missing nobody would notice, if as much is missing on the other side.
            self._list_wanted.set()
        return is_taken

    def _tell_here(self, *, asks: bool = False) -> None:
        self._tell(Here(self._id, len(self._manager.clients), asks))

    def _warn(self, text: str, kind: str) -> None:
        """Say it at once, or count it with those of its kind in this minute."""
        if self._warnings is not None:
            self._warnings.say(f"{self!r}: {text}", kind)

    def _member(self, client: ManagerClient) -> Member:
        return Member(
            info=client.data,
            dialect=client.dialect,
            address=client.address,
            turn=self._others.turn_of(client),
        )

    async def _list_when_asked(self) -> None:
        """List all that is here, the less often the more that is, whoever asks."""
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
                told = Listed(self._id, tuple(portion), not begin, is_last)
                if not self._tell(told):
                    # A list with a gap would say that these are gone: begun anew.
                    break
                await anyio.lowlevel.checkpoint()
            rest_s = len(clients) * _LIST_S_PER_DEVICE
            await anyio.sleep(min(max(rest_s, _AGAIN_S), _LIST_S))

    async def _answer_asking(self) -> None:
        """Say that we are here to whoever asks: the list may have to wait."""
        while True:
            await self._here_wanted.wait()
            self._here_wanted = anyio.Event()
            self._tell_here()
            await anyio.sleep(_AGAIN_S)

    async def _beat(self) -> None:
        while True:
            await anyio.sleep(_HERE_S)
            self._tell_here()
            if self._client.is_connected:
                for node in self._others.silent():
                    await self._gone(node, "its node has fallen silent")

    async def _watch(self, events: Mailbox[ConnectionEvent]) -> None:
        """Ask all, and tell all, whenever there is a new connection to the broker."""
        async for event in events:
            match event:
                case Connected():
                    if self._has_lost_broker:
                        _log.info("%r: the other nodes can be reached again", self)
                    self._has_lost_broker = False
                    self._rivals.connected()
                    self._others.connected()
                    self._may_ask_at = 0.0
                    self._ask()
                    self._list_wanted.set()
                case Disconnected(reason=reason) if not self._has_lost_broker:
                    self._has_lost_broker = True
                    # That the broker is away its client has said.
                    text = "%r: no other node can be reached: %s"
                    _log.info(text, self, printable(reason))

    def _ask(self) -> None:
        now = anyio.current_time()
        if now >= self._may_ask_at:
            self._may_ask_at = now + _ASK_S
            self._tell_here(asks=True)

    # ------------------------------------------------------------ what others tell

    async def _hear(self, told: Messages) -> None:
        async for published in told:
            # Nodes retain nothing: what is retained is somebody else's, or long past.
            envelope = None if published.retain else decode(published.payload)
            if envelope is None:
                _log.debug("%r: no envelope on %s", self, printable(published.topic))
            elif envelope.node != self._id:
                if why := self._rivals.heard(envelope.node):
                    self._warn(why, "times the other one was heard")
                await self._heard(envelope)
            elif isinstance(envelope, Gone):
                # The will of a connection that is gone, while we are here.
                self._list_wanted.set()

    async def _heard(self, envelope: Envelope) -> None:
        match envelope:
            case Here():
                if self._others.here(envelope):
                    self._ask()
                if envelope.asks:
                    self._here_wanted.set()
                    self._list_wanted.set()
            case Listed():
                await self._others.listed(envelope)
            case Came():
                self._others.came(envelope)
            case Went():
                self._others.went(envelope)
            case Gone(node, reason):
                await self._gone(node, reason)
            case Message():
                self._take(envelope)

    async def _gone(self, node: str, reason: str) -> None:
        count = await self._others.gone(node, reason)
        self._forwarding.gone(node, reason)
        if count and reason != _ENDED:
            text = f"gone with {node_name(node)}, {counted(count, 'device')}: {reason}"
            self._warn(text, "times devices were gone with their node")

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
            match None if published.retain else decode(published.payload):
                case Send(to=self._id) as order:
                    self._forwarding.send(order, tg)
                case Ask(to=self._id) as order:
                    tg.start_soon(self._forwarding.answer, order)
                case Report(to=self._id) as report:
                    self._forwarding.reported(report)
                case Came() as told if told.node != self._id:
                    self._others.came(told)
