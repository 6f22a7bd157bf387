"""From which web pages a websocket may be opened.

A browser lets any page of the web open a websocket to this machine, and names the page in
`Origin`, which no script can change. A request without `Origin` is not a browser's. That
a page comes from the very address that it speaks to is enough where the address is a
number or `localhost`; a name proves nothing, for its owner may have it point here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit

from structiot._kit.arguments import check_items
from structiot.errors import ConfigError

__all__ = ["Origins"]

_PORTS: Final = {"http": 80, "https": 443}
_ANY: Final = "*"
# What a page says that has no origin, such as a file.
_OPAQUE: Final = "null"


class Origins:
    """Pages that may open a websocket, besides those of the same address.

    Args:
        allowed: Such as `https://house.example:8443`; `*` is any page, and `null` one
            without an origin, such as a file.

    Raises:
        ConfigError: One that no browser could name.
        UsageError: No list of texts.
    """

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        write = '["https://house.example"]'
        check_items("allowed_origins", allowed, str, write=write)
        self._allows_any = _ANY in allowed
        self._allows_opaque = _OPAQUE in allowed
        self._allowed = {
            _known_place(one) for one in allowed if one not in {_ANY, _OPAQUE}
        }

    def refused(self, origins: Iterable[str], host: str) -> str | None:
        """Give the first page that may not, of those that a request names.

        Args:
            origins: Values of its `Origin`.
            host: Value of its `Host`.
        """
        if self._allows_any:
            return None
        return next((one for one in origins if not self._may(one, host)), None)

    def _may(self, origin: str, host: str) -> bool:
        if origin == _OPAQUE:
            return self._allows_opaque
        place = _place(origin)
        if place is None:
            return False
        if place in self._allowed:
            return True
        scheme, name, _ = place
        if scheme not in _PORTS or not _is_number(name):
            return False
        return _place(f"{scheme}://{host}") == place


def _known_place(origin: str) -> tuple[str, str, int]:
    place = _place(origin)
    if place is None:
        message = f"{origin!r} is no origin: such as https://house.example:8443, or *"
        raise ConfigError(message)
    return place


def _place(origin: str) -> tuple[str, str, int] | None:
    """Read scheme, host and port; None if it is anything more, or less."""
    try:
        url = urlsplit(origin)
        host, usual = url.hostname, _PORTS.get(url.scheme, 0)
        port = usual if url.port is None else url.port
        is_nowhere = url.port == 0
    except ValueError:
        return None
    is_bare = not (url.path or url.query or url.fragment or "@" in url.netloc)
    is_text = origin.isascii() and origin.isprintable() and " " not in origin
    if not (url.scheme and host and is_bare and is_text) or is_nowhere:
        return None
    return url.scheme, host, port


def _is_number(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
