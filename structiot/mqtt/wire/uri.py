"""Broker addresses: `mqtt://user:password@host:1883/`."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from structiot.errors import ConfigError

__all__ = ["BrokerUri", "parse_uri"]

DEFAULT_PORTS: dict[str, int | None] = {
    "mqtt": 1883,
    "mqtts": 8883,
    "ws": 80,
    "wss": 443,
    "unix": None,
}
_ALIASES = {"tcp": "mqtt", "ssl": "mqtts", "tls": "mqtts", "mqtt+unix": "unix"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerUri:
    """Where a broker is and who asks.

    Attributes:
        scheme: `mqtt`, `mqtts`, `ws`, `wss` or `unix`.
        host: Name or address; the path of the socket for `unix`.
        port: TCP port; None for `unix`.
        path: Path and query of a websocket.
        username: Percent-decoded user name, if the URI has one.
        password: Percent-decoded password, if the URI has one.
    """

    scheme: str
    host: str
    port: int | None
    path: str = "/"
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def is_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.scheme in {"mqtts", "wss"}

    @property
    def is_websocket(self) -> bool:
        """Whether MQTT travels in a websocket."""
        return self.scheme in {"ws", "wss"}

    @property
    def authority(self) -> str:
        """Host and port as they stand in a URI or a Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    def __str__(self) -> str:
        """Show the address without credentials."""
        return f"{self.scheme}://{self.authority}"


def parse_uri(uri: str, *, may_be_any_port: bool = False) -> BrokerUri:
    """Read a broker's address.

    Args:
        uri: The address.
        may_be_any_port: Whether port 0 is fine, as where a server listens.

    Raises:
        ConfigError: An unknown scheme, no host, a port that is none, or more behind it
            than the scheme has a meaning for.
    """
    given: object = uri
    if not isinstance(given, str):
        kind = type(given).__name__
        raise ConfigError(f"a broker's address is a text, not {kind}")
    if "://" not in uri:
        shown = uri.rpartition("@")[2]  # what stands before may be a password
        raise ConfigError(f"a broker's address begins with mqtt://, not {shown!r}")
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise ConfigError("the host in a broker's address cannot be read") from None
    scheme = _ALIASES.get(parts.scheme, parts.scheme)
    if scheme not in DEFAULT_PORTS:
        known = ", ".join(DEFAULT_PORTS)
        raise ConfigError(
            f"unknown scheme {parts.scheme!r} in a broker's address; use {known}"
        )
    port = _port_of(parts, may_be_any=may_be_any_port)
    _refuse_the_rest(scheme, parts)
    if scheme == "unix":
        host = unquote((parts.netloc.rpartition("@")[2]) + parts.path)
    else:
        host = unquote(parts.hostname or "")
    if not host:
        raise ConfigError(f"no host in the broker's address {scheme}://")
    path = parts.path or "/"
    return BrokerUri(
        scheme=scheme,
        host=host,
        port=DEFAULT_PORTS[scheme] if port is None else port,
        path=f"{path}?{parts.query}" if parts.query else path,
        username=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
    )


def _refuse_the_rest(scheme: str, parts: SplitResult) -> None:
    """Refuse what would be passed over; it is not shown, for it may be of a password."""
    if scheme in {"mqtt", "mqtts"} and parts.path.strip("/"):
        raise ConfigError(
            f"behind host and port of a broker's address {scheme}:// there is no path, and "
            "topics are given apart; that of a websocket begins with ws"
        )
    if parts.fragment or (parts.query and scheme not in {"ws", "wss"}):
        mark = "#" if parts.fragment else "?"
        raise ConfigError(
            f"in a broker's address {scheme}:// there is no {mark}; if it belongs to a name, "
            "it is percent-encoded, as urllib.parse.quote does"
        )


def _port_of(parts: SplitResult, *, may_be_any: bool) -> int | None:
    try:
        port = parts.port
    except ValueError:
        port = -1
    is_wrong = port == -1 or (port == 0 and not may_be_any)
    # Behind the host there is an @ only in paths of websockets and sockets.
    has_path = parts.scheme in {"ws", "wss", "unix", "mqtt+unix"}
    behind = parts.query + parts.fragment
    if is_wrong or not has_path:
        behind += parts.path
    # What a password begins with may hold an @ itself: what is behind it is no host.
    is_cut = "@" in behind and not (has_path and "@" in parts.netloc)
    if is_cut or "@" in parts.fragment:
        raise ConfigError(
            "in the user name and password of a broker's address, / ? and # are "
            "percent-encoded, as urllib.parse.quote(password, safe='') does"
        )
    if is_wrong:
        shown = parts.netloc.rpartition("@")[2].rpartition(":")[2]
        # What is no number may be a password.
        note = f", not {shown}" if shown.isdigit() else ""
        raise ConfigError(f"the port of a broker's address is 1 to 65535{note}")
    return port
