"""What a broker's no means: the error, and whether asking again makes sense."""

from __future__ import annotations

from structiot._kit.flow.backoff import Backoff
from structiot._kit.text import printable
from structiot.errors import (
    AuthRefused,
    CertificateRefused,
    ConfigError,
    StructiotError,
    UsageError,
)
from structiot.mqtt.config import MqttConfig
from structiot.mqtt.errors import (
    MqttAuthRefused,
    MqttCertificateRefused,
    MqttConnectFailed,
    MqttConnectRefused,
    MqttGoodbye,
)
from structiot.mqtt.wire.messages import Connack, Disconnect
from structiot.mqtt.wire.reasons import (
    ConnectReturnCode,
    ReasonCode,
    reason_of_return_code,
)
from structiot.mqtt.wire.uri import BrokerUri

__all__ = ["backoff_of", "is_final", "is_refusal", "refusal", "server_goodbye"]

STABLE_S = 60.0
# Attempts after the first to get the first connection, where nothing is configured.
FIRST_RETRIES = 2
_BAD_LOGIN = {
    ReasonCode.BAD_USER_NAME_OR_PASSWORD,
    ReasonCode.NOT_AUTHORIZED,
    ReasonCode.BAD_AUTHENTICATION_METHOD,
    ReasonCode.BANNED,
}
# A refusal with one of these may be gone at the next attempt.
_PASSING = {
    ReasonCode.UNSPECIFIED_ERROR,
    ReasonCode.SERVER_UNAVAILABLE,
    ReasonCode.SERVER_BUSY,
    ReasonCode.SERVER_SHUTTING_DOWN,
    ReasonCode.QUOTA_EXCEEDED,
    ReasonCode.CONNECTION_RATE_EXCEEDED,
}
# After these goodbyes coming back makes it worse: two clients with one id would throw
# each other out for ever.
_STAY_AWAY = {
    ReasonCode.SESSION_TAKEN_OVER,
    ReasonCode.NOT_AUTHORIZED,
    ReasonCode.BANNED,
    ReasonCode.SERVER_MOVED,
}


def connect_error(
    error: StructiotError,
    uri: BrokerUri,
    *,
    attempts: int,
    username: str | None = None,
) -> StructiotError:
    """Make of any failure to connect one that distmqtt's users catch as well."""
    text = str(error)
    made: MqttAuthRefused | MqttCertificateRefused | MqttConnectFailed
    if isinstance(error, ConfigError | UsageError):
        return error
    if isinstance(error, AuthRefused):
        made = MqttAuthRefused(text, account=username, code=error.code)
    elif isinstance(error, CertificateRefused):
        made = MqttCertificateRefused(
            text, host=uri.host, port=uri.port, attempts=attempts
        )
        made.is_passing = error.is_passing
    else:
        made = MqttConnectFailed(text, host=uri.host, port=uri.port, attempts=attempts)
    made.__cause__ = error
    return made


def refusal(connack: Connack, uri: BrokerUri, username: str | None) -> StructiotError:
    """Make an error of a CONNACK that refuses."""
    code = connack.reason
    reason = (
        reason_of_return_code(code) if isinstance(code, ConnectReturnCode) else code
    )
    words = printable(connack.properties.reason_string or "")
    said = f" ({words})" if words else ""
    who = f" for user {username!r}" if username else ""
    message = f"{uri} refused the connection{who}: {reason.text}{said}"
    properties = connack.properties
    if reason in _BAD_LOGIN:
        denied = MqttAuthRefused(message, account=username, code=int(code))
        denied.peer_text = words
        denied.user_properties = properties.user_properties
        return denied
    refused = MqttConnectRefused(message, code=int(code), peer_text=words)
    refused.is_passing = reason in _PASSING
    refused.server_reference = properties.server_reference
    refused.user_properties = properties.user_properties
    return refused


def server_goodbye(disconnect: Disconnect, peer: str) -> MqttGoodbye:
    """Make an error of a DISCONNECT that the broker sent."""
    properties = disconnect.properties
    said = printable(properties.reason_string or "")
    text = disconnect.reason.text + (f" ({said})" if said else "")
    return MqttGoodbye(
        f"{peer} ended the connection: {text}",
        reason=text,
        code=int(disconnect.reason),
        peer_text=said,
        server_reference=properties.server_reference,
        is_final=disconnect.reason in _STAY_AWAY,
    )


def is_final(error: StructiotError, *, is_first: bool = False) -> bool:
    """Whether another attempt could not help, or somebody waits to hear of the first."""
    if isinstance(error, MqttConnectRefused):
        return not error.is_passing
    if isinstance(error, MqttGoodbye):
        return error.is_final
    if isinstance(error, CertificateRefused):
        return is_first or not error.is_passing
    return isinstance(error, AuthRefused | ConfigError | UsageError)


def is_refusal(error: StructiotError) -> bool:
    """Whether one of both sides did not accept the other."""
    return isinstance(error, MqttConnectRefused | AuthRefused | CertificateRefused)


def backoff_of(config: MqttConfig) -> Backoff:
    """Give the schedule of the first connection; a link may lift its limit when there was one."""
    given = config.reconnect_retries
    retries = FIRST_RETRIES if given is None else given
    return Backoff(
        cap_s=config.reconnect_max_interval,
        stable_s=STABLE_S,
        retries=None if retries < 0 else retries,
    )
