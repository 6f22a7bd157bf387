"""`[dashboard]` in the configuration: the gateway's web page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field

from structiot._kit.net.network import is_loopback
from structiot.gateway.config.fields import (
    Finding,
    Hidden,
    Host,
    NamedFile,
    Section,
    readable,
    secret_in,
)

__all__ = ["DashboardSection", "dashboard_faults"]

_SCHEMES = ("http", "https")


def _check_address(uri: str) -> str:
    parts = _split(uri)
    if parts is None or parts.scheme not in _SCHEMES or not parts.hostname:
        raise ValueError("the page is served at http://HOST:PORT or https://HOST:PORT")
    if parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("an address to serve the page at has host and port only")
    return uri


def _check_some(uris: tuple[str, ...]) -> tuple[str, ...]:
    if not uris:
        raise ValueError("give an address, such as http://127.0.0.1:8321")
    return uris


class DashboardSection(Section):
    """`[dashboard]`: the gateway's web page.

    Attributes:
        enabled: Whether there is a page.
        listen: Where it is served: `http://` and `https://` addresses.
        cert_file: Certificate for `https`. Relative to the configuration file, like the
            next two.
        key_file: Key of the certificate, if it is not in the same file.
        token: What has to be known to see the page; needed where others than this
            machine can reach it, and asked for everywhere once it is set.
        token_file: File whose first line is the token, instead of `token`.
        hosts: Names by which browsers reach the page, besides `localhost` and the
            addresses that it is served on, such as that of a proxy before it.
    """

    also_called: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("address", "bind", "host", "port", "uri", "url"), "listen"),
        "password": "token",
        "password_file": "token_file",
    }

    enabled: bool = True
    listen: Annotated[
        tuple[Annotated[str, AfterValidator(_check_address)], ...],
        AfterValidator(_check_some),
        Field(strict=False),
    ] = ("http://127.0.0.1:8321",)
    cert_file: Annotated[str | None, NamedFile(readable)] = None
    key_file: Annotated[str | None, NamedFile(readable)] = None
    token: Hidden | None = None
    token_file: Annotated[str | None, NamedFile(secret_in, into="token")] = None
    hosts: Annotated[tuple[Host, ...], Field(strict=False)] = ()


def dashboard_faults(table: Mapping[str, object]) -> Iterator[Finding]:
    """Find settings of `[dashboard]` that contradict each other, as they were written."""
    if table.get("enabled") is False:
        return
    listen = table.get("listen")
    addresses = listen if isinstance(listen, list | tuple) else ()
    has_token = any(table.get(key) for key in ("token", "token_file"))
    for index, uri in enumerate(addresses):
        try:
            parts = urlsplit(_check_address(uri if isinstance(uri, str) else ""))
        except ValueError:
            # That is said without us.
            continue
        path = ("listen", index)
        if not has_token and not is_loopback(parts.hostname or ""):
            why = f"others can reach {uri}: give a token, or a token_file"
            yield Finding(path=path, message=why)
        if parts.scheme == "https" and "cert_file" not in table:
            why = "https needs a cert_file beside it"
            yield Finding(path=path, message=why)
    if "key_file" in table and "cert_file" not in table:
        why = "key_file needs a cert_file beside it"
        yield Finding(path=("key_file",), message=why, is_about_key=True)


def _split(uri: str) -> SplitResult | None:
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return None
    return parts
