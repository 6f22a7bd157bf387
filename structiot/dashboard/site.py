"""What is at which address, for whom, and how it is refused.

host, foreign page --> health, files --> token --> form token, JSON --> the address
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TypeAlias
from urllib.parse import quote, unquote

from structiot._kit.http.messages import HttpReply, HttpRequest
from structiot._kit.http.server import HttpStream
from structiot._kit.text import printable
from structiot.dashboard.api import history_csv, history_json, set_value
from structiot.dashboard.assets import Assets
from structiot.dashboard.gate import Gate, Visitor
from structiot.dashboard.health import metrics_text, not_ready
from structiot.dashboard.hub import Hub
from structiot.dashboard.page_maker import PageMaker
from structiot.dashboard.replies import Refusal, plain, refused, see_other
from structiot.dashboard.stream import event_stream
from structiot.dashboard.views import PageView
from structiot.errors import ProtocolViolation
from structiot.gateway import Gateway

__all__ = ["Site"]

Answer: TypeAlias = HttpReply | HttpStream

_READS = ("GET", "HEAD")
_PROGRAMS = ("/api/", "/events", "/metrics")
_METRICS = "text/plain; version=0.0.4"

_log = logging.getLogger(__name__)


class Site:
    """Answers requests that came in by one gate.

    Args:
        gateway: The gateway.
        gate: Whom it lets in.
        hub: What has changed.
        pages: Makes pages.
        assets: Their files.
    """

    def __init__(
        self,
        gateway: Gateway,
        gate: Gate,
        hub: Hub,
        pages: PageMaker,
        assets: Assets,
    ) -> None:
        self._gateway = gateway
        self._gate = gate
        self._hub = hub
        self._pages = pages
        self._assets = assets

    async def answer(self, request: HttpRequest) -> Answer:
        """Answer a request, whatever it is.

        Raises:
            ProtocolViolation: It is none.
        """
        try:
            return await self._answered(request)
        except Refusal as exc:
            return await self._refused(request, exc)
        except ProtocolViolation:
            raise
        # One request's trouble; everybody else goes on.
        except Exception:  # noqa: BLE001 - the log has all of it
            _log.exception("%s %s has failed", request.method, _shown(request.path))
            why = "something has failed here; the gateway's log says what"
            return refused(Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, why))

    async def _refused(self, request: HttpRequest, refusal: Refusal) -> HttpReply:
        is_elsewhere = refusal.status == HTTPStatus.MISDIRECTED_REQUEST
        if is_elsewhere or _is_for_programs(request.path):
            return refused(refusal)
        return await self._pages.refusal(request, refusal)

    async def _answered(self, request: HttpRequest) -> Answer:
        path, gate = request.path, self._gate
        if path in ("/healthz", "/readyz"):
            return self._health(request)
        gate.check_origin(request)
        if path.startswith("/assets/") or path == "/favicon.ico":
            return self._asset(request)
        if path in ("/login", "/logout"):
            return await self._door(request)
        visitor = gate.visitor(request)
        if visitor.is_in:
            return await self._asked(request, visitor)
        if _is_for_programs(path):
            raise Refusal(HTTPStatus.UNAUTHORIZED, "sign in, or send the token")
        return gate.to_sign_in(request)

    async def _asked(self, request: HttpRequest, visitor: Visitor) -> Answer:
        levels = _levels_in(request.path)
        match levels:
            case [""] | ["gateway"] | ["device", _]:
                _check_method(request, _READS)
                return await self._page(request, visitor, levels)
            case ["events"]:
                _check_method(request, _READS)
                return self._events(request)
            case ["metrics"]:
                _check_method(request, _READS)
                return plain(metrics_text(self._gateway), kind=_METRICS)
            case ["api", *_]:
                return await self._api(request, visitor, levels)
        raise _missing(request.path)

    # ------------------------------------------------------------ for everybody

    def _health(self, request: HttpRequest) -> HttpReply:
        if request.method not in _READS:
            return refused(_not_possible(_READS))
        missing = not_ready(self._gateway) if request.path == "/readyz" else []
        if missing:
            names = "".join(f"{name}\n" for name in missing)
            return plain(names, status=HTTPStatus.SERVICE_UNAVAILABLE)
        return plain("ok\n")

    def _asset(self, request: HttpRequest) -> HttpReply:
        _check_method(request, _READS)
        found = self._assets.reply(request)
        if found is None:
            raise _missing(request.path)
        return found

    async def _door(self, request: HttpRequest) -> HttpReply:
        gate = self._gate
        if request.path == "/logout":
            _check_method(request, ("POST",))
            return gate.sign_out(request)
        _check_method(request, (*_READS, "POST"))
        if request.method == "POST":
            try:
                if (found := gate.sign_in(request)) is not None:
                    return found
                refusal = Refusal(HTTPStatus.UNAUTHORIZED, "This is not the token.")
            except Refusal as exc:
                refusal = exc
            next_path = gate.next_path(request)
            return await self._pages.login(request, next_path, refusal)
        if gate.visitor(request).is_in:
            return see_other("/")
        return await self._pages.login(request, gate.next_path(request))

    # ------------------------------------------------------------ for those let in

    async def _page(
        self, request: HttpRequest, visitor: Visitor, levels: list[str]
    ) -> HttpReply:
        def page(title: str, stream: str = "/events") -> PageView:
            return self._pages.page(
                request,
                title,
                csrf_token=self._gate.csrf_token(visitor),
                stream=stream,
                can_sign_out=bool(visitor.session),
            )

        if levels == [""]:
            return await self._pages.index(request, page("structiot"))
        if levels == ["gateway"]:
            return await self._pages.gateway(request, page("Gateway · structiot"))
        slug = levels[1]
        device = self._gateway.devices.get(slug)
        title = slug if device is None else device.name
        made = page(f"{title} · structiot", f"/events?device={quote(slug)}")
        return await self._pages.device(request, slug, made)

    def _events(self, request: HttpRequest) -> HttpStream:
        device = request.query.get("device")
        if device is not None and device not in self._gateway.devices:
            raise Refusal(HTTPStatus.NOT_FOUND, f"there is no device {device!r}")
        return event_stream(self._hub, device)

    async def _api(
        self, request: HttpRequest, visitor: Visitor, levels: list[str]
    ) -> HttpReply:
        gateway, now_utc = self._gateway, self._pages.now_utc()
        match levels:
            case ["api", "session"]:
                _check_method(request, _READS)
                headers = {"X-CSRF-Token": self._gate.csrf_token(visitor)}
                return HttpReply(status=HTTPStatus.NO_CONTENT, headers=headers)
            case ["api", "set", device, entity]:
                _check_method(request, ("POST",))
                self._gate.check_write(request, visitor)
                return await set_value(gateway, request, device, entity)
            case ["api", "history", device, entity]:
                _check_method(request, _READS)
                if entity.endswith(".csv"):
                    key = device, entity.removesuffix(".csv")
                    return await history_csv(gateway, request, now_utc, key)
                key = device, entity
                return await history_json(gateway, request, now_utc, key)
        raise _missing(request.path)


def _is_for_programs(path: str) -> bool:
    return path.startswith(_PROGRAMS)


def _check_method(request: HttpRequest, methods: tuple[str, ...]) -> None:
    if request.method not in methods:
        raise _not_possible(methods)


def _not_possible(methods: tuple[str, ...]) -> Refusal:
    allow = ", ".join(methods)
    status = HTTPStatus.METHOD_NOT_ALLOWED
    return Refusal(status, f"here goes {allow} only", allow=allow)


def _missing(path: str) -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, f"There is nothing at {_shown(path)}.")


def _shown(path: str) -> str:
    return printable(unquote(path, errors="replace"), most=100)


def _levels_in(path: str) -> list[str]:
    """Read the levels of a path.

    Raises:
        Refusal: They are no text.
    """
    try:
        return [unquote(level, errors="strict") for level in path.split("/")[1:]]
    except UnicodeDecodeError:
        raise _missing(path) from None
