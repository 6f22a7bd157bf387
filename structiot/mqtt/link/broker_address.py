"""Where the broker is, and the way there.

An address is given once, asked for before every attempt, or told by a broker.
"""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

import anyio
from anyio.abc import ByteStream

from structiot._kit.streams import StreamOpener, open_unix
from structiot.errors import ConfigError, StructiotError
from structiot.mqtt.errors import MqttConnectRefused, MqttGoodbye
from structiot.mqtt.wire.reasons import ReasonCode
from structiot.mqtt.wire.uri import BrokerUri, parse_uri

__all__ = ["Address", "UriSource"]

UriSource: TypeAlias = str | Callable[[], str | Awaitable[str]]

# Some names of the longest hosts there are, in the characters that they may have.
_LONGEST_REFERENCE = 2048
_SERVER = re.compile(r"([a-z+]+://)?[-\w.:%\[\]]{1,300}/?", re.ASCII | re.IGNORECASE)

# Who is sent on sooner than that after the last time goes in a circle.
_SETTLED_S = 60.0

_MOVED = {ReasonCode.USE_ANOTHER_SERVER, ReasonCode.SERVER_MOVED}


class Address:
    """The address of each attempt.

    Made by `find`, which asks for the first one.

    Attributes:
        uri: Where the present attempt or connection goes.
        step: What the present attempt waits for, in words.
    """

    def __init__(
        self, uri: BrokerUri, source: UriSource, *, max_redirects: int
    ) -> None:
        self.uri: BrokerUri = uri
        self.step: str = ""
        self._source = source
        self._home = uri
        self._is_fresh = True
        self._detour: BrokerUri | None = None
        self._max_redirects = max_redirects
        self._redirects = 0
        self._redirected_at = -math.inf

    @classmethod
    async def find(cls, source: UriSource, *, max_redirects: int) -> Address:
        """Ask for the first address.

        Raises:
            ConfigError: It is none.
        """
        return cls(await _asked(source), source, max_redirects=max_redirects)

    async def next(self) -> BrokerUri:
        """Give the address of the next attempt.

        Raises:
            ConfigError: What was asked gave none.
        """
        self.note_step("address and credentials")
        detour, self._detour = self._detour, None
        if detour is not None:
            self.uri = detour
        elif callable(self._source) and not self._is_fresh:
            self.uri = self._home = await _asked(self._source)
        else:
            self.uri = self._home
        self._is_fresh = False
        return self.uri

    def note_step(self, step: str) -> None:
        """The present attempt waits for something else."""
        self.step = step

    async def connect(
        self, streams: StreamOpener, headers: Mapping[str, str]
    ) -> ByteStream:
        """Open the stream that MQTT packets travel in; the caller sets the deadline.

        Raises:
            ConnectFailed: Nobody there, refused, or TLS or websocket failed.
            AuthRefused: A proxy or a web server wants other credentials.
        """
        uri = self.uri
        if uri.port is None:
            self.note_step("a connection")
            return await open_unix(uri.host)
        if not uri.is_websocket:
            return await streams.open(
                uri.host, uri.port, is_tls=uri.is_tls, on_step=self.note_step
            )
        websocket = await streams.open_websocket(
            uri.host,
            uri.port,
            is_tls=uri.is_tls,
            path=uri.path,
            subprotocols=["mqtt"],
            headers=headers,
            on_step=self.note_step,
        )
        return websocket.as_byte_stream()

    def follow(self, error: StructiotError) -> bool:
        """Go where a broker has sent us, if we follow; True when we do.

        "Use another server" holds for one attempt, "server moved" from now on.
        """
        if not isinstance(error, MqttConnectRefused | MqttGoodbye):
            return False
        target = _target(error.server_reference, self.uri)
        now = anyio.current_time()
        if now - self._redirected_at > _SETTLED_S:
            self._redirects = 0
        if (
            target is None
            or error.code not in _MOVED
            or self._redirects >= self._max_redirects
        ):
            return False
        self._redirects += 1
        self._redirected_at = now
        self._detour = target
        if error.code == ReasonCode.SERVER_MOVED:
            self._home = target
        return True


async def _asked(source: UriSource) -> BrokerUri:
    if not callable(source):
        return parse_uri(source)
    answer = source()
    return parse_uri(await answer if isinstance(answer, Awaitable) else answer)


def _target(reference: str | None, uri: BrokerUri) -> BrokerUri | None:
    """Read the first usable server of a Server Reference: host, or host:port."""
    for name in (reference or "")[:_LONGEST_REFERENCE].split():
        if not _SERVER.fullmatch(name):
            continue
        try:
            found = parse_uri(name if "://" in name else f"{uri.scheme}://{name}")
        except ConfigError:
            continue
        if found.scheme == uri.scheme and found.username is None:
            return replace(uri, host=found.host, port=found.port)
    return None
