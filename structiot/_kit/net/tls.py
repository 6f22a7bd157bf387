"""TLS settings that verify by default, and handshakes whose errors say what to do."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path
from weakref import WeakKeyDictionary

import anyio
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream

from structiot._kit.net.network import LOST, place
from structiot._kit.net.record_stream import RecordStream
from structiot._kit.net.sockets import SocketStream
from structiot._kit.redact import Secret
from structiot._kit.text import path_fault
from structiot.errors import (
    AuthRefused,
    CertificateRefused,
    ConfigError,
    ConnectFailed,
    StructiotError,
)

__all__ = [
    "client_context",
    "load_certificate",
    "server_context",
    "start_tls",
]

# Some systems have the one, some the other: a program leaves the remark out.
_TRUST = "give it as cafile= (or trust it in an ssl_context=)"
# OpenSSL's numbers for why a certificate is refused, and what to do about it.
_HINTS = {
    9: "is not valid yet: look at both clocks",
    10: "has expired: renew it, or look at the clock here",
    18: f"is self-signed: {_TRUST}",
    19: f"comes from a chain that ends in a self-signed authority: {_TRUST}",
    20: f"is signed by an unknown authority: {_TRUST}",
    21: f"cannot be verified, the chain or its authority is missing: {_TRUST}",
    62: "is for another name: use the name it was made for",
    64: "is for another address: use the address it was made for",
}

# The same where authorities were given: it is others that are needed.
_OTHERS_HINTS = {
    18: "is self-signed, and none of those in {given}",
    19: "comes from a chain that ends in a self-signed authority, none of those in {given}",
    20: "is signed by an authority that is none of those in {given}",
    21: "cannot be verified: its chain is incomplete and leads to none of those in {given}",
}
# By which argument a context of ours was given its authorities.
_authorities: WeakKeyDictionary[ssl.SSLContext, str] = WeakKeyDictionary()

# Not valid yet, run out; the same of a list of revoked ones. Peers renew them.
_OUT_OF_DATE = {9, 10, 11, 12}

# A server's alerts about the certificate that we have shown, or have not.
_ABOUT_OURS = {
    "SSLV3_ALERT_BAD_CERTIFICATE",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED",
    "SSLV3_ALERT_CERTIFICATE_REVOKED",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED",
    "TLSV1_ALERT_ACCESS_DENIED",
    "TLSV1_ALERT_UNKNOWN_CA",
}

# A client receives so much from the network at once: each turn costs it something, and it
# has few connections, whose OpenSSL keeps room for so much. A server has many.
CLIENT_BYTES = 507_904

NO_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"}


def client_context(
    *,
    cafile: str | Path | None = None,
    capath: str | Path | None = None,
    cadata: str | bytes | None = None,
    certfile: str | Path | None = None,
    keyfile: str | Path | None = None,
    keyfile_password: str | Secret | None = None,
    check_hostname: bool = True,
    alpn: Sequence[str] = (),
) -> ssl.SSLContext:
    """Make the TLS settings of a client; chain and host name are verified.

    Args:
        cafile: File of accepted authorities; the system's if none of the three is given.
        capath: Folder of accepted authorities.
        cadata: Accepted authorities themselves.
        certfile: Own certificate, if the server wants one.
        keyfile: Key of the own certificate.
        keyfile_password: Passphrase of the key, if it has one.
        check_hostname: False accepts a certificate for another name.
        alpn: Protocols to offer.

    Raises:
        ConfigError: A file that cannot be read or used, or a key without a certificate.
    """
    if keyfile is not None and certfile is None:
        raise ConfigError("keyfile= goes with certfile=, whose key it is")
    if capath is not None and not Path(capath).is_dir():
        # OpenSSL would say nothing, and trust nobody.
        raise ConfigError(f"cannot use {capath} for TLS: it is no folder")
    given = {"cafile": cafile, "capath": capath, "cadata": cadata}
    named = [f"{name}=" for name, value in given.items() if value is not None]
    try:
        context = ssl.create_default_context(
            cafile=cafile, capath=capath, cadata=cadata
        )
    except (OSError, ValueError) as exc:
        is_file = cafile is not None and not _can_be_used(cafile)
        what = cafile if is_file else "the data given as cadata"
        raise ConfigError(f"cannot use {what} for TLS: {_why(exc)}") from exc
    if named:
        _authorities[context] = " or ".join(named)
    if certfile is not None:
        load_certificate(context, certfile, keyfile, keyfile_password)
    context.check_hostname = check_hostname
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def server_context(
    *,
    certfile: str | Path,
    keyfile: str | Path | None = None,
    keyfile_password: str | Secret | None = None,
    client_cafile: str | Path | None = None,
) -> ssl.SSLContext:
    """Make the TLS settings of a server.

    Args:
        certfile: Its certificate, and those of the authorities between.
        keyfile: Its key, if that is not in the same file.
        keyfile_password: Passphrase of the key, if it has one.
        client_cafile: File of the authorities of which clients need a certificate; None
            is that they need none.

    Raises:
        ConfigError: A file that cannot be read or used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_certificate(context, certfile, keyfile, keyfile_password)
    if client_cafile is not None:
        try:
            context.load_verify_locations(client_cafile)
        except (OSError, ValueError) as exc:
            message = f"cannot use {client_cafile} for TLS: {_why(exc)}"
            raise ConfigError(message) from exc
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def load_certificate(
    context: ssl.SSLContext,
    certfile: str | Path,
    keyfile: str | Path | None = None,
    password: str | Secret | None = None,
) -> None:
    """Have a context show a certificate of ours.

    Args:
        context: Of a client or a server.
        certfile: The certificate, and those of the authorities between.
        keyfile: Its key, if that is not in the same file.
        password: Passphrase of the key, if it has one.

    Raises:
        ConfigError: A file that cannot be read or used, or a passphrase that is missing
            or wrong. OpenSSL would ask for it at the terminal, with the loop waiting.
    """
    is_locked = False

    def answer() -> str:
        nonlocal is_locked
        is_locked = True
        given = password.reveal() if isinstance(password, Secret) else password
        return given or ""

    try:
        context.load_cert_chain(certfile, keyfile, answer)
    except (OSError, ValueError) as exc:
        if not is_locked:
            message = f"cannot use {_fault_of_pair(exc, certfile, keyfile)}"
            raise ConfigError(message) from exc
        fault = "has a passphrase; give it as keyfile_password="
        if password:
            fault = "does not open with the passphrase given as keyfile_password="
        raise ConfigError(f"the key in {keyfile or certfile} {fault}") from exc


def _why(exc: OSError | ValueError) -> str:
    if isinstance(exc, ssl.SSLError) and exc.reason == "NO_CERTIFICATE_OR_CRL_FOUND":
        return "there is no certificate in it"
    return path_fault(exc) if not isinstance(exc, ssl.SSLError) else str(exc)


def _can_be_used(cafile: str | Path) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile)
    except (OSError, ValueError):
        return False
    return True


def _fault_of_pair(
    exc: OSError | ValueError, certfile: str | Path, keyfile: str | Path | None
) -> str:
    """Say which of the two files is at fault, and why."""
    for file, what, mark in (
        (certfile, "a certificate", b"CERTIFICATE-"),
        (keyfile or certfile, "a key", b"PRIVATE KEY-"),
    ):
        try:
            is_there = mark in Path(file).read_bytes()
        except (OSError, ValueError) as fault:
            return f"{file} for TLS as {what}: {path_fault(fault)}"
        if not is_there and keyfile is None and what == "a key":
            return f"{file} for TLS as a certificate: give its key as keyfile="
        if not is_there:
            return f"{file} for TLS as {what}: there is none in it"
    if isinstance(exc, ssl.SSLError) and exc.reason == "KEY_VALUES_MISMATCH":
        return f"{keyfile or certfile} for TLS: it is the key of another certificate"
    files = f"{certfile} and {keyfile}" if keyfile else f"{certfile}"
    return f"{files} for TLS as a certificate: {exc}"


class _ClientStream(RecordStream):
    """Says as an error of the tree when the server refuses our certificate.

    In TLS 1.3 it does so after the handshake is complete for the client.
    """

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        try:
            return await super().receive(max_bytes)
        except ssl.SSLError as exc:
            refusal = _refusal_of_ours(exc, "the server")
            raise anyio.BrokenResourceError from refusal or exc


async def start_tls(
    stream: ByteStream, context: ssl.SSLContext, *, host: str, port: int
) -> TLSStream:
    """Do the client's handshake on an open stream; the caller sets the deadline.

    The stream is closed when the handshake fails or is cancelled.

    Raises:
        CertificateRefused: The certificate cannot be trusted; the message says why.
        AuthRefused: The server wants a certificate of us, or another one.
        ConnectFailed: The server does not speak TLS, or refused us.
    """
    if isinstance(stream, SocketStream):
        stream.usual_bytes = CLIENT_BYTES
    try:
        return await _ClientStream.wrap(
            stream, hostname=host, ssl_context=context, standard_compatible=False
        )
    except BaseException as exc:
        with anyio.CancelScope(shield=True):
            await anyio.aclose_forcefully(stream)
        if (error := _error_of(exc, host, port, _authorities.get(context))) is None:
            raise
        raise error from exc  # noqa: ASYNC104 - only an error of TLS or the network has one


def _error_of(
    exc: BaseException, host: str, port: int, given: str | None
) -> StructiotError | None:
    where = place(host, port)
    if isinstance(exc, ssl.SSLCertVerificationError):
        code = exc.verify_code
        why = _HINTS.get(code, f"cannot be verified: {exc.verify_message}")
        if given is not None and code in _OTHERS_HINTS:
            why = _OTHERS_HINTS[code].format(given=given)
        message = f"the certificate of {where} {why}"
        refused = CertificateRefused(message, host=host, port=port)
        refused.is_passing = exc.verify_code in _OUT_OF_DATE
        return refused
    if isinstance(exc, ssl.SSLError):
        if (refusal := _refusal_of_ours(exc, where)) is not None:
            return refusal
        reason = (exc.reason or str(exc)).lower().replace("_", " ")
        if exc.reason in NO_TLS:
            reason = "the server does not speak TLS on this port"
        message = f"TLS with {where} failed: {reason}"
        return ConnectFailed(message, host=host, port=port)
    if isinstance(exc, LOST):
        message = f"{where} hung up during the TLS handshake; does it speak TLS there?"
        return ConnectFailed(message, host=host, port=port)
    return None


def _refusal_of_ours(exc: ssl.SSLError, who: str) -> AuthRefused | None:
    if exc.reason not in _ABOUT_OURS:
        return None
    alert = exc.reason.partition("ALERT_")[2].replace("_", " ").lower()
    return AuthRefused(
        f"{who} refuses our TLS certificate ({alert}): give one that it accepts "
        "as certfile= and keyfile= (or in an ssl_context=)"
    )
