"""Websockets over any byte stream, both roles."""

from __future__ import annotations

from structiot._kit.websocket.connection import (
    WebSocket,
    accept_websocket,
    connect_websocket,
)

__all__ = ["WebSocket", "accept_websocket", "connect_websocket"]
