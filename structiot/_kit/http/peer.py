"""Who is at which end of a connection."""

from __future__ import annotations

from anyio.abc import ByteStream, SocketAttribute

from structiot._kit.net.network import Address

__all__ = ["local_of", "peer_of"]


def peer_of(stream: ByteStream) -> Address:
    """Give the address of whoever is at the other end."""
    address = stream.extra(SocketAttribute.remote_address, ("", 0))
    return (str(address[0]), int(address[1]))


def local_of(stream: ByteStream) -> Address:
    """Give the address that somebody has connected to."""
    address = stream.extra(SocketAttribute.local_address, ("", 0))
    return (str(address[0]), int(address[1]))
