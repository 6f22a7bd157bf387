"""Enhanced authentication (MQTT 5.0): the steps between CONNECT and CONNACK, and later ones."""

from __future__ import annotations

from copy import copy

import anyio

from structiot.errors import (
    LinkLost,
    ReplyTimeout,
    StructiotError,
    UsageError,
)
from structiot.mqtt.authentication import Authentication
from structiot.mqtt.config import MqttConfig
from structiot.mqtt.link.connection import Connection
from structiot.mqtt.link.pings import finished_within
from structiot.mqtt.wire.flows.outbound import Flow
from structiot.mqtt.wire.messages import Auth
from structiot.mqtt.wire.protocol import ClientProtocol
from structiot.mqtt.wire.reasons import ReasonCode

__all__ = ["AuthExchanges"]


class AuthExchanges:
    """Does the exchanges of one link."""

    def __init__(self, config: MqttConfig, protocol: ClientProtocol, peer: str) -> None:
        self._authentication = config.auth
        self._protocol = protocol
        self._peer = peer
        self._reply_s = config.connect_s
        self._one_at_a_time = anyio.Lock()
        self._again: Flow | None = None

    def take(self, packet: Auth, connection: Connection) -> None:
        """Go on with an exchange."""
        authentication = self._authentication
        if authentication is None:
            return
        data = packet.properties.authentication_data
        if packet.reason is ReasonCode.CONTINUE_AUTHENTICATION:
            connection.start(self._answer, authentication, data, connection)
            return
        error: StructiotError | None = None
        try:
            authentication.finish(data)
        except StructiotError as exc:
            error = exc
            connection.end(exc)
        self._end(error)

    async def _answer(
        self,
        authentication: Authentication,
        data: bytes | None,
        connection: Connection,
    ) -> None:
        try:
            answer = await authentication.answer(data)
        except StructiotError as exc:
            connection.end(exc)
            self._end(exc)
            return
        self._protocol.authenticate(answer)
        connection.writer.wake()

    async def again(self, connection: Connection) -> None:
        """Authenticate again on an open connection.

        Raises:
            UsageError: The client has no `auth`.
            ReplyTimeout: The broker did not answer in time.
            LinkLost: The connection ended, for the broker refused it or by itself.
        """
        authentication = self._authentication
        if authentication is None:
            raise UsageError("the client was opened without auth")
        async with self._one_at_a_time:
            data = await authentication.begin()
            # Nothing is sent by it; it is what is waited for and what may fail.
            self._again = done = Flow("", b"", 0)
            self._protocol.authenticate(data, again=True)
            connection.writer.wake()
            keep_alive = self._protocol.keep_alive
            if not await finished_within(self._reply_s, done, keep_alive):
                text = f"{self._peer} did not end the authentication in {self._reply_s:g} s"
                done.error = ReplyTimeout(text, request="AUTH", after_s=self._reply_s)
                connection.end(done.error)
            if done.error is not None:
                raise copy(done.error)

    def connection_lost(self, error: StructiotError | None) -> None:
        """No exchange will end any more."""
        text = f"connection to {self._peer} lost while authenticating again"
        self._end(error or LinkLost(text))

    def _end(self, error: StructiotError | None) -> None:
        if self._again is not None:
            self._again.finish(error)
            self._again = None
