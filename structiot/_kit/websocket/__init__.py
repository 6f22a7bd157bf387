"""Websockets over any byte stream, both roles."""

from __future__ import annotations

from structiot._kit.websocket.connection import (
    WebSocket,
    accept_websocket,
    connect_websocket,
)
from structiot._kit.websocket.origins import Origins

__all__ = ["Origins", "WebSocket", "accept_websocket", "connect_websocket"]
