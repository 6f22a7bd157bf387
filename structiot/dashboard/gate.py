"""The gate: who is let in, and how somebody signs in and out."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from http import HTTPStatus

from structiot._kit.http.messages import HttpReply, HttpRequest
from structiot.dashboard.access import is_foreign_read, is_known_host, is_own_page
from structiot.dashboard.replies import Refusal, see_other
from structiot.dashboard.sessions import Attempts, Sessions

__all__ = ["Gate", "Visitor"]

# Browsers make it 400 days at most.
_SESSION_S = 400 * 86_400
_NEXT_S = 600
_LONGEST_NEXT = 500
_READS = ("GET", "HEAD")


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Who asks.

    Attributes:
        is_in: Whether everything may be asked.
        session: What the browser's cookie holds; empty where there is none.
        is_program: It has shown the token itself, which no foreign page can.
    """

    is_in: bool
    session: str = ""
    is_program: bool = False


class Gate:
    """Lets in whoever may see the page.

    Args:
        sessions: Of the token.
        attempts: Those of this gate and others.
        host: Name or address that the page is served on.
        proxied: Further names by which it is reached, perhaps by a proxy with TLS.
        is_tls: Whether browsers come by `https`.
    """

    def __init__(
        self,
        sessions: Sessions,
        attempts: Attempts,
        *,
        host: str,
        proxied: Collection[str],
        is_tls: bool,
    ) -> None:
        self.sessions = sessions
        self._proxied = frozenset(name.lower() for name in proxied)
        self._hosts = self._proxied | {host.lower()}
        self._attempts = attempts
        self._is_tls = is_tls

    def check_origin(self, request: HttpRequest) -> None:
        """See that the page was asked by its own name, and not by somebody else's page.

        Raises:
            Refusal: It was not.
        """
        if not is_known_host(request, self._hosts):
            why = (
                "this page has no such name; [dashboard] hosts lists those that it has"
            )
            raise Refusal(HTTPStatus.MISDIRECTED_REQUEST, why)
        if request.method in _READS:
            if is_foreign_read(request):
                raise Refusal(
                    HTTPStatus.FORBIDDEN, "another page may not read this one"
                )
        elif not is_own_page(request, is_tls=self._is_tls, names=self._proxied):
            raise Refusal(HTTPStatus.FORBIDDEN, "another page may not write here")

    def visitor(self, request: HttpRequest) -> Visitor:
        """Tell who asks.

        Raises:
            Refusal: It was wrong too often.
        """
        sessions = self.sessions
        if not sessions.is_token_needed:
            return Visitor(is_in=True)
        cookie = _cookies_of(request).get(self._cookie(request), "")
        if cookie and sessions.is_session(cookie):
            return Visitor(is_in=True, session=cookie)
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return Visitor(is_in=False)
        # Header fields are read as Latin-1, and tokens are UTF-8.
        token = given.strip().encode("latin-1", "replace").decode("utf-8", "replace")
        return Visitor(is_in=self._is_right(request, token), is_program=True)

    def check_write(self, request: HttpRequest, visitor: Visitor) -> None:
        """See that a write is one of JSON, by a form of ours or a program.

        Raises:
            Refusal: It is not.
        """
        token = request.headers.get("x-csrf-token", "")
        is_form = self.sessions.is_csrf_token(token, visitor.session)
        if not (visitor.is_program or is_form):
            why = "the X-CSRF-Token is not that of the page: load it again"
            raise Refusal(HTTPStatus.FORBIDDEN, why)
        kind = request.headers.get("content-type", "").partition(";")[0]
        if kind.strip().lower() != "application/json":
            raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send application/json")

    def csrf_token(self, visitor: Visitor) -> str:
        """Give the token for the forms of a visitor."""
        return self.sessions.csrf_token(visitor.session)

    # ------------------------------------------------------------ in and out

    def to_sign_in(self, request: HttpRequest) -> HttpReply:
        """Lead to the form, and note where it leads afterwards."""
        where = request.target if request.method == "GET" else ""
        if where == "/" or _local(where) != where:
            return see_other("/login")
        cookie = self._written("structiot_next", where, _NEXT_S)
        return see_other("/login", cookie=cookie)

    def next_path(self, request: HttpRequest) -> str:
        """Say where the form leads."""
        return _local(_cookies_of(request).get("structiot_next", ""))

    def sign_in(self, request: HttpRequest) -> HttpReply | None:
        """Take the form; None if the token is wrong.

        Raises:
            Refusal: It was wrong too often.
        """
        if not self.sessions.is_token_needed:
            return see_other("/")
        form = request.form()
        if not self._is_right(request, form.get("token", "")):
            return None
        name, session = self._cookie(request), self.sessions.new()
        cookie = self._written(name, session, _SESSION_S)
        return see_other(_local(form.get("next", "")), cookie=cookie)

    def sign_out(self, request: HttpRequest) -> HttpReply:
        """Have the browser forget its session."""
        cookie = self._written(self._cookie(request), "", 0)
        return see_other("/login", cookie=cookie)

    def _is_right(self, request: HttpRequest, token: str) -> bool:
        host = request.peer[0]
        wait_s = self._attempts.wait_s(host)
        if wait_s > 0:
            seconds = math.ceil(wait_s)
            why = f"too many wrong tokens: try again in {seconds} s"
            status = HTTPStatus.TOO_MANY_REQUESTS
            raise Refusal(status, why, retry_after_s=seconds)
        if self.sessions.is_token(token):
            return True
        self._attempts.wrong(host)
        return False

    def _cookie(self, request: HttpRequest) -> str:
        # A browser has the same cookies for all ports of a host.
        return f"structiot_{request.local[1]}"

    def _written(self, name: str, value: str, for_s: int) -> str:
        secure = "; Secure" if self._is_tls else ""
        rules = f"HttpOnly; SameSite=Strict; Path=/; Max-Age={for_s}{secure}"
        return f"{name}={value}; {rules}"


def _cookies_of(request: HttpRequest) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in request.headers.get("cookie", "").split(";"):
        name, _, value = item.strip().partition("=")
        found.setdefault(name, value)
    return found


def _local(where: str) -> str:
    """Give a path of this page; `/` for anything else."""
    is_path = where.startswith("/") and not where.startswith(("//", "/\\"))
    is_plain = (
        where.isascii() and where.isprintable() and not set(where) & set(' ;,"\\')
    )
    return where if is_path and is_plain and len(where) <= _LONGEST_NEXT else "/"
