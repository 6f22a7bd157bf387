"""Requests to one device in the local network, in the clear or encrypted.

Facts: reference 3.1 and 3.3. A device serves one connection at a time, so that requests
wait for one another. Whether it wants them encrypted is known by its abilities, which it
tells in the clear; they are asked before the first request, and again after one that the
device could not be understood in, as it may have another firmware by then.
"""

from __future__ import annotations

import logging
from typing import Final

import anyio

from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.http.device import DeviceHttp
from structiot._kit.http.messages import HttpReply
from structiot._kit.net.network import place
from structiot.errors import (
    LinkLost,
    ProtocolViolation,
    ReplyTimeout,
    UnsupportedDevice,
    UsageError,
)
from structiot.meross.errors import CallDropped
from structiot.meross.link.exchange import (
    PeerClock,
    at_the_right_time,
    check_answer,
    new_message_id,
    read_reply,
)
from structiot.meross.wire.encryption import ENCRYPTED_ABILITY, LanCipher, mac_of_uuid
from structiot.meross.wire.envelope import (
    ANSWERS,
    MAX_ENVELOPE_BYTES,
    Envelope,
    Method,
    Payload,
    encode_envelope,
)
from structiot.meross.wire.system import ABILITY, Abilities, read_abilities

__all__ = ["LanLink"]

_TRIGGER: Final = "structiot"
_MOST_WAITING: Final = 32
_LEAST_S: Final = 0.001
_NOT_FOUND: Final = 404
_OK: Final = 200

_log = logging.getLogger(__name__)


class LanLink:
    """The way to one device; safe to use from several tasks.

    Args:
        host: Its address.
        port: Its port.
        key: The account's key; empty for a device that was not set up yet.
        uuid: Whom to expect; None takes whoever is there.
        mac: Its hardware address, lower case with colons; by default that in its uuid.
        abilities: What it can, if that is known: it is not asked for it then.
        environment: Network, clock and chance.

    Attributes:
        host: As given.
        port: As given.
        uuid: As given, or of the device that answered first.
        abilities: What it said that it can do; None before it did.
        clock: Its time.
    """

    def __init__(
        self,
        host: str,
        port: int = 80,
        *,
        key: str,
        uuid: str | None = None,
        mac: str | None = None,
        abilities: Abilities | None = None,
        environment: Environment = SYSTEM_ENVIRONMENT,
    ) -> None:
        self.host: str = host
        self.port: int = port
        self.uuid: str | None = uuid
        self.abilities: Abilities | None = None
        self._where = place(host, port)
        self.clock: PeerClock = PeerClock(self._where, environment)
        self._key = key
        self._mac = mac
        self._environment = environment
        self._is_known = False
        self._cipher: LanCipher | None = None
        self._lock = anyio.Lock()
        self._waiting = 0
        if abilities and uuid:
            self._meet(abilities, uuid)

    def __repr__(self) -> str:
        return f"<LanLink to {self._where}>"

    @property
    def is_encrypted(self) -> bool | None:
        """Whether it wants encrypted requests; None while that is not known."""
        return self._cipher is not None if self._is_known else None

    def use_key(self, key: str) -> None:
        """Sign, and encrypt, by another key from the next request on."""
        self._key = key
        self._is_known = False

    async def identify(self, *, timeout_s: float = 10.0) -> Abilities:
        """Ask the device who it is and what it can do.

        Raises:
            As `request`.
        """
        await self.request(Method.GET, ABILITY, timeout_s=timeout_s)
        return self.abilities or {}

    async def request(
        self,
        method: Method,
        namespace: str,
        payload: Payload | None = None,
        *,
        timeout_s: float = 10.0,
    ) -> Envelope:
        """Ask the device something within a time for all of it; see `Router.request`.

        Raises:
            LinkLost: The device hung up; some do where they do not know a namespace.
            UnsupportedDevice: What answers knows nothing of this protocol.
            CallDropped: Too many requests wait.
            StructiotError: As `Router.request`.
        """
        if method not in ANSWERS:
            raise UsageError(f"{method} is no request")
        what = f"{method} {namespace}"
        if self._waiting >= _MOST_WAITING:
            message = f"{self._where}: {self._waiting} requests wait already"
            raise CallDropped(message, retry_after_s=1.0)
        deadline = anyio.current_time() + timeout_s
        self._waiting += 1
        try:
            with anyio.CancelScope(deadline=deadline) as patience:
                await self._lock.acquire()
        finally:
            self._waiting -= 1
        if patience.cancelled_caught:
            message = f"{self._where}: no turn for {what} within {timeout_s:.3g} s"
            raise ReplyTimeout(message, request=what, after_s=timeout_s)
        try:
            return await self._ask(method, namespace, payload or {}, deadline)
        finally:
            self._lock.release()

    async def _ask(
        self, method: Method, namespace: str, payload: Payload, deadline: float
    ) -> Envelope:
        if not self._is_known or (method, namespace) == (Method.GET, ABILITY):
            reply = await self._exchange(Method.GET, ABILITY, {}, deadline, None)
            self._meet(read_abilities(reply.payload), reply.device_uuid)
            if (method, namespace) == (Method.GET, ABILITY):
                return reply
        try:
            return await self._exchange(
                method, namespace, payload, deadline, self._cipher
            )
        except (LinkLost, ProtocolViolation) as exc:
            self._is_known = False
            if isinstance(exc, LinkLost) and namespace not in (self.abilities or {}):
                message = f"{exc}; the device does not list {namespace}"
                raise LinkLost(message, reason=exc.reason) from exc
            raise

    def _meet(self, abilities: Abilities, uuid: str | None) -> None:
        """Learn from a device's abilities who it is, and how to speak to it."""
        self.abilities = abilities
        uuid = self.uuid = self.uuid or uuid
        self._cipher = None
        if ENCRYPTED_ABILITY in self.abilities and self._key:
            if uuid is None:
                message = f"{self._where}: an encrypted device that tells no uuid"
                raise ProtocolViolation(message)
            self._cipher = LanCipher(uuid, self._key, self._mac or mac_of_uuid(uuid))
        self._is_known = True

    async def _exchange(
        self,
        method: Method,
        namespace: str,
        payload: Payload,
        deadline: float,
        cipher: LanCipher | None,
    ) -> Envelope:
        async def exchange() -> Envelope:
            request = Envelope(
                namespace=namespace,
                method=method,
                payload=payload,
                message_id=new_message_id(self._environment.random),
                sender=f"http://{self.host}/config",
                timestamp_s=self.clock.timestamp_s(),
                uuid=self.uuid,
                trigger=_TRIGGER,
            )
            reply = await self._post(request, deadline, cipher)
            check_answer(reply, request, self._key, self.clock, self._where)
            return reply

        return await at_the_right_time(exchange)

    async def _post(
        self, request: Envelope, deadline: float, cipher: LanCipher | None
    ) -> Envelope:
        data = encode_envelope(request, self._key)
        kind = "application/json"
        if cipher is not None:
            data, kind = cipher.encrypt(data), "application/octet-stream"
        http = DeviceHttp(
            f"http://{self._where}",
            headers={"Content-Type": kind},
            reply_s=max(deadline - anyio.current_time(), _LEAST_S),
            max_body_bytes=2 * MAX_ENVELOPE_BYTES,
            network=self._environment.network,
        )
        reply = await http.request("POST", "/config", body=data)
        self._check_status(reply)
        body = reply.body
        if cipher is not None and not body.lstrip().startswith(b"{"):
            body = cipher.decrypt(body)
        return read_reply(body, self._where)

    def _check_status(self, reply: HttpReply) -> None:
        if reply.status == _NOT_FOUND:
            message = (
                f"{self._where} does not speak Meross's protocol; EM06P and EM16P have "
                "another one"
            )
            raise UnsupportedDevice(message)
        if reply.status != _OK:
            message = f"{self._where}: HTTP status {reply.status} for an answer"
            raise ProtocolViolation(message)
