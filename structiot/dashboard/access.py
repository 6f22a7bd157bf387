"""Who may ask what: by the host that was asked, the page that asks, and the token.

Nothing here waits, and nothing is said of the gateway before all of it is passed.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from structiot._kit.http.messages import HttpRequest

__all__ = [
    "EVERY_ANSWER",
    "is_foreign_read",
    "is_known_host",
    "is_own_page",
]

EVERY_ANSWER: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # What is kept says so itself.
    "Cache-Control": "no-store",
}


def is_known_host(request: HttpRequest, names: Collection[str]) -> bool:
    """Tell whether the page is asked by a name of its own: no other leads here.

    A name that its owner has point to this machine (DNS rebinding) makes a page of
    theirs one of the same origin; its name is what gives it away.

    Args:
        request: What was asked.
        names: Further names, in lower case.
    """
    host = _host_in(request.headers.get("host", ""))
    if host is None:
        return False
    return host == "localhost" or host in names or host == _plain(request.local[0])


def is_own_page(request: HttpRequest, *, is_tls: bool, names: Collection[str]) -> bool:
    """Tell whether it is this page that asks, as far as a browser says which it is.

    Args:
        request: What was asked, by a host that is known.
        is_tls: Whether it came by `https`.
        names: Names by which there may be a proxy with TLS before us.
    """
    if "origin" not in request.headers:
        # Programs send none; a browser's say so by this where they send no origin.
        return request.headers.get("sec-fetch-site", "same-origin") in {
            "same-origin",
            "none",
        }
    origin, host = request.headers["origin"], request.headers.get("host", "").lower()
    schemes = {"https" if is_tls else "http"}
    if _host_in(host) in names:
        schemes.add("https")
    return any(origin.lower() == f"{scheme}://{host}" for scheme in schemes)


def is_foreign_read(request: HttpRequest) -> bool:
    """Tell whether a page of somebody else reads, other than by a link to us."""
    # What is no word of a browser's is not taken for one of ours.
    site = request.headers.get("sec-fetch-site", "none")
    is_foreign = site not in {"same-origin", "same-site", "none"}
    return is_foreign and request.headers.get("sec-fetch-mode") != "navigate"


def _host_in(header: str) -> str | None:
    """Read the host of a `Host`; None if it is anything more, or nothing."""
    text = header.lower()
    if not text.isascii() or not text.isprintable() or set(text) & set("/@?#\\, "):
        return None
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or (port is None and text.endswith(":")):
        return None
    return _plain(host)


def _plain(host: str) -> str:
    """Write an address in the one way; a name stays as it is."""
    try:
        # Only an address of IPv6 has a zone.
        bare = host.partition("%")[0] if ":" in host else host
        address = ipaddress.ip_address(bare)
    except ValueError:
        return host
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
