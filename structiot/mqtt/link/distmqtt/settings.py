"""Our settings in the package's words, and those that it has no words for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from structiot.errors import ConfigError
from structiot.mqtt.config import MqttConfig
from structiot.mqtt.wire.messages import Connect
from structiot.mqtt.wire.uri import BrokerUri

__all__ = ["check", "package_config", "websocket_headers"]


def check(uri: BrokerUri, config: MqttConfig) -> None:
    """Refuse what cannot be had with the package.

    Raises:
        ConfigError: Every such setting, in one message.
    """
    wanted = {
        "protocol '5.0': it speaks MQTT 3.1.1": config.protocol == "5.0",
        "store: it cannot take up a session": config.store is not None,
        "proxy": config.proxy is not None,
        "auth": config.auth is not None,
        "alpn": bool(config.alpn),
        "ssl_context": config.ssl_context is not None,
        "unix sockets": uri.scheme == "unix",
        "mqtts with check_hostname: it does not look at the name in a certificate; "
        "set check_hostname to False to live with that": uri.scheme == "mqtts"
        and config.check_hostname,
    }
    found = [text for text, is_wanted in wanted.items() if is_wanted]
    if found:
        raise ConfigError(f"the engine 'distmqtt' has no {'; no '.join(found)}")


def package_config(
    uri: BrokerUri, config: MqttConfig, connect: Connect
) -> dict[str, Any]:
    """Make the package's configuration of one connection, from the CONNECT it sends.

    Raises:
        ConfigError: Credentials that the package cannot read out of a URI.
    """
    values: dict[str, Any] = {
        # Not as an argument of connect(): that would log the password.
        "broker": {
            "uri": _uri_with(uri, connect),
            "cafile": config.cafile,
            "capath": config.capath,
            "cadata": config.cadata,
        },
        "cleansession": connect.clean_start,
        # The package announces the difference; when to ping is decided by us.
        "keep_alive": connect.keep_alive_s,
        "ping_delay": 0,
        # Our session heals and knows what to do after it; the package gives up.
        "auto_reconnect": False,
        "check_hostname": config.check_hostname,
        # The logging plugin would write the password down.
        "plugins": [],
    }
    if config.certfile is not None:
        values["certfile"] = config.certfile
        values["keyfile"] = config.keyfile or config.certfile
    if connect.will is not None:
        values["will"] = {
            "topic": connect.will.topic,
            "message": connect.will.payload,
            "qos": connect.will.qos,
            "retain": connect.will.retain,
        }
    return values


def websocket_headers(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Give HTTP header fields as the package's websocket takes them."""
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def _uri_with(uri: BrokerUri, connect: Connect) -> str:
    user = connect.username
    try:
        password = None if connect.password is None else connect.password.decode()
    except UnicodeDecodeError:
        raise ConfigError("the engine 'distmqtt' takes passwords of text") from None
    userinfo = ""
    if user is not None:
        userinfo = f"{user}@" if password is None else f"{user}:{password}@"
    path = uri.path if uri.is_websocket else "/"
    made = f"{uri.scheme}://{userinfo}{uri.authority}{path}"
    if _credentials(made) != (user, password):
        # It does not decode percent signs, so nothing can be written otherwise.
        message = "the engine 'distmqtt' takes no user name with : / ? # [ or ] in it, "
        raise ConfigError(message + "no empty one, and no password with / ? # [ or ]")
    return made


def _credentials(uri: str) -> tuple[str | None, str | None]:
    try:
        parts = urlsplit(uri)
    except ValueError:
        return "", ""
    return parts.username, parts.password
