"""Clients that dial in over real sockets: what the kernel takes, and what it does not."""

from __future__ import annotations

import socket
import ssl
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
import trustme
from anyio.abc import SocketAttribute

from structiot._kit.net.network import REAL_NETWORK
from structiot._kit.net.serving import ClientStream, Endpoint
from structiot._kit.net.tls import client_context, server_context, start_tls
from tests.kit.dial_in import HERE, echo, hall, says


async def test_a_client_is_answered_without_a_task_of_its_own():
    async with hall(echo, network=REAL_NETWORK) as place:
        stream = await place.dial()
        assert await says(stream, b"me")
        before = len(anyio.get_running_tasks())
        assert await says(stream, b"hello")
        assert len(anyio.get_running_tasks()) == before
        await stream.aclose()


async def test_what_the_kernel_does_not_take_at_once_is_written_by_a_task():
    taken: list[bool] = []
    size = 20_000_000

    async def handler(client: ClientStream) -> None:
        client.out += bytes(size)
        taken.append(client.flush())
        client.on_drained = lambda: taken.append(True)
        await client.stream.receive()

    async with hall(handler, network=REAL_NETWORK) as place:
        stream, received = await place.dial(), 0
        with anyio.fail_after(10):
            while received < size:
                received += len(await stream.receive(1_000_000))
            await anyio.wait_all_tasks_blocked()
        assert received == size
        assert taken == [False, True]
        await stream.aclose()


def encrypted(folder: Path) -> tuple[Endpoint, ssl.SSLContext]:
    """Where clients dial in through TLS, and what they need for it."""
    authority, file = trustme.CA(), folder / "both.pem"
    authority.issue_cert("here").private_key_and_cert_chain_pem.write_to_path(file)
    here = replace(HERE, ssl_context=server_context(certfile=file))
    return here, client_context(cadata=authority.cert_pem.bytes().decode())


async def test_what_was_encrypted_and_not_taken_by_the_kernel_is_written_by_a_task(
    tmp_path,
):
    here, trusting = encrypted(tmp_path)
    sizes: list[int] = []
    is_full = anyio.Event()

    async def handler(client: ClientStream) -> None:
        await client.stream.receive()
        is_taken = True
        while is_taken:
            client.out += bytes((len(sizes) % 251,)) * 10_000
            sizes.append(10_000)
            is_taken = client.flush()
        # All of it has been encrypted: nothing else would call for a task.
        assert client.out.size == 0
        is_full.set()
        await client.stream.receive()

    async with hall(handler, here, network=REAL_NETWORK) as place:
        below = await place.dial()
        stream = await start_tls(below, trusting, host="here", port=1)
        await stream.send(b"go")
        with anyio.fail_after(10):
            await is_full.wait()
            received = 0
            while received < sum(sizes):
                received += len(await stream.receive(1_000_000))
        assert received == sum(sizes)
        await anyio.aclose_forcefully(stream)


@pytest.mark.parametrize("is_encrypted", [False, True])
@pytest.mark.parametrize("is_reset", [False, True])
async def test_a_client_that_has_gone_is_noticed_by_writing(
    tmp_path, caplog, is_reset: bool, is_encrypted: bool
):
    here, trusting = encrypted(tmp_path) if is_encrypted else (HERE, None)
    ended = anyio.Event()

    async def handler(client: ClientStream) -> None:
        client.identified()
        try:
            while True:
                client.out += bytes(1_000)
                client.flush()
                await anyio.sleep(0.001)
        finally:
            ended.set()

    async with hall(handler, here, network=REAL_NETWORK) as place:
        stream = below = await place.dial()
        if trusting is not None:
            stream = await start_tls(below, trusting, host="here", port=1)
        await stream.receive()
        if is_reset:
            raw = below.extra(SocketAttribute.raw_socket)
            raw.setsockopt(1, 13, b"\x01\0\0\0\0\0\0\0")  # SO_LINGER of no time
        await anyio.aclose_forcefully(stream)
        with anyio.fail_after(10):
            await ended.wait()
    assert "Traceback" not in caplog.text


async def test_last_words_are_heard_by_a_client_whose_own_were_not():
    """A socket that is closed with something unread in it is reset."""

    async def handler(client: ClientStream) -> None:
        await client.stream.receive(1)
        client.out += b"goodbye"
        client.end()

    async with hall(handler, network=REAL_NETWORK) as place:
        stream = await place.dial()
        await stream.send(bytes(200_000))
        with anyio.fail_after(10):
            await anyio.wait_readable(stream.extra(SocketAttribute.raw_socket))
            await stream.send(bytes(10_000))
            assert await stream.receive() == b"goodbye"
        await stream.aclose()


def rush(address: tuple[str, int]) -> socket.socket:
    """Connect without letting anybody have a turn."""
    guest = socket.socket()
    guest.setblocking(False)
    guest.connect_ex(address)
    return guest


async def is_served(guest: socket.socket) -> bool:
    await anyio.wait_writable(guest)
    guest.send(b"x")
    await anyio.wait_readable(guest)
    try:
        return guest.recv(10) == b"x"
    except ConnectionError:
        return False


async def test_who_comes_just_after_others_have_left_is_let_in():
    async with hall(echo, network=REAL_NETWORK, clients=20) as place:
        address = place.server.addresses[0]
        for _ in range(20):
            guests = [rush(address) for _ in range(20)]
            assert all([await is_served(guest) for guest in guests])
            for guest in guests:
                guest.close()
