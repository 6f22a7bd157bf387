"""The client for clouds, which brings httpx along when the first cloud is spoken to.

httpx and what it imports take longer than a command for a device in the same network
does in all. So they come in a worker thread, where no loop waits for them.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from importlib import import_module

import anyio.to_thread

from structiot._kit.http.base_client import BaseHttpClient
from structiot._kit.net.network import REAL_NETWORK, Network

__all__ = ["open_cloud"]

_CLIENT = "structiot._kit.http.client"


@asynccontextmanager
async def open_cloud(
    base_url: str,
    *,
    reply_s: float,
    max_body_bytes: int = 1_048_576,
    headers: Mapping[str, str] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    network: Network = REAL_NETWORK,
) -> AsyncGenerator[BaseHttpClient]:
    """Open a client for one server; arguments and errors are those of `open_http`."""
    client = await anyio.to_thread.run_sync(import_module, _CLIENT)
    async with client.open_http(
        base_url,
        reply_s=reply_s,
        max_body_bytes=max_body_bytes,
        headers=headers,
        ssl_context=ssl_context,
        network=network,
    ) as http:
        yield http
