"""TLS as a client: what is trusted, what is refused, and what the error says."""

from __future__ import annotations

import datetime as dt
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import anyio
import pytest
import trustme
from anyio.abc import ByteStream
from anyio.streams.tls import TLSAttribute

from structiot._kit.flow.tasks import service_group
from structiot._kit.net.memory import memory_pipe
from structiot._kit.net.network import LOST
from structiot._kit.net.tls import client_context, start_tls
from structiot.errors import (
    AuthRefused,
    CertificateRefused,
    ConfigError,
    ConnectFailed,
)

pytestmark = pytest.mark.virtual_time

T = TypeVar("T")
LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
IN_A_WHILE = dt.datetime(2200, 1, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    return client_context(cadata=authority.cert_pem.bytes().decode())


def server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    return context


async def serve(stream: ByteStream, context: ssl.SSLContext) -> None:
    """Shake hands and echo once; by hand, since anyio sends no alerts."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_side=True)

    async def step(action: Callable[[], T]) -> T:
        while True:
            try:
                return action()
            except ssl.SSLWantReadError:
                await stream.send(outgoing.read())
                incoming.write(await stream.receive())
            finally:
                if outgoing.pending:
                    await stream.send(outgoing.read())

    with suppress(ssl.SSLError, *LOST):
        await step(tls.do_handshake)
        data = await step(tls.read)
        await step(lambda: tls.write(data))
    await anyio.sleep(1)
    await anyio.aclose_forcefully(stream)


async def exchange(
    server: ssl.SSLContext, client: ssl.SSLContext, host: str = "broker"
) -> bytes:
    near, far = memory_pipe()
    async with service_group() as tg:
        tg.start_soon(serve, far, server)
        try:
            stream = await start_tls(near, client, host=host, port=8883)
            await stream.send(b"hello")
            return await stream.receive()
        except anyio.BrokenResourceError as exc:
            raise exc.__cause__ or exc from None
        finally:
            await anyio.aclose_forcefully(near)


async def test_a_certificate_of_a_trusted_authority_is_accepted(authority, trusting):
    server = server_context(authority.issue_cert("broker"))
    assert await exchange(server, trusting) == b"hello"


async def test_the_server_is_told_which_name_is_wanted(authority, trusting):
    server = server_context(authority.issue_cert("broker"))
    asked: list[str | None] = []

    def note(_: object, name: str | None, context: ssl.SSLContext) -> None:
        asked.append(name)

    server.sni_callback = note
    assert await exchange(server, trusting) == b"hello"
    assert asked == ["broker"]


@pytest.mark.parametrize(
    ("host", "options", "words"),
    [
        ("broker", {"not_after": LONG_AGO}, "has expired: renew it"),
        ("broker", {"not_before": IN_A_WHILE}, "is not valid yet: look at both clocks"),
        ("other", {}, "is for another name: use the name it was made for"),
        ("10.0.0.1", {}, "is for another address: use the address it was made for"),
    ],
)
async def test_a_bad_certificate_is_refused_with_the_reason(
    authority: trustme.CA, trusting: ssl.SSLContext, host: str, options, words: str
):
    if "not_before" in options:
        options = {**options, "not_after": IN_A_WHILE + dt.timedelta(days=1)}
    server = server_context(authority.issue_cert("broker", **options))
    with pytest.raises(CertificateRefused) as caught:
        await exchange(server, trusting, host)
    assert str(caught.value).startswith(f"the certificate of {host}:8883 {words}")
    assert (caught.value.host, caught.value.port) == (host, 8883)


async def test_an_unknown_authority_is_refused(authority: trustme.CA):
    server = server_context(authority.issue_cert("broker"))
    with pytest.raises(CertificateRefused, match="by cafile or an ssl_context"):
        await exchange(server, client_context())


async def test_a_name_need_not_fit_if_so_wished(authority: trustme.CA):
    server = server_context(authority.issue_cert("broker"))
    client = client_context(
        cadata=authority.cert_pem.bytes().decode(), check_hostname=False
    )
    assert await exchange(server, client, "other") == b"hello"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_server_that_refuses_our_certificate_is_auth_refused(
    authority: trustme.CA, tmp_path, version: ssl.TLSVersion
):
    server = server_context(authority.issue_cert("broker"))
    server.maximum_version = version
    server.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(server)
    ours = trustme.CA().issue_cert("me")
    ours.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "me.pem"))
    client = client_context(
        cadata=authority.cert_pem.bytes().decode(), certfile=str(tmp_path / "me.pem")
    )
    with pytest.raises(AuthRefused, match="by certfile and keyfile or an ssl_context"):
        await exchange(server, client)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad\r\n\r\n", b"\x20\x02\x00\x05\0"])
async def test_a_port_without_tls_is_connect_failed(trusting, answer: bytes):
    near, far = memory_pipe()
    await far.send(answer)
    with pytest.raises(ConnectFailed, match="does not speak TLS on this port"):
        await start_tls(near, trusting, host="broker", port=1)
    with pytest.raises(anyio.ClosedResourceError):
        await near.send(b"")


async def test_a_server_that_hangs_up_is_connect_failed(trusting: ssl.SSLContext):
    near, far = memory_pipe()
    await far.aclose()
    with pytest.raises(ConnectFailed, match="broker:1 hung up during the TLS"):
        await start_tls(near, trusting, host="broker", port=1)


@pytest.mark.parametrize("name", ["cafile", "certfile"])
def test_a_file_that_cannot_be_used_is_named(tmp_path, name: str):
    path = tmp_path / "none.pem"
    given: Any = {name: str(path)}
    with pytest.raises(ConfigError, match=f"cannot use {path} for TLS"):
        client_context(**given)
    path.write_text("no certificate")
    with pytest.raises(ConfigError, match=f"cannot use {path} for TLS"):
        client_context(**given)


async def test_protocols_are_offered(authority: trustme.CA):
    server = server_context(authority.issue_cert("broker"))
    server.set_alpn_protocols(["mqtt"])
    client = client_context(
        cadata=authority.cert_pem.bytes().decode(), alpn=["x", "mqtt"]
    )
    near, far = memory_pipe()
    async with anyio.create_task_group() as tg:
        tg.start_soon(serve, far, server)
        stream = await start_tls(near, client, host="broker", port=1)
        assert stream.extra(TLSAttribute.alpn_protocol) == "mqtt"
        await anyio.aclose_forcefully(stream)
