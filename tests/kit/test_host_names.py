"""Names with several addresses; uvloop looks them up by itself, where no test reaches."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest

from structiot._kit.net.network import REAL_NETWORK
from structiot.errors import ConnectFailed
from tests.kit.ends import served


async def test_every_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch):
    look_up = socket.getaddrinfo

    def look_up_two(host: Any, *arguments: Any, **options: Any) -> Any:
        if os.fsdecode(host) != "two.test":
            return look_up(host, *arguments, **options)
        return [
            info
            for address in ("127.0.0.2", "127.0.0.1")
            for info in look_up(address, *arguments, **options)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", look_up_two)
    async with served(REAL_NETWORK, "127.0.0.1") as server:
        port = server.address[1]
        with pytest.raises(ConnectFailed):
            await REAL_NETWORK.connect_tcp("127.0.0.2", port)
        async with await REAL_NETWORK.connect_tcp("two.test", port) as client:
            await client.send(b"here")
            assert await (await server.stream()).receive() == b"here"
