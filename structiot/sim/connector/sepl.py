"""The simulated SEPL platform, as `sim_sepl_platform` gives it."""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any, ClassVar

import anyio
from anyio.abc import ByteStream, SocketAttribute

from structiot._kit.environment import Environment
from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.flow.replies import ReplyTable
from structiot._kit.net.handshakes import Handshakes
from structiot._kit.net.network import place
from structiot.errors import LinkLost, UsageError
from structiot.sim.connector.sepl_connection import READ_LIMIT_S, SeplConnection
from structiot.sim.connector.sepl_faults import NAMED_SEPL_FAULTS, SeplFaults
from structiot.sim.connector.sepl_frames import json_bytes
from structiot.sim.connector.sepl_records import (
    SeplEvent,
    SeplLogEntry,
    SeplMessage,
    SeplRecord,
    SeplRecords,
    SeplResponse,
)
from structiot.sim.connector.sepl_store import SeplDevice, SeplGateway, SeplStore
from structiot.sim.connector.sepl_wire import Frost
from structiot.sim.shared.fault_names import FaultNames
from structiot.sim.shared.host import SimHost, Sockets

__all__ = ["SeplPlatformSim"]


class SeplPlatformSim(SimHost[SeplFaults]):
    """A simulated platform, for the one who tests with it; made by `sim_sepl_platform`.

    `unplug`, `plug_in` and `reboot` take it off the network and back: all connections
    break off, what it keeps is kept.

    Attributes:
        port: Its TCP port.
        users: Passwords by user.
        busy_s: How long it is busy at each `clear` and `commit`; it reads nothing of that
            connection meanwhile. With more than 30 s these fail after 30 s.
        strict_legacy: Whether what it cannot read gets two answers, as of old.
        store: What it keeps; this and what follows is for the simulator itself.
        records: All that came.
        awaited: Commands that somebody waits for.
        frost: Whether it stands still.
    """

    named_faults: ClassVar[FaultNames] = NAMED_SEPL_FAULTS

    def __init__(
        self,
        *,
        host: str,
        port: int,
        users: Mapping[str, str],
        device_types: Mapping[str, Collection[str]] | None,
        ssl_context: ssl.SSLContext | None,
        busy_s: float,
        strict_legacy: bool,
        records_kept: int,
        environment: Environment,
    ) -> None:
        super().__init__(host, SeplFaults(), environment=environment)
        self.port: int = port
        self.busy_s: float = busy_s
        self.strict_legacy: bool = strict_legacy
        self.records: SeplRecords = SeplRecords(records_kept)
        self.frost: Frost = Frost()
        self.store: SeplStore = SeplStore(users, device_types, environment.random)
        self.users: dict[str, str] = self.store.users
        self._ssl_context = ssl_context
        self._handshakes = Handshakes()
        self._connections: dict[int, SeplConnection] = {}
        self._connected = 0
        self.awaited: ReplyTable[str, SeplResponse] = ReplyTable("commands")

    # ------------------------------------------------------------ what it is

    @property
    def url(self) -> str:
        """Its address."""
        scheme = "ws" if self._ssl_context is None else "wss"
        return f"{scheme}://{place(self.host, self.port)}/"

    @property
    def config(self) -> dict[str, Any]:
        """What its first user writes into a `connector.conf`, by key."""
        user, password = next(iter(self.users.items()))
        return {
            "host": self.host,
            "port": self.port,
            "user": user,
            "password": password,
            "encryption": "no" if self._ssl_context is None else "yes",
        }

    @property
    def devices(self) -> tuple[SeplDevice, ...]:
        """All devices."""
        return tuple(self.store)

    def device(self, uri: str) -> SeplDevice:
        """Give the device of a URI; of several the oldest.

        Raises:
            UsageError: There is none.
        """
        for one in self.store:
            if one.uri == uri:
                return one
        raise UsageError(f"the platform has no device {uri!r:.100}")

    def add_device(
        self,
        uri: str,
        *,
        type: str,  # noqa: A002 - the field's word
        name: str,
        user: str | None = None,
    ) -> SeplDevice:
        """Make a device as somebody does on the platform's own pages.

        A second one of the same URI makes every `put` and `delete` of it fail.

        Args:
            uri: What its gateway will call it.
            type: Its device type.
            name: What it is called.
            user: Whose it is; the first user's by default.

        Raises:
            UsageError: There is no such user.
        """
        owner = next(iter(self.users)) if user is None else user
        self.store.check_user(owner)
        return self.store.add(uri=uri, type_=type, name=name, tags=(), user=owner)

    @property
    def gateways(self) -> Mapping[str, SeplGateway]:
        """All gateways by their `gid`."""
        return MappingProxyType(self.store.gateways)

    @property
    def connections(self) -> int:
        """How many connections have logged in and are open."""
        return sum(one.session is not None for one in self._connections.values())

    # ------------------------------------------------------------ what came

    @property
    def events(self) -> deque[SeplEvent]:
        """The latest events that it took."""
        return self.records.events

    @property
    def responses(self) -> deque[SeplResponse]:
        """The latest responses to commands, those included that nobody waited for."""
        return self.records.responses

    @property
    def messages(self) -> deque[SeplMessage]:
        """The latest messages, handshakes included."""
        return self.records.messages

    @property
    def log(self) -> deque[SeplLogEntry]:
        """When which connection began, and why it ended."""
        return self.records.log

    def following(self) -> AbstractContextManager[Mailbox[SeplRecord]]:
        """Follow all that comes, as `with platform.following() as records`.

        Messages are told when they are answered, or lost by a fault, after the event or
        the response that they brought. Who is slow loses the oldest.
        """
        return self.records.following()

    # ------------------------------------------------------------ commands

    async def send_command(
        self,
        device_uri: str,
        service_uri: str,
        parts: Mapping[str, str | None] | None = None,
        *,
        user: str | None = None,
        members: Mapping[str, object] | None = None,
    ) -> SeplResponse:
        """Send a command to whoever listens to a device, and wait for a response.

        There is no deadline but the caller's, for a response may come by a later
        connection.

        Args:
            device_uri: Which device.
            service_uri: Which of its services.
            parts: Protocol parts by name, such as `{"metadata": "", "data": "1"}`; None
                sends null, as for a service without input.
            user: Whose device; anybody's by default.
            members: What else there is in the payload, or in place of what is.

        Raises:
            UsageError: Nobody listens to it.
            LinkLost: None of those who listened could be reached, or the simulator ends.
        """
        listeners = self._listeners(device_uri, user)
        if not listeners:
            raise UsageError(f"nobody listens to the device {device_uri!r:.100}")
        payload = self._command(listeners[0][1], service_uri, parts)
        payload.update(members or {})
        with self.awaited.expect(payload["task_id"]) as response:
            lost: list[LinkLost] = []
            for connection, _ in listeners:
                try:
                    await connection.command(payload)
                except LinkLost as exc:
                    lost.append(exc)
            if len(lost) == len(listeners):
                raise lost[0]
            return await response.wait()

    def _listeners(
        self, uri: str, user: str | None
    ) -> Sequence[tuple[SeplConnection, SeplDevice]]:
        return [
            (one, one.session.listening[uri])
            for one in self._connections.values()
            if one.session is not None
            and uri in one.session.listening
            and user in {None, one.session.user}
        ]

    def _command(
        self,
        device: SeplDevice,
        service_uri: str,
        parts: Mapping[str, str | None] | None,
    ) -> dict[str, Any]:
        return {
            "device_url": device.uri,
            "service_url": service_uri,
            "protocol_parts": None
            if parts is None
            else [{"name": name, "value": parts[name]} for name in parts],
            "worker_id": self.store.new_id(),
            "task_id": self.store.new_id(),
            "device_instance_id": device.id,
            "service_name": service_uri,
            "output_name": "output",
            "time": str(int(self.environment.now_utc().timestamp())),
        }

    # ------------------------------------------------------------ trouble

    async def say(self, content: Mapping[str, Any] | str | bytes) -> None:
        """Send something to all who are connected, out of the blue.

        Args:
            content: A message, or any text; bytes are sent as they are, below the
                websocket, such as `SEPL_FRAMES` make them.
        """
        if not isinstance(content, str | bytes):
            content = json_bytes(content).decode()
        for one in list(self._connections.values()):
            if one.writer is not None:
                await one.writer.write(content)

    async def drop(self) -> None:
        """Break off all connections; it goes on listening."""
        for one in list(self._connections.values()):
            await one.wire.break_off()

    async def close_all(self, code: int = 1000, reason: str = "") -> None:
        """Close all websockets in good order; it goes on listening."""
        for one in list(self._connections.values()):
            if one.writer is not None:
                await one.writer.close(code, reason)

    async def freeze(self, still_s: float) -> None:
        """Read and write nothing for a while, as a process that was stopped."""
        await self.frost.hold(still_s)

    def forget_hashes(self) -> None:
        """Forget what gateways have committed, but for which devices they have."""
        for one in self.store.gateways.values():
            one.hash = ""

    def forget_gateways(self) -> None:
        """Forget all gateways: who connects again gets another `gid`."""
        self.store.gateways.clear()

    def note(self, connection: SeplConnection, what: str, *, is_end: bool) -> None:
        """Write into the log; for the simulator itself."""
        session = connection.session
        self.records.add_log(
            SeplLogEntry(
                connection=connection.number,
                user="" if session is None else session.user,
                gid="" if session is None else session.gateway.id,
                what=what,
                is_end=is_end,
                at_utc=self.environment.now_utc(),
            )
        )

    def end(self) -> None:
        """Wake whoever waits for a response; the simulator is over."""
        self.awaited.fail_all(LinkLost("the simulated platform has ended"))

    # ------------------------------------------------------------ network

    async def start(self, sockets: Sockets) -> None:
        """Listen for websockets."""
        self.port = await sockets.listen(self.port, self._serve)

    async def _serve(self, stream: ByteStream) -> None:
        if self._ssl_context is not None:
            host = str(stream.extra(SocketAttribute.remote_address, ("?", 0))[0])
            with anyio.fail_after(READ_LIMIT_S):
                stream = await self._handshakes.wrap(stream, self._ssl_context, host)
        self._connected += 1
        connection = SeplConnection(self, self._connected, stream)
        self._connections[connection.number] = connection
        why = "the platform is off the network"
        try:
            why = await connection.run()
        finally:
            del self._connections[connection.number]
            if connection.session is not None:
                connection.session.end()
            self.note(connection, why, is_end=True)
