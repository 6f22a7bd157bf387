"""The doors to HTTP: httpx or plain h11 over our network seam, errors of our tree."""

from __future__ import annotations

from structiot._kit.http.client import HttpClient, open_http
from structiot._kit.http.once import OneShotHttp
from structiot._kit.http.reply import HttpReply

__all__ = ["HttpClient", "HttpReply", "OneShotHttp", "open_http"]
