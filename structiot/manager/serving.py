"""Serves one connection after the other: asks who it is, reads it, and sees it off."""

from __future__ import annotations

import secrets
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import anyio
import anyio.lowlevel
from anyio.abc import SocketAttribute

from structiot._kit.environment import Environment
from structiot._kit.net.client_stream import ClientStream
from structiot._kit.net.network import LOST, Address, reason_of
from structiot._kit.net.serving import Endpoint
from structiot._kit.text import error_text
from structiot.errors import PeerError, ProtocolViolation
from structiot.manager.client import ManagerClient
from structiot.manager.errors import InvalidInfo
from structiot.manager.limits import ManagerLimits
from structiot.manager.manager import Manager
from structiot.manager.wire.detection import hint_of
from structiot.manager.wire.dialects import Dialect
from structiot.manager.wire.events import (
    Acknowledged,
    AliveAsked,
    Data,
    Event,
    InfoTold,
    IsAlive,
    Left,
)
from structiot.manager.wire.info import Info
from structiot.manager.wire.native import NONCE_BYTES, NativeServer
from structiot.manager.wire.sides import ServerSide, server_side

__all__ = ["ManagerEndpoint", "SecretOf", "Serving"]

SecretOf = Callable[[str], bytes | None]

READ_BYTES: Final = 65_536
# Frames of two bytes: eight thousand are parsed at once, and taken in portions.
READ_FRAMED_BYTES: Final = 16_384
_EVENTS_A_TURN: Final = 256
# How long what may be the begin of an answer waits for the rest.
_MOMENT_S: Final = 0.25
_A_MINUTE: Final = 60.0
# By so many it is plain what somebody speaks.
_HINT_BYTES: Final = 16
_HUNG_UP: Final = "the device has hung up"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerEndpoint(Endpoint):
    """Where devices dial in, and what they speak there."""

    dialect: Dialect


class _Refused(PeerError):
    """A device is not taken; the message says why.

    Attributes:
        is_final: Whether it will not be either when it asks again.
    """

    def __init__(self, message: str, *, is_final: bool = True) -> None:
        super().__init__(message)
        self.is_final = is_final


def _address_of(stream: ClientStream) -> Address:
    remote = stream.stream.extra(SocketAttribute.remote_address, None)
    return stream.host, int(remote[1]) if remote else 0


class Serving:
    """What all connections of a manager have in common.

    Args:
        manager: Whose they are.
        limits: What devices may have.
        reply_s: How long a device may take to answer.
        secret_of: Gives the secret of a UUID, None for a device that is not to be taken;
            None itself wants no proofs. It concerns our own dialect alone.
        environment: Clock and chance.
    """

    def __init__(
        self,
        manager: Manager,
        limits: ManagerLimits,
        *,
        reply_s: float,
        secret_of: SecretOf | None,
        environment: Environment,
    ) -> None:
        self._manager = manager
        self._limits = limits
        self._reply_s = reply_s
        self._secret_of = secret_of
        self._environment = environment
        self._replaced: OrderedDict[str, deque[float]] = OrderedDict()

    async def serve(self, stream: ClientStream) -> None:
        """Serve one connection until either side ends it."""
        endpoint = stream.endpoint
        assert isinstance(endpoint, ManagerEndpoint)  # noqa: S101 - we made it
        side = server_side(
            endpoint.dialect,
            secrets.token_bytes(NONCE_BYTES),
            wants_proof=self._secret_of is not None,
        )
        connection = _Connection(
            self, stream, side, endpoint.dialect, _address_of(stream)
        )
        reason, is_final = "", False
        stream.out += side.ask_info()
        stream.flush()
        try:
            reason = await connection.read()
        except (_Refused, ProtocolViolation) as exc:
            reason = error_text(exc)
            is_final = isinstance(exc, _Refused) and exc.is_final
        finally:
            connection.over(reason, is_final=is_final)

    def unheard(self, stream: ClientStream, reason: str) -> None:
        """Tell of one whose handshake has failed."""
        self._manager.refused(_address_of(stream), reason)

    def take(self, connection: _Connection, info: Info) -> ManagerClient:
        """Take a device in, or raise `_Refused`."""
        manager, types = self._manager, self._manager.types
        if types is not None and info.type not in types:
            raise _Refused(f"its type {info.type!r} is not taken here")
        secret = self._secret_for(connection.side, info)
        former = manager.fleet.get(info.uuid)
        if former is not None:
            self._count_replacement(info.uuid)
            former.end_now("replaced by a newer connection")
            manager.went(former, former.end_reason)
        native = connection.side if isinstance(connection.side, NativeServer) else None
        client = ManagerClient(
            connection.stream,
            connection.side,
            info,
            address=connection.address,
            dialect=connection.dialect,
            unacknowledged=(
                None if native is None else manager.exchanges.waiting_for(info.uuid)
            ),
            reply_s=self._reply_s,
            environment=self._environment,
        )
        connection.stream.identified()
        if native is not None:
            client.say(native.welcome(int(manager.heartbeat_s), secret))
            client.resend()
        manager.came(client, former)
        return client

    def take_event(self, client: ManagerClient, side: ServerSide, event: Event) -> str:
        """Take what a device that is known has told; say why it is over, if it is."""
        match event:
            case Data():
                return self._take_message(client, side, event)
            case IsAlive():
                client.is_alive()
            case InfoTold(info):
                self._secret_for(side, info)
                client.told_info(info)
                self._manager.changed(client)
            case Acknowledged(message_id):
                client.acknowledged(message_id)
            case AliveAsked() if isinstance(side, NativeServer):
                client.say(side.say_alive())
            case Left(reason):
                return (
                    f"the device has left: {reason}"
                    if reason
                    else "the device has left"
                )
        return ""

    def _take_message(
        self, client: ManagerClient, side: ServerSide, message: Data
    ) -> str:
        """Take it once, share it, and acknowledge it when it is safe."""
        manager, message_id = self._manager, message.message_id
        is_new = not message_id or manager.exchanges.seen.is_new(
            client.uuid, message_id
        )
        was_answer = is_new and manager.took(client, message.data)

        def acknowledge() -> None:
            if message_id and isinstance(side, NativeServer) and client.is_connected:
                client.say(side.acknowledge(message_id))

        sharing = manager.sharing
        if sharing is None or was_answer:
            acknowledge()
        elif not sharing.took(client, message.data, message_id, acknowledge):
            # Our own dialect keeps what is not acknowledged; others can only lose it.
            return "more waits for the other nodes than may" if message_id else ""
        return ""

    def heard(self, client: ManagerClient) -> None:
        """Something has come from a device."""
        self._manager.heard(client)

    def refused(self, address: Address, reason: str) -> None:
        """Somebody was not taken."""
        self._manager.refused(address, reason)

    def went(self, client: ManagerClient, reason: str) -> None:
        """A device is gone."""
        self._manager.went(client, reason)

    def _secret_for(self, side: ServerSide, info: Info) -> bytes | None:
        if self._secret_of is None:
            return None
        secret = self._secret_of(info.uuid)
        if not isinstance(side, NativeServer):
            if secret is not None:
                raise _Refused("it has a secret, which this dialect cannot prove")
            return None
        # Without a secret there is as much to do, so that nobody learns whom we know.
        is_proven = side.is_proven_by(secret or b"")
        if secret is None or not is_proven:
            raise _Refused("it has not proven that it knows its secret")
        return secret

    def _count_replacement(self, uuid: str) -> None:
        """Have two devices with one UUID not replace each other for ever."""
        now = anyio.current_time()
        times = self._replaced.pop(uuid, deque())
        while times and times[0] <= now - _A_MINUTE:
            times.popleft()
        is_often = len(times) >= self._limits.replacements
        if not is_often:
            times.append(now)
        if times:
            self._replaced[uuid] = times
        # The least recent stand first; what is older than a minute counts no more.
        while (
            self._replaced
            and next(iter(self._replaced.values()))[-1] <= now - _A_MINUTE
        ):
            self._replaced.popitem(last=False)
        if is_often:
            message = "its UUID was taken over too often in the last minute"
            raise _Refused(message, is_final=False)
        if len(self._replaced) > self._limits.connections:
            self._replaced.popitem(last=False)


class _Connection:
    """One connection while it is served."""

    def __init__(
        self,
        serving: Serving,
        stream: ClientStream,
        side: ServerSide,
        dialect: Dialect,
        address: Address,
    ) -> None:
        self.stream = stream
        self.side = side
        self.dialect = dialect
        self.address = address
        self._serving = serving
        self._client: ManagerClient | None = None
        self._read_bytes = READ_FRAMED_BYTES if dialect.is_framed else READ_BYTES
        self._events = 0
        self._first = b""

    async def read(self) -> str:
        """Read until the device or the manager ends it; say why."""
        while True:
            try:
                data = await self._receive()
            except LOST as exc:
                return reason_of(exc) or _HUNG_UP
            if self._client is None and data is not None:
                self._first = (self._first + data)[:_HINT_BYTES]
            events = self.side.let_go() if data is None else self.side.feed(data)
            # Bytes alone do not count: a frame could be dribbled for days.
            if self._client is not None and events:
                self._serving.heard(self._client)
            for event in events:
                self._events += 1
                if self._events % _EVENTS_A_TURN == 0:
                    await anyio.lowlevel.checkpoint()
                if self._client is None:
                    if not isinstance(event, InfoTold):
                        return "it has left before it said who it is"
                    self._client = self._serving.take(self, event.info)
                elif why := self._serving.take_event(self._client, self.side, event):
                    return why

    async def _receive(self) -> bytes | None:
        receive = self.stream.stream.receive
        if not self.side.holds:
            return await receive(self._read_bytes)
        with anyio.move_on_after(_MOMENT_S):
            return await receive(self._read_bytes)
        return None

    def over(self, reason: str, *, is_final: bool) -> None:
        """Say goodbye, and have it told; without a reason the manager wants it so."""
        client, stream = self._client, self.stream
        if client is not None and not client.is_connected:
            self._serving.went(client, client.end_reason)
            return
        if not reason:
            late = f"it did not say who it is in time, asked in {self.dialect}"
            reason = late if client is None else "the manager ends"
        if is_final and client is None and isinstance(self.side, NativeServer):
            stream.out += self.side.say_refusal(reason)
        else:
            stream.out += self.side.say_goodbye(reason)
        if client is None:
            hint = hint_of(self._first, self.dialect)
            self._serving.refused(self.address, reason + hint)
        else:
            client.fail_info(InvalidInfo(reason))
            self._serving.went(client, reason)
