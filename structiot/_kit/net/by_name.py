"""Connecting to a name, which may have several addresses.

They are tried in turn, the families alternating, each a moment after the one before or
as soon as that has failed; the first that answers is taken (RFC 8305, "happy eyeballs").
The stream is our own `SocketStream`. asyncio's transport would close the socket as soon
as a write fails, and what the peer has said before with it: a TLS alert that says why.
"""

from __future__ import annotations

import socket
from itertools import chain, zip_longest
from typing import Any

import anyio

from structiot._kit.flow.tasks import service_group
from structiot._kit.net.connecting import connect
from structiot._kit.net.sockets import SocketStream

__all__ = ["connect_by_name"]

HEAD_START_S = 0.25


async def connect_by_name(host: str, port: int) -> SocketStream:
    """Connect to the first address of a name that answers.

    Raises:
        OSError: The name is unknown, or no address answers; if there are several, the
            cause is an `ExceptionGroup` of why each did not.
    """
    infos = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    connected: list[SocketStream] = []
    errors: list[OSError] = []
    try:
        async with service_group() as tg:

            async def attempt(
                family: socket.AddressFamily,
                address: tuple[Any, ...],
                failed: anyio.Event,
            ) -> None:
                try:
                    stream = await connect(address, family)
                except OSError as exc:
                    errors.append(exc)
                    failed.set()
                else:
                    connected.append(stream)
                    tg.cancel_scope.cancel()

            for family, address in _in_turn(infos):
                failed = anyio.Event()
                tg.start_soon(attempt, family, address, failed)
                with anyio.move_on_after(HEAD_START_S):
                    await failed.wait()
    except BaseException:
        for stream in connected:
            await anyio.aclose_forcefully(stream)
        raise
    for stream in connected[1:]:
        await anyio.aclose_forcefully(stream)
    if connected:
        return connected[0]
    if len(errors) == 1:
        raise errors[0]
    message = "no address answers"
    raise OSError(message) from ExceptionGroup(message, errors)


def _in_turn(infos: list[Any]) -> list[tuple[socket.AddressFamily, tuple[Any, ...]]]:
    """Give each address once; the family that the system has put first begins."""
    known = dict.fromkeys((info[0], info[4]) for info in infos)
    first = [one for one in known if one[0] == infos[0][0]]
    others = [one for one in known if one[0] != infos[0][0]]
    return [one for one in chain(*zip_longest(first, others)) if one is not None]
