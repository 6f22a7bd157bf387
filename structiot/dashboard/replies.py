"""Answers of the page: pages, JSON, refusals, and where else to look."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from http import HTTPStatus

from structiot._kit.http.messages import HttpReply, HttpRequest
from structiot._kit.text import printable
from structiot.dashboard.assets import takes_gzip

__all__ = ["Refusal", "page_reply", "plain", "refused", "see_other"]

# Less is not worth the work.
_ZIPPED_FROM_BYTES = 1000
_LEVEL = 5


@dataclass(slots=True, eq=False)
class Refusal(Exception):
    """What is asked for is not given.

    Attributes:
        status: Status of the answer.
        why: One sentence for people.
        allow: The methods that would do, where another was used.
        retry_after_s: When it may be asked again, where that is known.
    """

    status: int
    why: str
    allow: str = ""
    retry_after_s: int = 0

    @property
    def headers(self) -> dict[str, str]:
        """What is said of it besides."""
        headers = {}
        if self.allow:
            headers["Allow"] = self.allow
        if self.retry_after_s:
            headers["Retry-After"] = str(self.retry_after_s)
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"
        return headers


def refused(refusal: Refusal) -> HttpReply:
    """Say a refusal to a program."""
    reply = HttpReply.of_json({"error": printable(refusal.why)}, status=refusal.status)
    headers = {**reply.headers, **refusal.headers}
    return HttpReply(status=reply.status, headers=headers, body=reply.body)


def plain(text: str, *, status: int = 200, kind: str = "text/plain") -> HttpReply:
    """Say a text to a program."""
    headers = {"Content-Type": f"{kind}; charset=utf-8"}
    return HttpReply(status=status, headers=headers, body=text.encode())


def see_other(where: str, *, cookie: str = "") -> HttpReply:
    """Lead a browser somewhere else."""
    headers = {"Location": where}
    if cookie:
        headers["Set-Cookie"] = cookie
    return HttpReply(status=HTTPStatus.SEE_OTHER, headers=headers)


def page_reply(
    request: HttpRequest,
    page: str,
    *,
    status: int = 200,
    refusal: Refusal | None = None,
) -> HttpReply:
    """Make an answer of a page, compressed if that is asked for; it is long work."""
    body = page.encode("utf-8", "replace")
    headers = {"Content-Type": "text/html; charset=utf-8", "Vary": "Accept-Encoding"}
    if refusal is not None:
        status = refusal.status
        headers |= refusal.headers
    if len(body) >= _ZIPPED_FROM_BYTES and takes_gzip(request):
        headers["Content-Encoding"] = "gzip"
        body = gzip.compress(body, _LEVEL, mtime=0)
    return HttpReply(status=status, headers=headers, body=body)
