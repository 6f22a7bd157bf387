"""Sends what waits in a history's outbox to an InfluxDB, the oldest first.

What was taken there is taken out by the next commit; what was sent twice, as after a
crash, is the same point there. What the server will never take (a login, a bucket that
is not there) is said and not tried again before a reload; of a batch that it refuses,
the lines that it is about are found and left out; all else is tried again.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from random import Random
from urllib.parse import urlsplit

import anyio

from structiot._kit.flow.backoff import Backoff
from structiot._kit.http.base_client import BaseHttpClient
from structiot._kit.http.cloud import open_cloud
from structiot._kit.http.messages import HttpReply
from structiot._kit.net.network import Network
from structiot._kit.text import error_text, printable
from structiot.errors import (
    AuthRefused,
    ConfigError,
    LinkLost,
    PeerError,
    RateLimited,
    TransportError,
)
from structiot.gateway.config.history import InfluxSection
from structiot.gateway.history.outbox import Outbox
from structiot.gateway.history.reader import Reader
from structiot.gateway.retrying import Retrying, when
from structiot.gateway.status import LinkStatus

__all__ = ["InfluxSink"]

_REPLY_S = 30.0
_LOOK_S = 5.0
_BACKOFF = Backoff(first_s=1.0, cap_s=300.0, jitter=0.3)
_SPLIT = frozenset({400, 413, 422})
_BUSY = 429

_log = logging.getLogger(__name__)


class InfluxSink:
    """Sends lines to one server.

    Args:
        section: Where, and how.
        reader: Asks the file what waits.
        sent: Takes the numbers of what need not wait any more.
        network: Where the server is.
        random: Jitter of the attempts.

    Attributes:
        refused: How many lines the server did not take.
    """

    def __init__(
        self,
        section: InfluxSection,
        reader: Reader,
        sent: Callable[[int], None],
        *,
        network: Network,
        random: Random,
    ) -> None:
        self.refused: int = 0
        self._section = section
        self._reader = reader
        self._sent = sent
        self._network = network
        self._retrying = Retrying(lambda: _BACKOFF, random)
        self._reason = "it was not reached yet"
        self._last = 0
        self._is_said = False
        parts = urlsplit(section.url)
        self._base = f"{parts.scheme}://{parts.netloc}"
        root = parts.path.rstrip("/")
        if section.database is None:
            given = {"org": section.org, "bucket": section.bucket}
            self._target = f"{root}/api/v2/write"
        else:
            given = {"db": section.database}
            self._target = f"{root}/write"
        self._query = {k: v for k, v in given.items() if v} | {"precision": "ms"}

    def status(self) -> LinkStatus:
        """Tell whether it is sent."""
        name = f"InfluxDB at {urlsplit(self._section.url).hostname}"
        return LinkStatus(name=name, is_up=not self._reason, reason=self._reason)

    async def run(self) -> None:
        """Send what waits, until cancelled."""
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        if self._section.token is not None:
            headers["Authorization"] = f"Token {self._section.token.reveal()}"
        while True:
            try:
                async with open_cloud(
                    self._base,
                    reply_s=_REPLY_S,
                    headers=headers,
                    network=self._network,
                ) as http:
                    while True:
                        if not await self._send_oldest(http):
                            await anyio.sleep(_LOOK_S)
            except (TransportError, PeerError, ConfigError) as exc:
                delay_s = self._retrying.delay_after(exc)
                self._fail(f"{error_text(exc)}; {when(delay_s)}")
                await self._retrying.pause(delay_s)

    def _fail(self, reason: str) -> None:
        level = logging.DEBUG if self._is_said else logging.WARNING
        self._is_said = True
        self._reason = reason
        _log.log(level, "%s: readings wait: %s", self.status().name, reason)

    def try_again(self) -> None:
        """Send at once if the last failure was one that is not tried again."""
        self._retrying.try_again()

    async def _send_oldest(self, http: BaseHttpClient) -> bool:
        last = self._last

        def oldest(connection: sqlite3.Connection) -> tuple[int, bytes] | None:
            return Outbox.oldest(connection, after=last)

        try:
            found = await self._reader.ask(oldest, None)
        except ConfigError as exc:
            # The file may be mended: that is no setting of the server.
            raise LinkLost(str(exc)) from exc
        if found is None:
            return False
        number, lines = found
        await self._send(http, lines)
        self._last = number
        self._sent(number)
        if self._is_said:
            _log.warning("%s takes readings again", self.status().name)
        self._is_said = False
        self._reason = ""
        self._retrying.lived(_BACKOFF.stable_s)
        return True

    async def _send(self, http: BaseHttpClient, lines: bytes) -> None:
        """Send lines; of those that are refused, each half by itself.

        Raises:
            AuthRefused: The server does not take the token.
            ConfigError: It has no such bucket or database.
            RateLimited: It wants to be left alone.
            LinkLost: It cannot take anything now.
            TransportError: It cannot be reached.
        """
        waiting = [lines]
        while waiting:
            some = waiting.pop()
            reply = await http.request(
                "POST", self._target, query=self._query, body=some
            )
            if 200 <= reply.status < 300:
                continue
            _raise_for(reply)
            each = some.splitlines(keepends=True)
            if len(each) == 1:
                self._say_refused(reply, some)
                continue
            middle = len(each) // 2
            waiting += [b"".join(each[middle:]), b"".join(each[:middle])]

    def _say_refused(self, reply: HttpReply, line: bytes) -> None:
        if not self.refused:
            text = "%s refuses a reading, which is left out: %s: %s"
            shown = printable(line.decode("utf-8", "replace"))
            _log.warning(text, self.status().name, _words_of(reply), shown)
        self.refused += 1


def _raise_for(reply: HttpReply) -> None:
    """Raise what a refusal means, if it is not about single lines."""
    words = f"{reply.status} {_words_of(reply)}".strip()
    if reply.status in {401, 403}:
        raise AuthRefused(f"the server refuses the token ({words})")
    if reply.status == 404:
        raise ConfigError(f"there is no such bucket or database: {words}")
    after = reply.headers.get("retry-after", "")
    if reply.status == _BUSY or (reply.status not in _SPLIT and after):
        seconds = float(after) if after.isdecimal() else None
        raise RateLimited(f"the server is busy: {words}", retry_after_s=seconds)
    if reply.status not in _SPLIT:
        raise LinkLost(f"the server cannot take readings: {words}")


def _words_of(reply: HttpReply) -> str:
    try:
        said = reply.json()
    except PeerError:
        said = None
    found = said.get("message", said.get("error")) if isinstance(said, dict) else None
    text = (
        found if isinstance(found, str) else reply.body[:300].decode("utf-8", "replace")
    )
    return printable(text, most=200)
