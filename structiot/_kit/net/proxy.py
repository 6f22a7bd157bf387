"""TCP connections through a proxy: HTTP's CONNECT and SOCKS 5 (RFC 9110, 1928, 1929).

The deadline is the caller's. Every answer of a proxy has a limit, and one that sends
anything behind it is left: no protocol here has the far side speak first.

SOCKS is by hand because socksio, unchanged since 2020, takes a reply only if it comes in
one piece: what is hard about it, reading so many bytes and no more, would stay here.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import anyio
from anyio.abc import ByteStream

from structiot._kit.net.network import LOST, Network, place, reason_of
from structiot._kit.text import printable
from structiot.errors import AuthRefused, ConfigError, ConnectFailed

__all__ = ["Proxy", "connect_through", "parse_proxy"]

MAX_HEAD_BYTES = 16_384
DEFAULT_PORTS = {"http": 8080, "socks5": 1080}

_SOCKS = 5
_NO_LOGIN, _LOGIN = 0, 2
_BY_NAME = 3
_ADDRESS_BYTES = {1: 4, 4: 16}
_REFUSALS = {
    1: "general failure",
    2: "not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "time to live expired",
    7: "command not supported",
    8: "address type not supported",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """Where a proxy is, and who asks.

    Attributes:
        scheme: `http` or `socks5`.
        host: Name or address.
        port: TCP port.
        username: User name, if it wants one.
        password: Password, if it wants one.
    """

    scheme: str
    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        """Show the address without credentials."""
        return f"{self.scheme}://{place(self.host, self.port)}"


def parse_proxy(uri: str) -> Proxy:
    """Read a proxy's address: `http://user:password@host:port`, or `socks5://`.

    Raises:
        ConfigError: It is none.
    """
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        raise ConfigError("the proxy's address cannot be read") from None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or port == 0:
        raise ConfigError("a proxy's address is http://host:port or socks5://host:port")
    return Proxy(
        scheme=parts.scheme,
        host=unquote(parts.hostname),
        port=DEFAULT_PORTS[parts.scheme] if port is None else port,
        username=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
    )


async def connect_through(
    network: Network, proxy: Proxy, host: str, port: int
) -> ByteStream:
    """Open a connection to a host by way of a proxy, which looks up its name.

    Raises:
        ConnectFailed: The proxy cannot be reached, or cannot reach the host.
        AuthRefused: The proxy wants other credentials.
    """
    stream = await network.connect_tcp(proxy.host, proxy.port)
    through = _through_http if proxy.scheme == "http" else _through_socks
    try:
        await through(stream, proxy, host, port)
    except LOST as exc:
        await anyio.aclose_forcefully(stream)
        if isinstance(exc, ConnectFailed):
            raise
        message = f"the proxy {proxy} hung up on the way to {place(host, port)}"
        raise ConnectFailed(
            f"{message}: {reason_of(exc)}", host=host, port=port
        ) from exc
    except BaseException:
        await anyio.aclose_forcefully(stream)
        raise
    return stream


def _failed(proxy: Proxy, host: str, port: int, why: str) -> ConnectFailed:
    message = f"the proxy {proxy} does not connect to {place(host, port)}: {why}"
    return ConnectFailed(message, host=host, port=port)


def _denied(proxy: Proxy) -> AuthRefused:
    who = f"user {proxy.username!r}" if proxy.username else "anybody without a name"
    return AuthRefused(f"the proxy {proxy} does not take {who}", account=proxy.username)


# -- HTTP ------------------------------------------------------------------------------


async def _through_http(stream: ByteStream, proxy: Proxy, host: str, port: int) -> None:
    where = place(host, port)
    lines = [f"CONNECT {where} HTTP/1.1", f"Host: {where}"]
    if proxy.username is not None:
        login = f"{proxy.username}:{proxy.password or ''}".encode()
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(login).decode()}")
    await stream.send("\r\n".join([*lines, "", ""]).encode())
    head = bytearray()
    while b"\r\n\r\n" not in head:
        if len(head) > MAX_HEAD_BYTES:
            raise _failed(proxy, host, port, "its answer does not end")
        head += await stream.receive(MAX_HEAD_BYTES)
    version, _, rest = bytes(head.partition(b"\r\n")[0]).partition(b" ")
    status, text = rest[:3], rest[3:].strip().decode(errors="replace")
    if not version.startswith(b"HTTP/1.") or not status.isdigit():
        raise _failed(proxy, host, port, "it does not speak HTTP")
    if status == b"407":
        raise _denied(proxy)
    if not status.startswith(b"2"):
        raise _failed(proxy, host, port, printable(f"{status.decode()} {text}".strip()))
    if head.partition(b"\r\n\r\n")[2]:
        raise _failed(proxy, host, port, "it sends more than an answer")


# -- SOCKS 5 -----------------------------------------------------------------------------


async def _through_socks(
    stream: ByteStream, proxy: Proxy, host: str, port: int
) -> None:
    has_login = proxy.username is not None
    methods = bytes([_NO_LOGIN, _LOGIN] if has_login else [_NO_LOGIN])
    await stream.send(bytes([_SOCKS, len(methods)]) + methods)
    version, method = await _exactly(stream, 2)
    if version != _SOCKS:
        raise _failed(proxy, host, port, "it does not speak SOCKS 5")
    if method == _LOGIN and has_login:
        await stream.send(b"\x01" + _text(proxy.username) + _text(proxy.password))
        if (await _exactly(stream, 2))[1] != 0:
            raise _denied(proxy)
    elif method != _NO_LOGIN:
        raise _denied(proxy)
    request = bytes([_SOCKS, 1, 0, _BY_NAME]) + _text(host) + port.to_bytes(2, "big")
    await stream.send(request)
    version, reply, _, kind = await _exactly(stream, 4)
    if version != _SOCKS:
        raise _failed(proxy, host, port, "it does not speak SOCKS 5")
    if reply != 0:
        why = _REFUSALS.get(reply, f"refusal {reply}")
        raise _failed(proxy, host, port, why)
    size = _ADDRESS_BYTES.get(kind)
    if size is None:
        size = (await _exactly(stream, 1))[0]
    await _exactly(stream, size + 2)


def _text(text: str | None) -> bytes:
    data = (text or "").encode()
    if len(data) > 255:
        raise ConfigError("SOCKS takes names and passwords of 255 bytes at most")
    return bytes([len(data)]) + data


async def _exactly(stream: ByteStream, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        data += await stream.receive(size - len(data))
    return bytes(data)
