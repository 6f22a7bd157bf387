"""One signed request to the cloud and its reply, wherever the account's region is."""

from __future__ import annotations

import logging
import re
import ssl
import string
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, NamedTuple

import anyio

from structiot._kit.environment import Environment
from structiot._kit.http.base_client import BaseHttpClient
from structiot._kit.http.cloud import open_cloud
from structiot._kit.http.messages import HttpReply
from structiot._kit.redact import HIDDEN, Secret
from structiot.errors import ConfigError, ProtocolViolation, StructiotError, UsageError
from structiot.meross.errors import TooOften, WrongRegion
from structiot.meross.link.refusals import error_of_reply, error_of_status
from structiot.meross.wire.cloud import (
    ApiReply,
    decode_reply,
    encode_request,
    url_of_domain,
)
from structiot.meross.wire.digests import without_digests

__all__ = ["CloudHttp", "HttpStats", "base_url_of"]

_log = logging.getLogger(__name__)

# Seven hundred devices; what is longer would be read for too long.
_MAX_REPLY_BYTES: Final = 524_288
# The one that was named, the account's region, and where that sends us.
_MAX_SERVERS: Final = 8
# How long the cloud is left alone that has had enough and does not say for how long.
_REST_S: Final = 60.0
_HEADERS: Final = {
    "vender": "meross",
    "AppType": "structiot",
    "AppLanguage": "EN",
    "User-Agent": "structiot",
}
_BASE: Final = re.compile(
    r"(https?)://([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:\d{1,5})?(/[\w./-]*)?",
    re.ASCII,
)
_NONCE: Final = string.ascii_uppercase + string.digits


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpStats:
    """Requests to the cloud within some time.

    Attributes:
        total_calls: How many there were.
        by_http_status: How many by status of HTTP; None counts those without a reply.
        by_api_status: How many by the cloud's own number; None counts those without one.
        by_url: The same of each URL by itself, without `by_url` in turn.
    """

    total_calls: int
    by_http_status: Mapping[int | None, int]
    by_api_status: Mapping[int | None, int]
    by_url: Mapping[str, HttpStats]


class _Sample(NamedTuple):
    at_s: float
    url: str
    http_status: int | None
    api_status: int | None


class CloudHttp:
    """Requests to the cloud; safe to use from several tasks.

    Args:
        stack: Holds one client for each server that was asked, at most eight.
        environment: Network, clock for the time stamps, chance.
        reply_s: Longest wait for one reply.
        ssl_context: For https.
    """

    def __init__(
        self,
        stack: AsyncExitStack,
        environment: Environment,
        *,
        reply_s: float,
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        self._stack = stack
        self._environment = environment
        self._reply_s = reply_s
        self._ssl_context = ssl_context
        self._clients: dict[str, BaseHttpClient] = {}
        self._opening = anyio.Lock()
        # The last thousand requests.
        self._samples: deque[_Sample] = deque(maxlen=1_000)
        self._rest_until_s = float("-inf")
        self._is_closed = False

    def stats(self, time_window: timedelta) -> HttpStats:
        """Count the requests of the last time, as far as they are remembered."""
        since_s = anyio.current_time() - time_window.total_seconds()
        found = [sample for sample in self._samples if sample.at_s > since_s]
        by_url: dict[str, list[_Sample]] = {}
        for sample in found:
            by_url.setdefault(sample.url, []).append(sample)
        each = {url: _counted(samples, {}) for url, samples in by_url.items()}
        return _counted(found, each)

    def close(self) -> None:
        """Refuse what is asked from now on."""
        self._is_closed = True

    async def ask(
        self,
        base_url: str,
        path: str,
        params: Mapping[str, object],
        *,
        token: Secret,
        account: str,
    ) -> tuple[str, ApiReply]:
        """Ask as `post` does, and once more where the cloud sends us elsewhere.

        Returns:
            The server that has answered, and its answer, which is a success.

        Raises:
            StructiotError: As `post`.
        """
        try:
            return base_url, await self.post(
                base_url, path, params, token=token, account=account
            )
        except WrongRegion as exc:
            domain = base_url_of(exc.domain, like=base_url)
            if domain is None:
                raise
        _log.info("the cloud sends us to %s", domain)
        reply = await self.post(domain, path, params, token=token, account=account)
        return domain, reply

    async def post(
        self,
        base_url: str,
        path: str,
        params: Mapping[str, object],
        *,
        token: Secret | None = None,
        account: str | None = None,
    ) -> ApiReply:
        """Ask one server; the answer is a success.

        Args:
            base_url: The server.
            path: What is asked.
            params: Its parameters.
            token: Who asks; None before the sign-in.
            account: The e-mail, for errors.

        Raises:
            UsageError: The block has ended.
            StructiotError: See `structiot.meross.errors`, and those of the network.
        """
        what = f"{base_url}{path}"
        client = await self._client(base_url, what)
        self._check(what)
        http_status = api_status = None
        try:
            body = self._body(params)
            reply = await client.request(
                "POST", path, headers=_headers(token), body=body
            )
            http_status = reply.status
            answer = _without(_answer(what, reply), token)
            api_status = answer.code
            error = error_of_reply(what, answer, account=account)
            if error is not None:
                raise error
        except TooOften as exc:
            after_s = exc.retry_after_s
            rest_s = _REST_S if after_s is None else after_s
            self._rest_until_s = anyio.current_time() + rest_s
            raise
        finally:
            now_s = anyio.current_time()
            self._samples.append(_Sample(now_s, what, http_status, api_status))
            _log.debug("%s: HTTP %s, apiStatus %s", what, http_status, api_status)
        return answer

    def _check(self, what: str) -> None:
        if self._is_closed:
            raise UsageError(f"{what}: the block of open_cloud has ended")
        left_s = self._rest_until_s - anyio.current_time()
        if left_s > 0:
            message = f"{what}: not asked, the cloud is left alone for {left_s:.0f} s"
            raise TooOften(message, retry_after_s=left_s)

    def _body(self, params: Mapping[str, object]) -> bytes:
        now_ms = int(self._environment.now_utc().timestamp() * 1000)
        nonce = "".join(self._environment.random.choices(_NONCE, k=16))
        return encode_request(params, timestamp_ms=now_ms, nonce=nonce)

    async def _client(self, base_url: str, what: str) -> BaseHttpClient:
        if (known := self._clients.get(base_url)) is not None:
            return known
        async with self._opening:
            if base_url not in self._clients:
                if len(self._clients) >= _MAX_SERVERS:
                    message = f"{what}: the cloud sends us from server to server"
                    raise WrongRegion(message, domain=base_url)
                self._clients[base_url] = await self._opened(base_url)
            return self._clients[base_url]

    async def _opened(self, base_url: str) -> BaseHttpClient:
        client = open_cloud(
            base_url,
            reply_s=self._reply_s,
            max_body_bytes=_MAX_REPLY_BYTES,
            headers=_HEADERS,
            ssl_context=self._ssl_context,
            network=self._environment.network,
        )
        try:
            return await self._stack.enter_async_context(client)
        except ConfigError as exc:
            message = f"the cloud names a server that cannot be asked: {exc}"
            raise WrongRegion(message, domain=base_url) from None


def base_url_of(domain: object, *, like: str) -> str | None:
    """Give the base URL that a `domain` means; None if it is none.

    Args:
        domain: As the cloud tells it, or a file.
        like: Another one; what began by https does not go on without.
    """
    url = url_of_domain(domain)
    if url is None or not (found := _BASE.fullmatch(url)):
        return None
    if found[3] and not 0 < int(found[3][1:]) < 65_536:
        return None
    is_downgrade = found[1] == "http" and like.startswith("https:")
    return f"https{url[4:]}" if is_downgrade else url


def _headers(token: Secret | None) -> dict[str, str]:
    # The token as it is, despite the name of the scheme.
    return {
        "Authorization": f"Basic {token.reveal()}" if token else "Basic",
        "Content-Type": "application/json",
    }


def _without(answer: ApiReply, token: Secret | None) -> ApiReply:
    """Take out of the cloud's words what is a secret, or may be one."""
    info = without_digests(answer.info)
    if token:
        info = info.replace(token.reveal(), HIDDEN)
    return replace(answer, info=info)


def _answer(what: str, reply: HttpReply) -> ApiReply:
    """Read a reply; what HTTP says of it counts where the cloud itself says nothing."""
    error: StructiotError | None = error_of_status(what, reply)
    answer, trouble = None, ""
    try:
        answer = decode_reply(reply.body, what)
    except ProtocolViolation as exc:
        # Its excerpt might hold what we have sent, given back: it does not go along.
        trouble = str(exc)
    if answer is None:
        raise error or ProtocolViolation(trouble)
    if error is not None and answer.code == 0:
        raise error
    return answer


def _counted(samples: Sequence[_Sample], by_url: Mapping[str, HttpStats]) -> HttpStats:
    http = Counter(sample.http_status for sample in samples)
    api = Counter(sample.api_status for sample in samples)
    return HttpStats(
        total_calls=http.total(),
        by_http_status=dict(http),
        by_api_status=dict(api),
        by_url=by_url,
    )
