"""What can go wrong with a broker, as leaves of the common error tree."""

from __future__ import annotations

from structiot.errors import (
    AuthRefused,
    CertificateRefused,
    CommandRefused,
    ConnectFailed,
    LinkLost,
    StructiotError,
    TransportError,
)

__all__ = [
    "ClientException",
    "ConnectException",
    "MessageExpired",
    "MqttAuthRefused",
    "MqttCertificateRefused",
    "MqttConnectFailed",
    "MqttConnectRefused",
    "MqttGoodbye",
    "MqttSessionLost",
    "SubscribeRefused",
]


ClientException = StructiotError
"""distmqtt's name for the root of what a client raises."""


class ConnectException(StructiotError):
    """No session with the broker; the base that distmqtt's users catch.

    Attributes:
        return_code: CONNACK code of the broker; 0x7F when it did not answer.
    """

    return_code: int = 0x7F


class MqttConnectFailed(ConnectFailed, ConnectException):
    """The broker could not be reached, or broke off before the CONNACK."""


class MqttCertificateRefused(CertificateRefused, ConnectException):
    """The broker's TLS certificate is not one that we accept."""


class MqttAuthRefused(AuthRefused, ConnectException):
    """The broker does not accept user name, password or client.

    Attributes:
        peer_text: The broker's own words, where it gave any (MQTT 5.0).
        user_properties: Names and values that it gave with them.
    """

    peer_text: str = ""
    user_properties: tuple[tuple[str, str], ...] = ()

    @property
    def return_code(self) -> int:  # type: ignore[override]  # read-only here
        """CONNACK code of the broker."""
        return 0x7F if self.code is None else self.code


class MqttConnectRefused(CommandRefused, ConnectException):
    """The broker answered and refused the connection for another reason.

    Attributes:
        is_passing: Whether the broker may accept us later.
        server_reference: Another server that it has named (MQTT 5.0).
        user_properties: Names and values that it gave with the reason.
    """

    is_passing: bool = False
    server_reference: str | None = None
    user_properties: tuple[tuple[str, str], ...] = ()

    @property
    def return_code(self) -> int:  # type: ignore[override]  # read-only here
        """CONNACK code of the broker."""
        return 0x7F if self.code is None else self.code


class MessageExpired(TransportError, TimeoutError):
    """A message was not worth sending any more when it could have been sent."""


class MqttGoodbye(LinkLost):
    """The broker has ended the connection and said why (MQTT 5.0).

    Attributes:
        code: The reason code of its DISCONNECT.
        peer_text: Its own words, where it gave any.
        server_reference: Another server that it has named.
        is_final: Whether coming back would make it worse.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        since_s: float | None = None,
        code: int = 0,
        peer_text: str = "",
        server_reference: str | None = None,
        is_final: bool = False,
    ) -> None:
        super().__init__(message, reason=reason, since_s=since_s)
        self.code = code
        self.peer_text = peer_text
        self.server_reference = server_reference
        self.is_final = is_final


class MqttSessionLost(LinkLost):
    """The broker has kept no session when a connection with QoS 2 under way was lost.

    A clean session ends with each connection. Whether it was delivered is unknown, and sending it again could deliver it twice. The
    client itself lives on, unlike with any other `LinkLost` of a publisher.

    Attributes:
        topic: Where the message was to go.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        since_s: float | None = None,
        topic: str = "",
    ) -> None:
        super().__init__(message, reason=reason, since_s=since_s)
        self.topic = topic


class SubscribeRefused(CommandRefused):
    """The broker refused a subscription.

    Attributes:
        topic_filter: The filter it refused.
    """

    def __init__(
        self,
        message: str,
        *,
        topic_filter: str = "",
        code: int | None = None,
        peer_text: str = "",
    ) -> None:
        super().__init__(message, code=code, peer_text=peer_text)
        self.topic_filter = topic_filter
