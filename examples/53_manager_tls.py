"""TLS by which server and device know each other: both have a certificate.

Run:
    python examples/53_manager_tls.py

Prints:
    a trusted certificate is accepted
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey as Key
from cryptography.x509 import CertificateBuilder, Name

from structiot import AuthRefused, open_manager, open_manager_client


def make_certificate(path: str) -> str:
    """Make a key and its certificate; `openssl req -x509` makes them, too."""
    key, now, name, pem = Key.generate(), datetime.now(UTC), Name([]), form.Encoding.PEM
    made = CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(1))
    private = key.private_bytes(pem, form.PrivateFormat.PKCS8, form.NoEncryption())
    Path(path).write_bytes(private + made.sign(key, None).public_bytes(pem))
    return path


def tls(side: int, own: str, *, trusts: str) -> ssl.SSLContext:
    """Trust the certificate of the other side alone, and show our own."""
    context = ssl.SSLContext(side)
    context.check_hostname, context.verify_mode = False, ssl.CERT_REQUIRED
    context.load_verify_locations(trusts)
    context.load_cert_chain(own)
    return context


async def main() -> None:
    """Whose certificate is strange does not even get to say who it is."""
    async with anyio.TemporaryDirectory() as folder:
        ours, known, unknown = (make_certificate(f"{folder}/{n}.pem") for n in "abc")
        context = tls(ssl.PROTOCOL_TLS_SERVER, ours, trusts=known)
        async with open_manager(port=0, ssl_context=context) as server:
            for what, path in (("trusted", known), ("strange", unknown)):
                mine = tls(ssl.PROTOCOL_TLS_CLIENT, path, trusts=ours)
                with suppress(AuthRefused):
                    async with open_manager_client(
                        *server.addresses[0], uuid="0" * 32, type="x", ssl_context=mine
                    ) as device:
                        await device.wait_connected()
                        print(f"a {what} certificate is accepted")


anyio.run(main)
