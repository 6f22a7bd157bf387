"""One broker of the cloud: the connection, the answers, what devices tell."""

from __future__ import annotations

import copy
import logging
import math
import ssl
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, NoReturn, TypeAlias

import anyio
import anyio.lowlevel

from structiot._kit.environment import Environment
from structiot._kit.flow.replies import ReplyTable
from structiot._kit.flow.tasks import service_group
from structiot._kit.net.network import place
from structiot.errors import (
    AuthRefused,
    CertificateRefused,
    ConnectFailed,
    LinkLost,
    ProtocolViolation,
    ReplyTimeout,
    StructiotError,
)
from structiot.meross.link.exchange import (
    WRONG_SIGN,
    PeerClock,
    check_answer,
    new_message_id,
    read_reply,
)
from structiot.meross.wire.envelope import (
    Envelope,
    Method,
    Payload,
    encode_envelope,
    is_signed,
)
from structiot.meross.wire.mqtt import (
    app_password,
    app_topic,
    client_id_of_app,
    request_topic,
    user_topic,
)
from structiot.mqtt import (
    Connected,
    Disconnected,
    Message,
    Messages,
    MqttClient,
    MqttConfig,
    open_mqttclient,
)

__all__ = ["Account", "BrokerLink", "Counts", "Pushed"]

Pushed: TypeAlias = Callable[[Envelope], None]

_KEEP_ALIVE_S: Final = 30
_RETRY_S: Final = 60.0
_TRIGGER: Final = "structiot"
_MOST_REMEMBERED: Final = 1_024
_MOST_CLOCKS: Final = 4_096
_MAX_PACKET_BYTES: Final = 262_144
# Devices say less in an hour; a broker that says more waits.
_MAX_HELD_BYTES: Final = 16_777_216

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who connects, and how; see `open_brokers`."""

    user_id: str
    key: str = field(repr=False)
    app_id: str
    ssl_context: ssl.SSLContext | None
    is_tls: bool
    environment: Environment


@dataclass(slots=True, kw_only=True)
class Counts:
    """What came and was not taken.

    Attributes:
        late: Answers that nobody waited for any more, and those that came twice.
        foreign: Answers in the name of a device that was not asked.
        unsigned: Messages without the account's signature.
        repeated: What was told before, word for word.
        malformed: What is no message of this protocol, or at a place where it is none.
    """

    late: int = 0
    foreign: int = 0
    unsigned: int = 0
    repeated: int = 0
    malformed: int = 0


class BrokerLink:
    """The connection to one broker; `run` keeps it.

    Attributes:
        is_ready: Whether requests can be sent now.
        is_parked: Whether it was refused, and waits for `unpark`.
    """

    def __init__(
        self,
        account: Account,
        host: str,
        port: int,
        *,
        counts: Counts,
        on_push: Pushed,
        on_connected: Callable[[], None],
        on_lost: Callable[[StructiotError], None],
    ) -> None:
        self.is_ready: bool = False
        self.is_parked: bool = False
        self._account = account
        self._host = host
        self._port = port
        self._where = place(host, port)
        self._counts = counts
        self._on_push = on_push
        self._on_connected = on_connected
        self._on_lost = on_lost
        self._client: MqttClient | None = None
        self._subscribed: set[str] = set()
        self._replies: ReplyTable[str, Envelope] = ReplyTable(self._where)
        self._asked: dict[str, str] = {}
        self._clocks: dict[str, PeerClock] = {}
        self._told: OrderedDict[tuple[str | None, str], None] = OrderedDict()
        self._error: StructiotError | None = None
        self._changed = anyio.Event()
        self._log_once = _LogOnce()

    # -- the connection ------------------------------------------------------------

    async def run(self) -> NoReturn:
        """Keep a connection; one that is refused waits for `unpark`."""
        while True:
            try:
                await self._session()
            except StructiotError as exc:
                self._lost(error := self._advised(exc))
                self.is_parked = isinstance(exc, AuthRefused | CertificateRefused)
                self._change()
                _log.warning("%s: %s", self._where, error)
            with anyio.move_on_after(math.inf if self.is_parked else _RETRY_S):
                while self._error is not None:
                    await self._changed.wait()
            self.is_parked = False

    def _advised(self, exc: StructiotError) -> StructiotError:
        """Say of a refusal what to do, and not whose account it is."""
        if not isinstance(exc, AuthRefused):
            return exc
        message = (
            f"{self._where} does not let the account in: its key is another one by now, "
            "as after a change of the password, or it is banned: sign in anew, or leave "
            "it alone for a day"
        )
        return AuthRefused(message, account=exc.account, code=exc.code)

    def unpark(self) -> None:
        """Try again where it was given up."""
        if self.is_parked:
            self._error = None
            self.is_parked = False
            self._change()

    async def _session(self) -> None:
        account = self._account
        host = f"[{self._host}]" if ":" in self._host else self._host
        settings = MqttConfig(
            username=account.user_id,
            password=app_password(account.user_id, account.key),
            protocol="3.1.1",
            keep_alive=_KEEP_ALIVE_S,
            reconnect_retries=-1,
            reconnect_max_interval=_RETRY_S,
            offline_qos0="raise",
            max_packet_bytes=_MAX_PACKET_BYTES,
            max_held_bytes=_MAX_HELD_BYTES,
            ssl_context=account.ssl_context,
        )
        async with open_mqttclient(
            f"{'mqtts' if account.is_tls else 'mqtt'}://{host}:{self._port}",
            client_id_of_app(account.app_id),
            settings,
            wait_connected=False,
            environment=account.environment,
        ) as client:
            self._client = client
            self._subscribed.clear()
            answers = app_topic(account.user_id, account.app_id)
            async with service_group(is_awaited=True) as tg:
                tg.start_soon(self._watch, client)
                tg.start_soon(self._listen, client, answers, self._take_answer)
                tg.start_soon(
                    self._listen, client, user_topic(account.user_id), self._take_push
                )

    async def _watch(self, client: MqttClient) -> None:
        async with client.events() as events:
            async for event in events:
                if isinstance(event, Connected):
                    self._error = None
                    self._replies.reopen()
                    self._find_ready()
                elif isinstance(event, Disconnected):
                    self._lost(self._advised(event.error or LinkLost(event.reason)))

    async def _listen(
        self, client: MqttClient, topic: str, take: Callable[[Message], None]
    ) -> None:
        async with client.subscription(topic, qos=1) as messages:
            self._subscribed.add(topic)
            self._find_ready()
            async for message in messages:
                take(message)
                # Each may be long, and there may be many at once.
                await anyio.lowlevel.checkpoint()

    def _find_ready(self) -> None:
        """Be ready once both topics are subscribed to; answers were lost before."""
        is_connected = self._client is not None and self._client.is_connected
        if is_connected and len(self._subscribed) == 2 and not self.is_ready:
            self.is_ready = True
            self._change()
            self._on_connected()

    def _lost(self, error: StructiotError) -> None:
        was_refused = isinstance(self._error, AuthRefused)
        is_refused = isinstance(error, AuthRefused) and not was_refused
        is_news = self.is_ready or self._error is None or is_refused
        self.is_ready = False
        self._error = error
        lost = LinkLost(f"{self._where}: the connection is lost", reason=str(error))
        self._replies.fail_all(lost)
        self._change()
        if is_news:
            self._on_lost(error)

    def _change(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def ready(self, timeout_s: float) -> None:
        """Wait for a connection; see `Brokers.ready`."""
        await anyio.lowlevel.checkpoint()
        with anyio.move_on_after(timeout_s):
            while not self.is_ready:
                if self.is_parked and self._error is not None:
                    raise copy.copy(self._error)
                await self._changed.wait()
            return
        reason = f": {self._error}" if self._error is not None else ""
        message = f"no connection to {self._where} within {timeout_s:g} s{reason}"
        raise ConnectFailed(message, host=self._host, port=self._port)

    @asynccontextmanager
    async def overhear(self, topic: str) -> AsyncGenerator[Messages]:
        """Hear what others say; see `Brokers.overhear`."""
        if self._client is None:
            raise LinkLost(f"{self._where}: the connection is lost")
        async with self._client.subscription(topic, qos=1) as messages:
            yield messages

    # -- requests ------------------------------------------------------------------

    async def request(
        self,
        uuid: str,
        method: Method,
        namespace: str,
        payload: Payload,
        timeout_s: float,
    ) -> Envelope:
        """Ask a device something; see `Brokers.request`."""
        account, client = self._account, self._client
        if client is None or not self.is_ready:
            raise LinkLost(f"{self._where}: the connection is lost")
        clock = self._clock_of(uuid)
        request = Envelope(
            namespace=namespace,
            method=method,
            payload=payload,
            message_id=new_message_id(account.environment.random),
            sender=app_topic(account.user_id, account.app_id),
            timestamp_s=clock.timestamp_s(),
            uuid=uuid,
            trigger=_TRIGGER,
        )
        data = encode_envelope(request, account.key)
        with self._replies.expect(request.message_id) as reply:
            self._asked[request.message_id] = uuid
            try:
                with anyio.fail_after(timeout_s):
                    await client.publish(request_topic(uuid), data, qos=0)
                    answer = await reply.wait()
            except TimeoutError:
                what = f"{method} {namespace}"
                message = f"no answer of {uuid} to {what} within {timeout_s:.3g} s"
                raise ReplyTimeout(message, request=what, after_s=timeout_s) from None
            finally:
                del self._asked[request.message_id]
        who = f"{uuid} (by {self._where})"
        check_answer(answer, request, account.key, clock, who)
        return answer

    def _clock_of(self, uuid: str) -> PeerClock:
        clock = self._clocks.get(uuid)
        if clock is None:
            if len(self._clocks) >= _MOST_CLOCKS:
                self._clocks.clear()
            clock = PeerClock(uuid, self._account.environment)
            self._clocks[uuid] = clock
        return clock

    # -- what comes ----------------------------------------------------------------

    def _take_answer(self, message: Message) -> None:
        reply = self._read(message)
        if reply is None:
            return
        is_genuine = is_signed(reply, self._account.key)
        # Whoever has another key signs by that one, and says so.
        is_about_key = reply.method is Method.ERROR and reply.error_code == WRONG_SIGN
        if not (is_genuine or is_about_key):
            self._counts.unsigned += 1
            self._log_once.say(
                reply, "%s: an answer with a wrong signature", self._where
            )
            return
        asked = self._asked.get(reply.message_id)
        if asked is not None and reply.device_uuid not in {asked, None}:
            self._counts.foreign += 1
        elif not self._replies.resolve(reply.message_id, reply):
            self._counts.late += 1

    def _take_push(self, message: Message) -> None:
        push = self._read(message)
        if push is None:
            return
        if push.method is not Method.PUSH:
            # Such as a copy of how a device announces itself to the cloud.
            self._counts.malformed += push.method is not Method.SET
            return
        if not is_signed(push, self._account.key):
            self._counts.unsigned += 1
            self._log_once.say(push, "%s: a push with a wrong signature", self._where)
            return
        told = (push.device_uuid, push.message_id)
        if told in self._told:
            self._counts.repeated += 1
            return
        self._told[told] = None
        if len(self._told) > _MOST_REMEMBERED:
            self._told.popitem(last=False)
        self._on_push(push)

    def _read(self, message: Message) -> Envelope | None:
        if message.retain:
            # Nobody is to keep messages here, and this one may be of any time.
            self._counts.malformed += 1
            return None
        try:
            return read_reply(message.payload, self._where)
        except ProtocolViolation as exc:
            self._counts.malformed += 1
            _log.debug("%s: dropped: %s", self._where, exc)
            return None


class _LogOnce:
    """Says of each device once what is wrong with its messages."""

    def __init__(self) -> None:
        self._said: set[tuple[str | None, str]] = set()

    def say(self, envelope: Envelope, message: str, where: str) -> None:
        key = (envelope.device_uuid, message)
        if key not in self._said and len(self._said) < _MOST_REMEMBERED:
            self._said.add(key)
            _log.warning(f"{message}, of %s", where, envelope.device_uuid)
