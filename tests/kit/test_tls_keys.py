"""Keys with a passphrase: it is given, or said to be missing; nobody is asked for it."""

from __future__ import annotations

import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from structiot._kit.net.tls import client_context, load_certificate
from structiot._kit.redact import Secret
from structiot.errors import ConfigError
from structiot.mqtt import MqttConfig, open_mqttclient

PASSPHRASE = "correct horse"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, str]:
    """A certificate, its key, and the same key under a passphrase."""
    folder = tmp_path_factory.mktemp("keys")
    leaf = trustme.CA().issue_cert("localhost")
    leaf.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    leaf.private_key_pem.write_to_path(folder / "plain.pem")
    key = serialization.load_pem_private_key(leaf.private_key_pem.bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(PASSPHRASE.encode()),
    )
    (folder / "locked.pem").write_bytes(locked)
    return (
        str(folder / "cert.pem"),
        str(folder / "plain.pem"),
        str(folder / "locked.pem"),
    )


@pytest.mark.parametrize("password", [PASSPHRASE, Secret(PASSPHRASE)])
def test_a_key_opens_with_its_passphrase(
    files: tuple[str, str, str], password: str | Secret
):
    certificate, _, locked = files
    context = client_context(
        certfile=certificate, keyfile=locked, keyfile_password=password
    )
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_a_key_that_is_missing_or_none_is_said_to_be(files: tuple[str, str, str]):
    certificate, _, _ = files
    with pytest.raises(ConfigError, match="certificate: give its key as keyfile"):
        client_context(certfile=certificate)
    with pytest.raises(ConfigError, match=r"cert\.pem for TLS as a key: there is none"):
        client_context(certfile=certificate, keyfile=certificate)
    with pytest.raises(ConfigError, match=r"cannot use no\.pem for TLS .*No such file"):
        client_context(certfile="no.pem", keyfile=None)


def test_a_passphrase_that_nobody_asks_for_does_no_harm(files: tuple[str, str, str]):
    certificate, plain, _ = files
    client_context(certfile=certificate, keyfile=plain, keyfile_password="any")


@pytest.mark.parametrize(
    ("password", "fault"),
    [
        (None, r"has a passphrase; give it as keyfile_password="),
        ("", r"has a passphrase; give it as keyfile_password="),
        ("wrong", r"does not open with the passphrase given as keyfile_password="),
        ("x" * 5000, r"does not open with the passphrase given"),
    ],
)
def test_a_passphrase_that_is_missing_or_wrong_is_said(
    files: tuple[str, str, str], password: str | None, fault: str
):
    certificate, _, locked = files
    with pytest.raises(ConfigError, match=fault) as caught:
        client_context(certfile=certificate, keyfile=locked, keyfile_password=password)
    assert locked in str(caught.value)
    assert not password or password not in str(caught.value)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with pytest.raises(ConfigError, match=fault):
        load_certificate(server, Path(certificate), Path(locked), password)


def test_a_key_that_is_none_is_no_matter_of_passphrases(files: tuple[str, str, str]):
    certificate, _, _ = files
    with pytest.raises(ConfigError, match=r"cannot use .* for TLS"):
        client_context(certfile=certificate, keyfile="/nowhere")


def test_nobody_is_asked_at_a_terminal(files: tuple[str, str, str]):
    certificate, _, locked = files
    program = (
        "from structiot._kit.net.tls import client_context\n"
        "from structiot.errors import ConfigError\n"
        "try:\n"
        f"    client_context(certfile={certificate!r}, keyfile={locked!r})\n"
        "except ConfigError:\n"
        "    print('refused')\n"
    )
    # In a session of its own OpenSSL would ask at the standard streams.
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=f"{PASSPHRASE}\n".encode(),
        capture_output=True,
        timeout=60,
        check=True,
        start_new_session=True,
    )
    assert done.stdout == b"refused\n"
    assert done.stderr == b""


async def test_a_client_says_it_before_the_first_attempt(files: tuple[str, str, str]):
    certificate, _, locked = files
    config = MqttConfig(certfile=certificate, keyfile=locked)
    with pytest.raises(ConfigError, match="keyfile_password="):
        async with open_mqttclient("mqtts://127.0.0.1:1/", config=config):
            pass


def test_the_passphrase_is_not_shown():
    assert PASSPHRASE not in repr(MqttConfig(keyfile_password=PASSPHRASE))
