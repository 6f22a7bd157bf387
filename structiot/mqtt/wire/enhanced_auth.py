"""The client's half of enhanced authentication: which AUTH may come when (5.0 section 4.12).

The method is named in CONNECT and is the same in every AUTH and in the CONNACK that
accepts us. The client may ask to authenticate again once it is connected; the server
may not.
"""

from __future__ import annotations

from structiot._kit.text import printable
from structiot.mqtt.wire.messages import Auth, Connack
from structiot.mqtt.wire.properties import AuthProperties
from structiot.mqtt.wire.reasons import ReasonCode

__all__ = ["EnhancedAuth"]


class EnhancedAuth:
    """The exchanges of one connection.

    Args:
        method: As named in the CONNECT; None where there is no exchange.
    """

    def __init__(self, method: str | None) -> None:
        self._method = method
        # From the CONNECT on, and from our AUTH to the server's last.
        self._is_under_way = method is not None

    def begin_again(self, data: bytes | None) -> Auth:
        """Make the AUTH that begins another exchange."""
        self._is_under_way = True
        return self._auth(ReasonCode.REAUTHENTICATE, data)

    def answer(self, data: bytes | None) -> Auth:
        """Make the AUTH that goes on with the exchange."""
        return self._auth(ReasonCode.CONTINUE_AUTHENTICATION, data)

    def _auth(self, reason: ReasonCode, data: bytes | None) -> Auth:
        properties = AuthProperties(
            authentication_method=self._method, authentication_data=data
        )
        return Auth(reason=reason, properties=properties)

    def take(self, packet: Auth, *, is_open: bool) -> str | None:
        """Take an AUTH; give what is wrong with it, if anything is."""
        method = packet.properties.authentication_method
        if self._method is None or not self._is_under_way:
            return "an AUTH came that nobody has asked for"
        if method != self._method:
            named = printable(repr(method))
            return f"an AUTH came by the method {named}, not {self._method!r}"
        if packet.reason is ReasonCode.CONTINUE_AUTHENTICATION:
            return None
        if packet.reason is ReasonCode.SUCCESS and is_open:
            self._is_under_way = False
            return None
        return f"an AUTH came with the reason {packet.reason.text}"

    def accepted(self, connack: Connack) -> str | None:
        """Take the CONNACK that accepts us; give what is wrong with it."""
        self._is_under_way = False
        method = connack.properties.authentication_method
        if method != self._method:
            named = printable(repr(method))
            return f"the CONNACK names the method {named}, not {self._method!r}"
        return None
