"""The server's and the device's side of a connection, by dialect."""

from __future__ import annotations

from typing import TypeAlias

from structiot.manager.wire.dialects import Dialect
from structiot.manager.wire.length16 import FramedDevice, FramedServer
from structiot.manager.wire.native import NativeDevice, NativeServer
from structiot.manager.wire.unframed import UnframedDevice, UnframedServer

__all__ = ["DeviceSide", "ServerSide", "device_side", "server_side"]

ServerSide: TypeAlias = UnframedServer | FramedServer | NativeServer
DeviceSide: TypeAlias = UnframedDevice | FramedDevice | NativeDevice


def server_side(
    dialect: Dialect, nonce: bytes = b"", *, wants_proof: bool = False
) -> ServerSide:
    """Make the server's side of a connection."""
    if dialect is Dialect.STRUCTIOT:
        return NativeServer(nonce, wants_proof=wants_proof)
    return FramedServer() if dialect is Dialect.D4 else UnframedServer(dialect)


def device_side(
    dialect: Dialect, nonce: bytes = b"", *, secret: bytes | None = None
) -> DeviceSide:
    """Make the device's side of a connection."""
    if dialect is Dialect.STRUCTIOT:
        return NativeDevice(nonce, secret=secret)
    return FramedDevice() if dialect is Dialect.D4 else UnframedDevice(dialect)
