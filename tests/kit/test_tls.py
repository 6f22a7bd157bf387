"""TLS as a client: what is trusted, what is refused, and what the error says."""

from __future__ import annotations

import datetime as dt
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import anyio
import pytest
import trustme
from anyio.abc import ByteStream
from anyio.streams.tls import TLSAttribute

from structiot._kit.flow.tasks import service_group
from structiot._kit.net import tls
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
    with pytest.raises(CertificateRefused, match="give it as cafile="):
        await exchange(server, client_context())


@pytest.mark.parametrize("given", ["cafile", "capath", "cadata"])
async def test_who_has_given_authorities_is_told_that_it_is_none_of_them(
    authority: trustme.CA, tmp_path: Path, given: str
):
    other = trustme.CA().cert_pem
    other.write_to_path(str(tmp_path / "other.pem"))
    values = {
        "cafile": tmp_path / "other.pem",
        "capath": tmp_path,
        "cadata": other.bytes().decode(),
    }
    client: Any = {given: values[given]}
    server = server_context(authority.issue_cert("broker"))
    context = await anyio.to_thread.run_sync(lambda: client_context(**client))
    with pytest.raises(CertificateRefused) as caught:
        await exchange(server, context)
    text = str(caught.value)
    assert f"none of those in {given}" in text
    assert "give" not in text


async def test_a_self_signed_certificate_is_told_of_beside_the_cafile_that_was_given(
    authority: trustme.CA,
):
    alone = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    itself = trustme.CA()
    with itself.private_key_pem.tempfile() as key, itself.cert_pem.tempfile() as cert:
        alone.load_cert_chain(cert, key)
    client = client_context(cadata=authority.cert_pem.bytes().decode())
    words = "is self-signed, and none of those in cadata"
    with pytest.raises(CertificateRefused, match=words):
        await exchange(alone, client)
    with pytest.raises(CertificateRefused, match="is self-signed: give it as cafile"):
        await exchange(alone, client_context())


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
    with pytest.raises(AuthRefused, match="as certfile= and keyfile="):
        await exchange(server, client)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad\r\n\r\n", b"\x20\x02\x00\x05\0"])
async def test_a_port_without_tls_is_connect_failed(trusting, answer: bytes):
    near, far = memory_pipe()
    await far.send(answer)
    with pytest.raises(ConnectFailed, match="does not speak TLS on this port"):
        await start_tls(near, trusting, host="broker", port=1)
    with pytest.raises(anyio.ClosedResourceError):
        await near.send(b"")


@pytest.mark.parametrize("is_reset", [False, True], ids=["closed", "reset"])
async def test_a_server_that_hangs_up_is_connect_failed(
    trusting: ssl.SSLContext, *, is_reset: bool
):
    near, far = memory_pipe()
    if is_reset:
        far.reset()
    else:
        await far.aclose()
    with pytest.raises(ConnectFailed) as caught:
        await start_tls(near, trusting, host="broker", port=1)
    assert str(caught.value) == (
        "broker:1 hung up during the TLS handshake; does it speak TLS there?"
    )


@pytest.mark.parametrize("name", ["cafile", "certfile"])
def test_a_file_that_cannot_be_used_is_named(tmp_path, name: str):
    path = tmp_path / "none.pem"
    given: Any = {name: str(path)}
    with pytest.raises(ConfigError, match=f"cannot use {path} for TLS"):
        client_context(**given)
    path.write_text("no certificate")
    with pytest.raises(ConfigError, match=f"cannot use {path} for TLS"):
        client_context(**given)


NO_FILE, NOTHING_IN_IT = "No such file or directory", "there is none in it"
A_KEY, A_CERTIFICATE = "for TLS as a key: ", "for TLS as a certificate: "


@pytest.mark.parametrize(
    ("certfile", "keyfile", "words"),
    [
        ("none", "key", f"none {A_CERTIFICATE}{NO_FILE}"),
        ("none", "junk", f"none {A_CERTIFICATE}{NO_FILE}"),
        ("cert", "none", f"none {A_KEY}{NO_FILE}"),
        ("junk", "key", f"junk {A_CERTIFICATE}{NOTHING_IN_IT}"),
        ("junk", "none", f"junk {A_CERTIFICATE}{NOTHING_IN_IT}"),
        ("cert", "junk", f"junk {A_KEY}{NOTHING_IN_IT}"),
        ("key", "cert", f"key {A_CERTIFICATE}{NOTHING_IN_IT}"),
        ("cert", "other", "other for TLS: it is the key of another certificate"),
        ("cert", None, f"cert {A_CERTIFICATE}give its key as keyfile="),
        ("folder", "key", f"folder {A_CERTIFICATE}Is a directory"),
        ("cert", "folder", f"folder {A_KEY}Is a directory"),
    ],
)
def test_of_certificate_and_key_the_one_at_fault_is_named(
    authority: trustme.CA,
    tmp_path: Path,
    certfile: str,
    keyfile: str | None,
    words: str,
):
    made, other = authority.issue_cert("me"), authority.issue_cert("you")
    made.cert_chain_pems[0].write_to_path(str(tmp_path / "cert"))
    made.private_key_pem.write_to_path(str(tmp_path / "key"))
    other.private_key_pem.write_to_path(str(tmp_path / "other"))
    (tmp_path / "junk").write_text("junk")
    (tmp_path / "folder").mkdir()
    files: Any = {"certfile": tmp_path / certfile}
    files["keyfile"] = None if keyfile is None else tmp_path / keyfile
    for make in (client_context, tls.server_context):
        with pytest.raises(ConfigError) as caught:
            make(**files)
        assert str(caught.value) == f"cannot use {tmp_path}/{words}"


def test_of_several_authorities_the_one_at_fault_is_named(
    authority: trustme.CA, tmp_path: Path
):
    good = tmp_path / "good"
    authority.cert_pem.write_to_path(str(good))
    nothing = "cannot use the data given as cadata for TLS: "
    with pytest.raises(ConfigError, match=nothing):
        client_context(cafile=good, cadata="junk")
    (tmp_path / "bad").write_text("junk")
    words = "bad for TLS: there is no certificate in it"
    with pytest.raises(ConfigError, match=words):
        client_context(cafile=tmp_path / "bad", cadata=good.read_text())
    for path in (tmp_path / "none", good):
        with pytest.raises(ConfigError, match=f"cannot use {path} for TLS: it is no f"):
            client_context(cafile=good, capath=path)


def test_a_key_without_a_certificate_is_an_error(tmp_path: Path):
    with pytest.raises(ConfigError, match="keyfile= goes with certfile="):
        client_context(keyfile=tmp_path / "key")


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
