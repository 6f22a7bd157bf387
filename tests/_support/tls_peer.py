"""A TLS peer that says what it likes and when: its records are made here, one by one.

Python's ssl cannot be told to send a new key or to begin another handshake: OpenSSL can.
"""

from __future__ import annotations

import _ssl
import ctypes
import ssl
from pathlib import Path

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream

# Where the SSL stands in CPython's object: behind the object's head and a reference.
_SSL_AT = object.__basicsize__ + ctypes.sizeof(ctypes.c_void_p)


def _openssl() -> ctypes.CDLL:
    maps = Path("/proc/self/maps").read_text("utf-8").splitlines()
    found = [line.split()[-1] for line in maps if "libssl" in line]
    return ctypes.CDLL(found[0] if found else _ssl.__file__)


class TlsPeer:
    """One end of a connection.

    Args:
        context: Its settings.
        name: Whom it expects; None: it is the server.
    """

    def __init__(self, context: ssl.SSLContext, name: str | None = None) -> None:
        self._came, self._made = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._came, self._made, server_side=name is None, server_hostname=name
        )
        self._stream: ByteStream | None = None
        self._openssl = _openssl()
        raw: object = self._tls._sslobj  # type: ignore[attr-defined]
        at = ctypes.c_void_p.from_address(id(raw) + _SSL_AT)
        self._ssl = ctypes.c_void_p(at.value)

    async def shake_hands(self, stream: ByteStream) -> None:
        """Do the handshake on a stream, and go on on it."""
        self._stream = stream
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await stream.send(self._made.read())
                self._came.write(await stream.receive())
            else:
                await stream.send(self._made.read())
                return

    def records_of(self, data: bytes) -> bytes:
        """Encrypt something, and whatever else is to be sent."""
        self._tls.write(data)
        return self._made.read()

    def new_keys(self, count: int) -> bytes:
        """Give as many new keys, each with the wish that the other end takes one, too."""
        records = []
        for _ in range(count):
            assert self._openssl.SSL_key_update(self._ssl, 1) == 1
            self._openssl.SSL_do_handshake(self._ssl)
            records.append(self._made.read())
        return b"".join(records)

    def other_handshake(self) -> bytes:
        """Begin another handshake, which TLS 1.2 has."""
        self._openssl.SSL_renegotiate(self._ssl)
        self._openssl.SSL_do_handshake(self._ssl)
        return self._made.read()

    async def send(self, records: bytes) -> None:
        """Send records as they are."""
        assert self._stream is not None
        await self._stream.send(records)

    async def receive(self) -> bytes:
        """Wait for data, and answer what TLS itself says; empty at the end."""
        assert self._stream is not None
        while True:
            try:
                return self._tls.read(65_536)
            except ssl.SSLWantReadError:
                if answer := self._made.read():
                    await self._stream.send(answer)
                try:
                    self._came.write(await self._stream.receive())
                except anyio.EndOfStream:
                    return b""
