"""The files of a page, each at an address that says what is in it.

A file that has changed has another address, so browsers keep what they have for a year.
They are read and compressed once, when the page is opened.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Final

from structiot._kit.http.messages import HttpReply, HttpRequest
from structiot.errors import InternalError

__all__ = ["Assets", "takes_gzip"]

_KINDS: Final = {
    "css": "text/css; charset=utf-8",
    "ico": "image/x-icon",
    "js": "text/javascript; charset=utf-8",
    "json": "application/manifest+json",
    "png": "image/png",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
    "webmanifest": "application/manifest+json",
}
_DIGEST_CHARACTERS: Final = 12
_KEPT: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class _Asset:
    kind: str
    body: bytes
    zipped: bytes


def takes_gzip(request: HttpRequest) -> bool:
    """Tell whether an answer may be compressed."""
    for item in request.headers.get("accept-encoding", "").lower().split(","):
        name, _, weight = item.partition(";")
        if name.strip() in {"gzip", "*"}:
            return weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False


class Assets:
    """The files of `structiot/dashboard/static`; blocks while it reads them.

    Attributes:
        urls: The address of each by its name.
    """

    def __init__(self) -> None:
        self.urls: Mapping[str, str] = {}
        self._by_url: dict[str, _Asset] = {}
        urls = {}
        for file in files("structiot.dashboard").joinpath("static").iterdir():
            stem, _, ending = file.name.rpartition(".")
            if not file.is_file() or ending not in _KINDS:
                continue
            body = file.read_bytes()
            digest = sha256(body).hexdigest()[:_DIGEST_CHARACTERS]
            url = urls[file.name] = f"/assets/{stem}.{digest}.{ending}"
            zipped = gzip.compress(body, 9, mtime=0)
            self._by_url[url] = _Asset(_KINDS[ending], body, zipped)
        if not urls:
            raise InternalError("the files of the page are missing from the package")
        self.urls = urls

    def reply(self, request: HttpRequest) -> HttpReply | None:
        """Answer for one of them; None where there is none of this address."""
        asset = self._by_url.get(request.path)
        if asset is None and request.path == "/favicon.ico":
            url = self.urls.get("favicon.ico") or self.urls.get("icon.svg")
            asset = self._by_url.get(url or "")
            return None if asset is None else _served(asset, request, kept="no-store")
        return None if asset is None else _served(asset, request, kept=_KEPT)


def _served(asset: _Asset, request: HttpRequest, *, kept: str) -> HttpReply:
    headers = {
        "Content-Type": asset.kind,
        "Cache-Control": kept,
        "Vary": "Accept-Encoding",
    }
    if takes_gzip(request) and len(asset.zipped) < len(asset.body):
        headers["Content-Encoding"] = "gzip"
        return HttpReply(headers=headers, body=asset.zipped)
    return HttpReply(headers=headers, body=asset.body)
