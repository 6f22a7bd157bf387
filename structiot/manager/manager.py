"""The server that devices dial in to, as its user holds it."""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Collection,
    Generator,
    Mapping,
    Sequence,
)
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final

import anyio
import anyio.lowlevel

from structiot._kit.arguments import check_argument, check_handler
from structiot._kit.environment import Environment
from structiot._kit.flow.fan_out import FanOut
from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.flow.tasks import service_group
from structiot._kit.net.network import Address
from structiot._kit.text import counted
from structiot.errors import StructiotError, UsageError
from structiot.manager.base_client import BaseClient
from structiot.manager.client import ManagerClient
from structiot.manager.errors import ConnectionEnd, FateUnknown
from structiot.manager.event_box import EventBox
from structiot.manager.events import (
    ClientConnected,
    ClientDisconnected,
    ClientRefused,
    ClientReplaced,
    ManagerEvent,
    MessageReceived,
)
from structiot.manager.handling import Handler, Handling
from structiot.manager.heartbeats import Heartbeats
from structiot.manager.limits import check_seconds
from structiot.manager.payloads import payload_of
from structiot.manager.sharing import Sharing
from structiot.manager.unacknowledged import Exchanges
from structiot.manager.wire.info import canonical_uuid

__all__ = ["Manager", "SendReport"]

# How long `send`, `send_type` and `send_all` wait for each device.
SEND_S: Final = 5.0
# Then others have a turn.
_AT_ONCE: Final = 256
_BYTES_AT_ONCE: Final = 1_048_576


@dataclass(frozen=True, slots=True, kw_only=True)
class SendReport:
    """To whom a message was delivered, and to whom not.

    True if it was delivered to everybody it was for, and that was anybody.

    Attributes:
        delivered: UUIDs of devices that have it: that have acknowledged it in our own
            dialect; in others, to whose connection it was given.
        failed: UUIDs of the others, and why.
    """

    delivered: tuple[str, ...] = ()
    failed: Mapping[str, StructiotError] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.delivered) and not self.failed


def _connected_at_utc(client: BaseClient) -> datetime:
    return client.connected_at_utc


class Manager:
    """An open manager; made by `open_manager`, and safe to use from several tasks.

    Attributes:
        types: Which types of devices are taken.
        addresses: Where it listens: host and port of each listener.
        exchanges: What is under way to devices and what has come from them.
        sharing: Tells other nodes, if there is a backplane.
    """

    def __init__(
        self,
        types: Collection[str] | None,
        heartbeats: Heartbeats,
        exchanges: Exchanges,
        environment: Environment,
    ) -> None:
        self.types: frozenset[str] | None = None if types is None else frozenset(types)
        self.addresses: tuple[Address, ...] = ()
        self.exchanges: Exchanges = exchanges
        self.sharing: Sharing | None = None
        self._heartbeats = heartbeats
        self._environment = environment
        self._clients: dict[str, ManagerClient] = {}
        self._fleet: dict[str, BaseClient] = {}
        self._listeners: FanOut[EventBox | Handling] = FanOut()

    def __repr__(self) -> str:
        return f"<Manager of {counted(len(self._fleet), 'device')}>"

    @property
    def host(self) -> str:
        """The address of the first listener; nothing if there is none."""
        return self.addresses[0][0] if self.addresses else ""

    @property
    def port(self) -> int:
        """The TCP port of the first listener; 0 if there is none."""
        return self.addresses[0][1] if self.addresses else 0

    @property
    def clients(self) -> Mapping[str, ManagerClient]:
        """The devices that are connected here, by UUID, as they are at any moment."""
        return MappingProxyType(self._clients)

    @property
    def fleet(self) -> Mapping[str, BaseClient]:
        """The devices that are connected to any node, by UUID, as this node knows it."""
        return MappingProxyType(self._fleet)

    @property
    def nodes(self) -> tuple[str, ...]:
        """The other nodes of the backplane that are there."""
        return () if self.sharing is None else self.sharing.nodes

    async def fleet_told(self, quiet_s: float = 0.5) -> None:
        """Wait until other nodes have told what they have, as a node that comes anew does.

        Nobody knows how many there are: it is over when at least one is there, all that
        are have listed their devices, and none has come for `quiet_s`. A deadline is the
        caller's.

        Raises:
            UsageError: That is no time.
        """
        check_seconds("quiet_s", quiet_s, UsageError)
        while True:
            before = self.nodes
            await anyio.sleep(quiet_s)
            if self.sharing is None or (
                before and self.nodes == before and self.sharing.have_told
            ):
                return

    @property
    def heartbeat_s(self) -> float:
        """How often each device is asked whether it is there; it may be changed."""
        return self._heartbeats.rate_s

    @heartbeat_s.setter
    def heartbeat_s(self, heartbeat_s: float) -> None:
        check_seconds("heartbeat_s", heartbeat_s, UsageError)
        self._heartbeats.rate_s = heartbeat_s

    def get_client_data(self) -> list[dict[str, object]]:
        """Give what each device of the fleet says of itself: `uuid`, `type`, `data`."""
        return [client.data.get() for client in self._fleet.values()]

    @asynccontextmanager
    async def events(
        self,
        type: str | None = None,  # noqa: A002 - the field's word
        *,
        max_items: int = 4096,
    ) -> AsyncGenerator[Mailbox[ManagerEvent]]:
        """Iterate over what happens, beginning with the devices that are connected.

        With a backplane that is what happens at any node, but for refusals.

        Args:
            type: Only of devices of this type; refusals are of none.
            max_items: Events that wait for a slow consumer, with 16 MB of messages at
                most; of the device of which most waits the oldest messages are dropped,
                and counted (`.dropped`).

        Raises:
            UsageError: No such type is taken, and there are no other nodes to take it.
        """
        self._check_type(type, of_fleet=True)
        check_argument("max_items", max_items, int)
        box = EventBox(type, max(max_items, len(self._fleet)))
        now_utc = self._environment.now_utc()
        for client in sorted(self._fleet.values(), key=_connected_at_utc):
            # Another node's clock may be ahead of ours.
            at_utc = min(client.connected_at_utc, now_utc)
            box.tell(ClientConnected(client=client, at_utc=at_utc), client.type)
        with self._listeners.listening(box):
            yield box

    async def serve(self, handler: Handler, type: str | None = None) -> None:  # noqa: A002
        """Call a handler for each device that connects to this node; all run side by side.

        A handler is cancelled when its device's connection ends, and all are when `serve`
        is, which returns when the manager ends. One that returns leaves its device
        connected. What it raises costs its device alone: that is written to the log of
        `structiot.manager`, and the connection is ended.

        Args:
            handler: Is called with the device: now with those that are there.
            type: Only devices of this type.

        Raises:
            UsageError: No such type is taken, or no async function; one that is called for
                a device and gives nothing to await is found out then.
        """
        self._check_type(type)
        check_handler("handler", handler)
        async with service_group() as tasks:
            handling = Handling(handler, type, tasks)
            for client in self._clients.values():
                if type in {None, client.type}:
                    handling.begin(client)
            with self._listeners.listening(handling):
                await handling.closed.wait()

    # ------------------------------------------------------------ sending

    async def send(self, uuid: str, data: bytes | str) -> SendReport:
        """Send a message to one device; text as UTF-8.

        Raises:
            UsageError: No UUID.
        """
        found = self._fleet.get(canonical_uuid(uuid))
        if found is None:
            error = ConnectionEnd(f"{canonical_uuid(uuid)} is not connected")
            await anyio.lowlevel.checkpoint()
            return SendReport(failed={canonical_uuid(uuid): error})
        return await self._send([found], data)

    async def send_type(self, type: str, data: bytes | str) -> SendReport:  # noqa: A002
        """Send a message to all devices of a type that are connected.

        Raises:
            UsageError: No such type is taken.
        """
        self._check_type(type, of_fleet=True)
        return await self._send(
            [client for client in self._fleet.values() if client.type == type], data
        )

    async def send_all(self, data: bytes | str) -> SendReport:
        """Send a message to all devices that are connected."""
        return await self._send(list(self._fleet.values()), data)

    async def send_string(self, uuid: str, text: str) -> SendReport:
        """Send a text to one device, as `send` does."""
        return await self.send(uuid, text)

    async def send_type_string(self, type: str, text: str) -> SendReport:  # noqa: A002
        """Send a text to all devices of a type, as `send_type` does."""
        return await self.send_type(type, text)

    async def send_all_string(self, text: str) -> SendReport:
        """Send a text to all devices, as `send_all` does."""
        return await self.send_all(text)

    async def _send(
        self, clients: Sequence[BaseClient], data: bytes | str
    ) -> SendReport:
        """Send to all at once, then wait for each; nobody waits for another."""
        data = payload_of(data)
        delivered: list[str] = []
        failed: dict[str, StructiotError] = {}
        deadline = anyio.current_time() + SEND_S
        at_once = max(1, min(_AT_ONCE, _BYTES_AT_ONCE // max(1, len(data))))
        with ExitStack() as stack:
            waiting: list[tuple[BaseClient, Callable[[], Awaitable[None]]]] = []
            for number, client in enumerate(clients):
                if number % at_once == 0:
                    await anyio.lowlevel.checkpoint()
                sending = client.sending(data)
                try:
                    arrival = sending.__enter__()
                except StructiotError as exc:
                    failed[client.uuid] = exc
                    continue
                if arrival is None:
                    sending.__exit__(None, None, None)
                    delivered.append(client.uuid)
                else:
                    stack.push(sending)
                    waiting.append((client, arrival))
            for client, arrival in waiting:
                try:
                    with anyio.CancelScope(deadline=deadline) as patience:
                        await arrival()
                except StructiotError as exc:
                    failed[client.uuid] = exc
                    continue
                if patience.cancelled_caught:
                    message = (
                        f"not known to have arrived at {client.uuid} in {SEND_S:g} s"
                    )
                    failed[client.uuid] = FateUnknown(message, after_s=SEND_S)
                else:
                    delivered.append(client.uuid)
        return SendReport(delivered=tuple(delivered), failed=failed)

    # ------------------------------------------------------------ for the server

    def came(self, client: BaseClient, former: BaseClient | None) -> None:
        """Take a device in, in the place of its older connection if there is one."""
        self._fleet[client.uuid] = client
        if isinstance(client, ManagerClient):
            self._clients[client.uuid] = client
            self._heartbeats.begin(client)
            if self.sharing is not None:
                self.sharing.came(client, former)
        at_utc = self._environment.now_utc()
        if former is not None:
            replaced = ClientReplaced(client=client, former=former, at_utc=at_utc)
            self._tell(replaced, client.type)
        self._tell(ClientConnected(client=client, at_utc=at_utc), client.type)

    def went(self, client: BaseClient, reason: str) -> None:
        """Let a device go; once for each."""
        client.over(reason)
        if isinstance(client, ManagerClient):
            self._heartbeats.end(client)
            if self._clients.get(client.uuid) is client:
                del self._clients[client.uuid]
                if self.sharing is not None:
                    self.sharing.went(client)
        if self._fleet.get(client.uuid) is client:
            del self._fleet[client.uuid]
            event = ClientDisconnected(
                client=client,
                reason=client.end_reason,
                at_utc=self._environment.now_utc(),
            )
            self._tell(event, client.type)

    def changed(self, client: ManagerClient) -> None:
        """Take it that a device says something else of itself."""
        if self.sharing is not None:
            self.sharing.changed(client)

    def refused(self, address: Address, reason: str) -> None:
        """Tell of somebody who was not taken."""
        now_utc = self._environment.now_utc()
        self._tell(ClientRefused(address=address, reason=reason, at_utc=now_utc), None)

    def took(self, client: BaseClient, data: bytes) -> bool:
        """Take a message; tell whether it was the answer to a request."""
        was_answer = client.took(data)
        if not was_answer and self._listeners:
            event = MessageReceived(
                client=client, data=data, at_utc=self._environment.now_utc()
            )
            self._tell(event, client.type)
        return was_answer

    def heard(self, client: ManagerClient) -> None:
        """Something has come from a device, so it is there."""
        self._heartbeats.heard(client)

    def goodbyes(self) -> Generator[None]:
        """Say goodbye to one device at each step, and in the end close all iterators."""
        try:
            while self._fleet:
                client = next(iter(self._fleet.values()))
                client.end_now("the manager ends")
                self.went(client, client.end_reason)
                yield
        finally:
            # Of those that went before, too: they will not come again to this manager.
            self.exchanges.fail_all(ConnectionEnd("the manager has ended"))
            self._listeners.close()

    def _check_type(self, wanted: str | None, *, of_fleet: bool = False) -> None:
        check_argument("type", wanted, str, None)
        # What other nodes take is not known here.
        types = None if of_fleet and self.sharing is not None else self.types
        if wanted is not None and types is not None and wanted not in types:
            known = ", ".join(sorted(types))
            raise UsageError(f"no type {wanted!r:.80} is taken, only {known}")

    def _tell(self, event: ManagerEvent, of_type: str | None) -> None:
        for listener in self._listeners:
            listener.tell(event, of_type)
