"""Which CONNECT an attempt begins with: version, session, credentials."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from structiot._kit.redact import Secret
from structiot.errors import (
    LinkLost,
    ProtocolViolation,
    StructiotError,
    UsageError,
)
from structiot.mqtt.config import MqttConfig
from structiot.mqtt.errors import MqttConnectRefused
from structiot.mqtt.wire.flows.outbound import MAX_PACKET_ID
from structiot.mqtt.wire.messages import Connack, Connect
from structiot.mqtt.wire.properties import (
    ConnectProperties,
    DisconnectProperties,
    pairs_of_text,
)
from structiot.mqtt.wire.reasons import ConnectReturnCode, ReasonCode
from structiot.mqtt.wire.uri import BrokerUri

__all__ = ["ConnectHandshake"]

T = TypeVar("T", bound=str | bytes | Secret)

FOR_EVER_S = 0xFFFF_FFFF
# How long a broker keeps a session that is to be clean when we leave, so that nothing
# is lost while we reconnect.
RECONNECT_SESSION_S = 600


class ConnectHandshake:
    """Makes the CONNECT of each attempt and learns from the answers.

    Attributes:
        client_id: As given; if none was, as the broker assigned it; empty until it has.
        username: The name used last, for error messages.
        version: 4 for MQTT 3.1.1, 5 for 5.0.
    """

    def __init__(self, config: MqttConfig, client_id: str) -> None:
        self.client_id: str = client_id
        self.username: str | None = None
        self.version = 4 if config.protocol == "3.1.1" else 5
        self._config = config
        # Without 5.0 there is no enhanced authentication.
        self._may_fall_back = config.protocol == "auto" and config.auth is None
        self._has_session = False

    async def packet(self, uri: BrokerUri) -> Connect:
        """Make the CONNECT of the next attempt; asks callables for credentials."""
        config = self._config
        self.username = uri.username
        if self.username is None:
            self.username = await _asked(config.username)
        secret: str | bytes | Secret | None = uri.password
        if secret is None:
            secret = await _asked(config.password)
        properties = ConnectProperties()
        if self.version >= 5:
            properties = await self._properties()
        clean_start = config.cleansession and not (
            self._has_session and self.version >= 5
        )
        return Connect(
            client_id=self.client_id,
            clean_start=clean_start,
            keep_alive_s=config.keep_alive,
            username=self.username,
            password=_as_bytes(secret),
            will=config.will,
            version=self.version,
            properties=properties,
        )

    @property
    def _session_expiry_s(self) -> int:
        if self._config.session_expiry_s is not None:
            return self._config.session_expiry_s
        return RECONNECT_SESSION_S if self._config.cleansession else FOR_EVER_S

    async def _properties(self) -> ConnectProperties:
        config = self._config
        auth = config.auth
        receive_maximum = config.delivery_window
        return ConnectProperties(
            session_expiry_s=self._session_expiry_s or None,
            receive_maximum=None
            if receive_maximum == MAX_PACKET_ID
            else receive_maximum,
            maximum_packet_bytes=config.max_packet_bytes,
            topic_alias_maximum=config.topic_alias_maximum or None,
            request_response_information=config.response_information or None,
            authentication_method=None if auth is None else auth.method,
            authentication_data=None if auth is None else await auth.begin(),
            user_properties=pairs_of_text(config.user_properties),
        )

    def goodbye(self) -> DisconnectProperties:
        """Say with the DISCONNECT that a clean session is not needed any more."""
        if self.version >= 5 and self._config.cleansession and self._session_expiry_s:
            return DisconnectProperties(session_expiry_s=0)
        return DisconnectProperties()

    def goodbye_with(self, session_expiry_s: int) -> DisconnectProperties:
        """Say with the DISCONNECT how long the session is to be kept.

        Raises:
            UsageError: The standard does not let us say this.
        """
        if self.version < 5:
            raise UsageError("a session expiry needs MQTT 5.0")
        is_whole = isinstance(session_expiry_s, int)
        if not is_whole or not 0 <= session_expiry_s <= FOR_EVER_S:
            raise UsageError(f"a session expiry is 0 to {FOR_EVER_S} seconds")
        if session_expiry_s and not self._session_expiry_s:
            raise UsageError("a session that was to end with the connection stays so")
        return DisconnectProperties(session_expiry_s=session_expiry_s)

    def accepted(self, connack: Connack) -> None:
        """Remember what the broker said when it accepted us.

        Raises:
            AuthRefused: It is not the broker that it should be.
        """
        if self._config.auth is not None:
            self._config.auth.finish(connack.properties.authentication_data)
        self._may_fall_back = False
        # It answers a zero-length id (5.0, 3.2.2.3.7). With any other it is neither an error
        # nor ours: the session goes by the id that we have named.
        if connack.properties.assigned_client_id and not self.client_id:
            self.client_id = connack.properties.assigned_client_id
        # A session without a name cannot be asked for again.
        self._has_session = bool(self.client_id)

    def fall_back(self, error: StructiotError) -> bool:
        """Try MQTT 3.1.1 next, if this failure looks like a broker without 5.0."""
        if not self._may_fall_back or self.version < 5:
            return False
        if isinstance(error, MqttConnectRefused):
            is_about_version = error.code in {
                ConnectReturnCode.UNACCEPTABLE_PROTOCOL_VERSION,
                ReasonCode.UNSUPPORTED_PROTOCOL_VERSION,
            }
        else:
            # Old brokers answer in their own way or just hang up.
            is_about_version = isinstance(error, ProtocolViolation | LinkLost)
        if is_about_version:
            self.version = 4
        return is_about_version


async def _asked(
    value: T | Callable[[], T | Awaitable[T | None] | None] | None,
) -> T | None:
    if not callable(value):
        return value
    answer = value()
    return await answer if isinstance(answer, Awaitable) else answer


def _as_bytes(secret: str | bytes | Secret | None) -> bytes | None:
    if isinstance(secret, Secret):
        secret = secret.reveal()
    return secret.encode() if isinstance(secret, str) else secret
