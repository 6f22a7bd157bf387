"""The one door to HTTP: httpx over our network seam, its errors mapped to our tree."""

from __future__ import annotations

from structiot._kit.http.client import HttpClient, HttpReply, open_http

__all__ = ["HttpClient", "HttpReply", "open_http"]
