"""The client and Mosquitto over TLS, websockets and Unix sockets, and what goes wrong."""

from __future__ import annotations

import datetime as dt
import logging
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme

from structiot.mqtt import (
    ConnectException,
    MqttAuthRefused,
    MqttCertificateRefused,
    MqttConnectFailed,
    open_mqttclient,
)
from tests._support.mosquitto import DEFAULT_CONFIG, Mosquitto
from tests._support.ports import free_port

pytestmark = pytest.mark.e2e

CONNECT_S = 3.0
LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


class Brokers:
    """One Mosquitto with a listener for each transport and each kind of trouble."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = trustme.CA()
        self.cafile = self._write("ca.pem", self.authority.cert_pem)
        other = trustme.CA()
        self.other_cafile = self._write("other.pem", other.cert_pem)
        self.client = self._certificate("client", self.authority, "client")
        self.foreign_client = self._certificate("foreign", other, "client")
        self.ports: dict[str, int] = {}
        self.socket_path = folder / "s"
        good = self._certificate("good", self.authority, "localhost", "127.0.0.1")
        expired = self._certificate(
            "expired", self.authority, "127.0.0.1", not_after=LONG_AGO
        )
        elsewhere = self._certificate("elsewhere", self.authority, "elsewhere.example")
        demanding = f"cafile {self.cafile}\nrequire_certificate true\n"
        config = [
            DEFAULT_CONFIG,
            f"listener 0 {self.socket_path}\n",
            self._listener("tls", good),
            self._listener("ws", None, "protocol websockets\n"),
            self._listener("wss", good, "protocol websockets\n"),
            self._listener("expired", expired),
            self._listener("elsewhere", elsewhere),
            self._listener("demanding", good, demanding),
            self._listener("demanding12", good, demanding + "tls_version tlsv1.2\n"),
        ]
        self.mosquitto = Mosquitto(folder, "".join(config))
        self.ports["plain"] = self.mosquitto.port

    def _write(self, name: str, blob: trustme.Blob) -> str:
        path = self.folder / name
        blob.write_to_path(str(path))
        return str(path)

    def _certificate(
        self, name: str, authority: trustme.CA, *hosts: str, **options: Any
    ) -> tuple[str, str]:
        made = authority.issue_cert(*hosts, **options)
        key = self._write(f"{name}.key", made.private_key_pem)
        return self._write(f"{name}.pem", made.cert_chain_pems[0]), key

    def _listener(
        self, name: str, certificate: tuple[str, str] | None, more: str = ""
    ) -> str:
        port = self.ports[name] = free_port()
        text = f"listener {port} 127.0.0.1\n"
        if certificate is not None:
            text += "certfile {}\nkeyfile {}\n".format(*certificate)
        return text + more

    def uri(self, scheme: str, name: str) -> str:
        return f"{scheme}://127.0.0.1:{self.ports[name]}"


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokers]:
    made = Brokers(tmp_path_factory.mktemp("m"))
    made.mosquitto.start()
    yield made
    made.mosquitto.stop()


def settings(brokers: Brokers, uri: str = "mqtts:", **more: Any) -> dict[str, Any]:
    trusted = {"cafile": brokers.cafile} if uri.startswith(("mqtts:", "wss:")) else {}
    return {**trusted, "connect_s": CONNECT_S, **more}


@pytest.mark.parametrize("protocol", ["3.1.1", "5.0"])
@pytest.mark.parametrize("transport", ["tls", "ws", "wss", "unix"])
async def test_messages_travel_over_each_transport_and_the_exit_is_silent(
    brokers: Brokers, transport: str, protocol: str, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    scheme = "mqtts" if transport == "tls" else transport
    uri = (
        f"unix://{brokers.socket_path}"
        if transport == "unix"
        else brokers.uri(scheme, transport)
    )
    long = bytes(range(256)) * 50
    config = settings(brokers, uri, protocol=protocol)
    async with open_mqttclient(uri, config=config) as client:
        async with client.subscription(f"{transport}/{protocol}/#", qos=2) as messages:
            for qos, payload in enumerate([b"short", b"", long]):
                topic = f"{transport}/{protocol}/{qos}"
                await client.publish(topic, payload, qos=qos)
                message = await anext(messages)
                assert (message.payload, message.qos) == (payload, qos)
    assert [entry.message for entry in caplog.records if entry.levelno > 20] == []


async def test_a_client_certificate_opens_a_broker_that_demands_one(brokers: Brokers):
    certfile, keyfile = brokers.client
    for name in ("demanding", "demanding12"):
        config = settings(brokers, certfile=certfile, keyfile=keyfile)
        async with open_mqttclient(brokers.uri("mqtts", name), config=config) as client:
            await client.publish("t", b"x", qos=1)


async def test_own_tls_settings_are_taken(brokers: Brokers):
    context = ssl.create_default_context(cafile=brokers.cafile)
    config = {"ssl_context": context}
    async with open_mqttclient(brokers.uri("mqtts", "tls"), config=config) as client:
        await client.publish("t", b"x", qos=1)


Changes = Callable[[Brokers], dict[str, Any]]


def nothing(brokers: Brokers) -> dict[str, Any]:
    return {}


def other_authority(brokers: Brokers) -> dict[str, Any]:
    return {"cafile": brokers.other_cafile}


def foreign_certificate(brokers: Brokers) -> dict[str, Any]:
    certfile, keyfile = brokers.foreign_client
    return {"certfile": certfile, "keyfile": keyfile}


OUR_CERTIFICATE = r"refuses our TLS certificate .* as certfile= and keyfile="


@pytest.mark.parametrize(
    ("where", "changes", "cls", "words"),
    [
        (("mqtts", "tls"), other_authority, MqttCertificateRefused, "authority"),
        (("wss", "wss"), other_authority, MqttCertificateRefused, "authority"),
        (("mqtts", "expired"), nothing, MqttCertificateRefused, "has expired: renew"),
        (("mqtts", "elsewhere"), nothing, MqttCertificateRefused, "is for another"),
        (("mqtts", "demanding"), nothing, MqttAuthRefused, OUR_CERTIFICATE),
        (
            ("mqtts", "demanding"),
            foreign_certificate,
            MqttAuthRefused,
            OUR_CERTIFICATE,
        ),
        (
            ("mqtts", "demanding12"),
            foreign_certificate,
            MqttAuthRefused,
            OUR_CERTIFICATE,
        ),
        (("mqtts", "plain"), nothing, MqttConnectFailed, "TLS"),
        (("mqtt", "tls"), nothing, MqttConnectFailed, "look at the port"),
        (("ws", "plain"), nothing, MqttConnectFailed, "look at the port"),
        (("mqtt", "ws"), nothing, MqttConnectFailed, "look at the port|an HTTP server"),
        (("ws", "wss"), nothing, MqttConnectFailed, "look at the port"),
        (("wss", "ws"), nothing, MqttConnectFailed, "TLS"),
    ],
)
async def test_each_trouble_is_an_error_of_its_own_in_time(
    brokers: Brokers, where: tuple[str, str], changes: Changes, cls: type, words: str
):
    scheme, name = where
    uri = brokers.uri(scheme, name)
    config = {
        **settings(brokers, uri, reconnect_retries=0, protocol="5.0"),
        **changes(brokers),
    }
    if cls is not MqttConnectFailed:
        # What asking again cannot change is not asked again. But the refusal of our
        # certificate may be lost: the reset behind it can overtake it in the kernel.
        config.update(reconnect_retries=-1, reconnect_max_interval=0.1)
    started_at = time.monotonic()
    with pytest.raises(ConnectException, match=words) as caught:
        with anyio.fail_after(15):
            async with open_mqttclient(uri, config=config):
                pytest.fail("there is no connection")
    if cls is not MqttAuthRefused:
        assert time.monotonic() - started_at < CONNECT_S + 1
    assert type(caught.value) is cls
    port = brokers.ports[name]
    assert f"127.0.0.1:{port}" in str(caught.value)
    if isinstance(caught.value, MqttConnectFailed | MqttCertificateRefused):
        assert (caught.value.host, caught.value.port) == ("127.0.0.1", port)
        assert caught.value.attempts == 1


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize("changes", [nothing, foreign_certificate])
async def test_a_certificate_that_is_refused_is_told_every_time(
    brokers: Brokers, host: str, changes: Changes
):
    """The alert comes behind the handshake, and a reset behind the alert."""
    uri = f"mqtts://{host}:{brokers.ports['demanding']}"
    config = {**settings(brokers, reconnect_retries=0), **changes(brokers)}
    for _ in range(10):
        with pytest.raises(MqttAuthRefused, match=OUR_CERTIFICATE):
            async with open_mqttclient(uri, config=config):
                pytest.fail("there is no connection")


@pytest.mark.parametrize("is_entered_at_once", [False, True])
async def test_a_certificate_that_runs_out_is_waited_for(
    brokers: Brokers, caplog: pytest.LogCaptureFixture, is_entered_at_once: bool
):
    good, expired = brokers.uri("mqtts", "tls"), brokers.uri("mqtts", "expired")
    asked = iter([expired] * 3 if is_entered_at_once else [good, *[expired] * 3])
    config = settings(brokers, reconnect_retries=-1, reconnect_max_interval=0.1)
    async with open_mqttclient(
        lambda: next(asked, good), config=config, wait_connected=not is_entered_at_once
    ) as client:
        if not is_entered_at_once:
            with anyio.move_on_after(CONNECT_S):
                await client.reconnect()
        with anyio.fail_after(15):
            await client.publish("t", b"x", qos=1)
    told = [one.getMessage() for one in caplog.records if one.levelno > logging.INFO]
    assert len([text for text in told if "has expired: renew it" in text]) == 1


async def test_no_socket_in_the_file_system_is_connect_failed(brokers: Brokers):
    path = brokers.folder / "none"
    with pytest.raises(MqttConnectFailed, match=f"socket {path}: No such file"):
        async with open_mqttclient(f"unix://{path}", config={"reconnect_retries": 0}):
            pytest.fail("there is no connection")
