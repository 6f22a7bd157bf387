"""The door to HTTP over TLS: it verifies, and says what went wrong."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Sequence
from typing import Any

import anyio
import pytest
import trustme
from anyio.abc import ByteStream
from anyio.streams.tls import TLSAttribute, TLSStream

from structiot._kit.http.client import open_http
from structiot._kit.net.memory import MemoryNetwork
from structiot._kit.net.tls import start_tls
from structiot.errors import ConfigError, ConnectFailed, LinkLost
from tests.kit.web_site import reply, site

pytestmark = pytest.mark.virtual_time


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


class TlsServer:
    """Does the server's side of the handshake."""

    def __init__(
        self, authority: trustme.CA, host: str = "strip", alpn: Sequence[str] = ()
    ) -> None:
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        if alpn:
            self._context.set_alpn_protocols(alpn)
        authority.issue_cert(host).configure_cert(self._context)

    async def accept(self, stream: ByteStream) -> ByteStream:
        return await TLSStream.wrap(
            stream,
            server_side=True,
            ssl_context=self._context,
            standard_compatible=False,
        )


async def test_https_is_spoken_and_the_connection_kept(
    network: MemoryNetwork, authority: trustme.CA, trusting: ssl.SSLContext
):
    server = TlsServer(authority)
    async with site(reply(), network=network, port=443, accept=server.accept) as cloud:
        async with open_http(
            "https://strip", network=network, ssl_context=trusting
        ) as http:
            for _ in range(3):
                assert (await http.get("/")).body == b"ok"
    assert cloud.connections == 1


async def tls_error(
    network: MemoryNetwork, server: TlsServer, context: ssl.SSLContext | None
) -> str:
    async with site(reply(), network=network, port=443, accept=server.accept) as cloud:
        async with open_http(
            "https://strip", network=network, ssl_context=context
        ) as http:
            with pytest.raises(ConnectFailed) as caught:
                await http.get("/")
            await anyio.wait_all_tasks_blocked()
            assert cloud.open_connections == 0
    assert caught.value.host == "strip"
    return str(caught.value).removeprefix("the certificate of strip:443 ")


async def test_https_verifies_by_default(network: MemoryNetwork, authority: trustme.CA):
    reason = await tls_error(network, TlsServer(authority), None)
    trust = "give it as cafile= (or trust it in an ssl_context=)"
    assert reason == f"is signed by an unknown authority: {trust}"


async def test_a_certificate_for_another_name_is_refused(
    network: MemoryNetwork, authority: trustme.CA, trusting: ssl.SSLContext
):
    reason = await tls_error(network, TlsServer(authority, "other"), trusting)
    assert reason == "is for another name: use the name it was made for"


class NotOurs(ssl.SSLContext):
    """A context of somebody else; what would change it is refused."""

    is_made = False

    def __setattr__(self, name: str, value: object) -> None:
        assert not self.is_made, f"{name} was set"
        super().__setattr__(name, value)

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        assert not self.is_made, "the protocols were set"
        super().set_alpn_protocols(alpn_protocols)

    def load_verify_locations(self, *args: Any, **kwargs: Any) -> None:
        assert not self.is_made, "authorities were added"
        super().load_verify_locations(*args, **kwargs)

    def load_cert_chain(self, *args: Any, **kwargs: Any) -> None:
        raise AssertionError("a certificate was added")


async def test_the_context_of_somebody_else_stays_as_it_is(
    network: MemoryNetwork, authority: trustme.CA
):
    context = NotOurs(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    context.set_alpn_protocols(["mqtt"])
    context.is_made = True
    server = TlsServer(authority, alpn=["http/1.1", "mqtt"])
    async with site(reply(), network=network, port=443, accept=server.accept):
        async with open_http(
            "https://strip", network=network, ssl_context=context
        ) as http:
            assert (await http.get("/")).body == b"ok"
        stream = await network.connect_tcp("strip", 443)
        async with await start_tls(stream, context, host="strip", port=443) as tls:
            assert tls.extra(TLSAttribute.alpn_protocol) == "mqtt"


async def speak_plainly(stream: ByteStream) -> ByteStream:
    await stream.send(reply())
    return stream


async def close_at_once(stream: ByteStream) -> ByteStream:
    await stream.receive()
    await stream.aclose()
    return stream


@pytest.mark.parametrize(
    ("accept", "reason"),
    [
        (speak_plainly, "^TLS with strip:443 failed: the server does not speak TLS"),
        (close_at_once, "^strip:443 hung up during the TLS handshake"),
    ],
)
async def test_a_handshake_that_fails_is_connect_failed(
    network: MemoryNetwork, trusting: ssl.SSLContext, accept, reason: str
):
    async with site(reply(), network=network, port=443, accept=accept) as cloud:
        async with open_http(
            "https://strip", network=network, ssl_context=trusting
        ) as http:
            with pytest.raises(ConnectFailed, match=reason) as caught:
                await http.get("/")
            await anyio.wait_all_tasks_blocked()
            assert cloud.open_connections == 0
    assert (caught.value.host, caught.value.port) == ("strip", 443)


async def never_shake_hands(stream: ByteStream) -> ByteStream:
    while True:
        await stream.receive()


async def test_a_handshake_without_an_answer_is_connect_failed_in_time(
    network: MemoryNetwork, trusting: ssl.SSLContext
):
    accept = never_shake_hands
    async with site(reply(), network=network, port=443, accept=accept) as cloud:
        async with open_http(
            "https://strip", network=network, ssl_context=trusting, reply_s=3
        ) as http:
            with pytest.raises(ConnectFailed, match="no answer within 3 s"):
                await http.get("/")
            assert anyio.current_time() == 3
            await anyio.wait_all_tasks_blocked()
            assert cloud.open_connections == 0, "a cancelled handshake closes, too"


async def test_a_lost_tls_connection_is_link_lost(
    network: MemoryNetwork, authority: trustme.CA, trusting: ssl.SSLContext
):
    server = TlsServer(authority)

    async def cut(stream: ByteStream) -> None:
        assert isinstance(stream, TLSStream)
        await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        await stream.transport_stream.aclose()

    async with site(cut, network=network, port=443, accept=server.accept):
        async with open_http(
            "https://strip", network=network, ssl_context=trusting
        ) as http:
            with pytest.raises(LinkLost) as caught:
                await http.get("/")
    assert caught.value.reason == "hung up in the middle of a reply"


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
async def test_authorities_that_are_not_there_are_a_config_error(
    monkeypatch, tmp_path, content
):
    file = tmp_path / "authorities.pem"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with pytest.raises(ConfigError, match=r"authorities at \$SSL_CERT_FILE"):
        async with open_http("https://cloud"):
            pass
