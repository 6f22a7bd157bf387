"""Listening to what an app and a device say to each other, on the account's broker.

    app -> /appliance/<uuid>/subscribe -> device: heard, as is what the cloud tells it
    device -> /appliance/<uuid>/publish -> /app/<user>/subscribe: heard
    device -> /app/<user>-<app>/subscribe: heard from an app's second request on, if the
    broker lets us; the first tells who the app is

What was asked by an app and whose answer was not heard is asked again, by us, once; an order
never is. In the local network nothing can be heard.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup, TaskStatus

from structiot._kit.arguments import check_argument
from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.flow.fan_out import FanOut
from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.flow.tasks import service_group
from structiot._kit.text import counted, error_text, printable
from structiot.errors import PeerError, ProtocolViolation, TransportError, UsageError
from structiot.meross.account import Meross
from structiot.meross.capture.log_file import CaptureFile
from structiot.meross.capture.overheard import Overheard, Reader
from structiot.meross.capture.redactor import Redactor
from structiot.meross.device import MerossDevice
from structiot.meross.wire.capture import (
    MAX_LINE_BYTES,
    Kind,
    Manifest,
    Record,
    encode_record,
    unfold,
)
from structiot.meross.wire.capture_file import LEAST_LINE_BYTES, MAX_LOG_BYTES
from structiot.meross.wire.envelope import Method
from structiot.meross.wire.mqtt import publish_topic, request_topic, user_topic
from structiot.meross.wire.system import ABILITY, ALL
from structiot.mqtt import Message, SubscribeRefused

__all__ = ["Sniffer", "open_sniffer"]

# Looking it up reads a file.
_VERSION: Final = metadata.version("structiot")
_MOST_WAITING: Final = 256
_MOST_APPS: Final = 16
_ANSWER_S: Final = 5.0
_LONGEST: Final = 1_000
# What it would tell is hidden anyway, or asking does something.
_NEVER_ASKED: Final = frozenset(
    f"Appliance.Config.{name}" for name in ("Key", "Wifi", "WifiX", "WifiList", "Info")
)

_log = logging.getLogger("structiot.meross")


class Sniffer:
    """A capture that is going on; made by `open_sniffer`."""

    def __init__(
        self,
        account: Meross,
        device: MerossDevice,
        file: CaptureFile,
        redactor: Redactor,
        *,
        max_log_bytes: int,
        asks: bool,
        environment: Environment,
    ) -> None:
        owner = account.brokers.account
        self._account = account
        self._device = device
        self._file = file
        self._redactor = redactor
        self._max_log_bytes = max_log_bytes
        self._asks = asks
        self._environment = environment
        self._reader = Reader(
            uuid=device.info.id,
            user_id=owner.user_id,
            key=owner.key,
            app_id=owner.app_id,
        )
        self._user_topic = user_topic(owner.user_id)
        self._lines: Mailbox[bytes] = Mailbox(
            _MOST_WAITING, policy="drop_newest", name="lines of a capture"
        )
        self._boxes: FanOut[Mailbox[Record]] = FanOut()
        names = (*map(str, Kind), "dropped", "malformed")
        self._counts: Counter[str] = Counter(dict.fromkeys(names, 0))
        self._log_bytes = 0
        self._asked = 0
        self._began_at = environment.now_utc().isoformat(timespec="milliseconds")
        self._began_s = anyio.current_time()
        self._news = anyio.Event()

    def __repr__(self) -> str:
        return f"<Sniffer {self.path}: {counted(sum(self._counts.values()), 'record')}>"

    @property
    def path(self) -> Path:
        """The file that it will be."""
        return self._file.path

    @property
    def counts(self) -> Mapping[str, int]:
        """How many of each kind were recorded, and what was not; see `Manifest.counts`."""
        found = Counter(self._counts)
        found["foreign"] = self._reader.foreign
        found["dropped"] += self._lines.dropped
        return MappingProxyType(found)

    def annotate(self, text: str) -> None:
        """Write what is being done, beside what is heard; it holds from now on.

        Args:
            text: In one's own words; cut after 1,000 characters, and secrets that are
                known are replaced in it.
        """
        text = printable(self._redactor.text(text[:_LONGEST]), most=_LONGEST)
        self._put(self._stamped(Record(kind=Kind.ANNOTATION, by="user", text=text)))

    @asynccontextmanager
    async def records(self, *, max_items: int = 256) -> AsyncGenerator[Mailbox[Record]]:
        """Iterate over what is recorded as it comes, without secrets.

        Args:
            max_items: Records that wait for a slow consumer; the oldest are dropped and
                counted (`.dropped`), in the file they are nevertheless.
        """
        box: Mailbox[Record] = Mailbox(max_items, name="records of a capture")
        with self._boxes.listening(box):
            yield box

    # ------------------------------------------------------------ for open_sniffer

    async def begin(self, tg: TaskGroup) -> None:
        """Listen; returns when everything is heard that can be."""
        uuid = self._device.info.id
        name = f"structiot.meross sniffer {self._device.info.name}"
        for topic in (self._user_topic, request_topic(uuid), publish_topic(uuid)):
            await tg.start(self._listen, topic, name=name)
        tg.start_soon(self._write, name=name)
        tg.start_soon(self._follow_apps, tg, name=name)
        if self._asks:
            tg.start_soon(self._ask_again, name=name)

    async def end(self) -> None:
        """Write what waits, and the zip; in a shielded scope.

        Raises:
            ConfigError: It cannot be written.
        """
        self._boxes.close()
        self._lines.close()
        lines = [self._lines.receive_nowait() for _ in range(len(self._lines))]
        await anyio.to_thread.run_sync(self._file.finish, lines, self._manifest())

    # ------------------------------------------------------------ listening

    async def _listen(self, topic: str, *, task_status: TaskStatus[None]) -> None:
        brokers, place = self._account.brokers, self._device.route.broker
        assert place is not None  # noqa: S101 - it is one of an account
        try:
            async with brokers.overhear(place, topic) as messages:
                task_status.started()
                async for message in messages:
                    self._take(message)
        except SubscribeRefused as exc:
            if topic == self._user_topic:
                raise
            self._note(f"not heard: {topic}: {error_text(exc)}")
            task_status.started()

    async def _follow_apps(self, tg: TaskGroup) -> None:
        """Hear the answers to each app that is heard."""
        followed = 0
        while followed < _MOST_APPS:
            news = self._news = anyio.Event()
            for topic in self._reader.app_topics[followed:_MOST_APPS]:
                followed += 1
                await tg.start(self._listen, topic)
            await news.wait()

    def _take(self, message: Message) -> None:
        if message.retain:
            # Nobody is to keep messages here, and this one may be of any time.
            self._counts["malformed"] += 1
            return
        try:
            heard = self._reader.read(
                message.topic, bytes(message.payload), anyio.current_time()
            )
        except ProtocolViolation:
            # It may be anything, so not even its beginning is written down.
            self._counts["malformed"] += 1
            return
        if heard is not None:
            self._put(self._record_of(heard, message.topic))
            self._news.set()

    def _record_of(self, heard: Overheard, topic: str) -> Record:
        return self._stamped(
            Record(
                kind=heard.kind,
                by=heard.by,
                topic=self._redactor.text(topic),
                is_signed=heard.is_signed,
                message=self._redactor.message(heard.members),
            )
        )

    # ------------------------------------------------------------ asking

    async def _ask_again(self) -> None:
        """Ask who the device is, and later what was asked and not heard to be answered."""
        for namespace in (ABILITY, ALL):
            await self._ask(namespace, {})
        while True:
            await anyio.sleep(_ANSWER_S)
            for asked in self._reader.unanswered(anyio.current_time() - _ANSWER_S):
                for one in unfold(asked):
                    if one.method is Method.GET:
                        await self._ask(one.namespace, one.payload)

    async def _ask(self, namespace: str, payload: Mapping[str, Any]) -> None:
        if namespace in _NEVER_ASKED:
            return
        self._asked += 1
        header = {
            "messageId": f"structiot-{self._asked}",
            "namespace": namespace,
            "method": "GET",
        }
        self._put_own(Kind.REQUEST, header, payload)
        try:
            answer = await self._device.request(namespace, "GET", payload)
        except (TransportError, PeerError, UsageError) as exc:
            # Somebody may have removed it from the account meanwhile.
            self._note(f"{namespace} was asked in vain: {error_text(exc)}")
        else:
            self._put_own(Kind.ANSWER, {**header, "method": "GETACK"}, answer)

    def _put_own(
        self, kind: Kind, header: Mapping[str, Any], payload: Mapping[str, Any]
    ) -> None:
        message = self._redactor.message({"header": header, "payload": payload})
        by = "structiot" if kind is Kind.REQUEST else "device"
        self._put(self._stamped(Record(kind=kind, by=by, message=message)))

    # ------------------------------------------------------------ writing

    def _note(self, text: str) -> None:
        text = printable(self._redactor.text(text[:_LONGEST]), most=_LONGEST)
        self._put(self._stamped(Record(kind=Kind.NOTE, by="structiot", text=text)))

    def _stamped(self, record: Record) -> Record:
        return replace(
            record,
            at=self._environment.now_utc().isoformat(timespec="milliseconds"),
            after_s=anyio.current_time() - self._began_s,
        )

    def _put(self, record: Record) -> None:
        line = encode_record(record)
        size = max(len(line), LEAST_LINE_BYTES)
        is_too_much = self._log_bytes + size > self._max_log_bytes
        if is_too_much or len(line) > MAX_LINE_BYTES:
            if not self._counts["dropped"]:
                _log.warning("%s: no room in the capture for all", self.path)
            self._counts["dropped"] += 1
        elif self._lines.put(line):
            self._log_bytes += size
            self._counts[record.kind.value] += 1
        for box in self._boxes:
            box.put(record)

    async def _write(self) -> None:
        async for line in self._lines:
            rest = [self._lines.receive_nowait() for _ in range(len(self._lines))]
            await anyio.to_thread.run_sync(self._file.write, [line, *rest])

    def _manifest(self) -> Manifest:
        about = self._device.about
        counts = dict(self.counts)
        return Manifest(
            uuid=self._redactor.uuid,
            model=about.model,
            sub_type=about.system.sub_type,
            hardware=about.system.hardware,
            firmware=about.system.firmware,
            abilities=self._redactor.abilities(about.abilities),
            began_at=self._began_at,
            ended_at=self._environment.now_utc().isoformat(timespec="milliseconds"),
            counts=counts,
            is_complete=not counts["dropped"],
            structiot=_VERSION,
        )


@asynccontextmanager
async def open_sniffer(
    account: Meross,
    device: MerossDevice,
    path: str | Path = "data.zip",
    *,
    overwrites: bool = False,
    asks: bool = True,
    secrets: Iterable[str] = (),
    max_log_bytes: int = MAX_LOG_BYTES,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> AsyncGenerator[Sniffer]:
    """Capture what an app and a device say to each other, for the length of the block.

    Neither notices anything. What is heard is written as it comes, with every secret
    replaced (see `SENSITIVE_STILL` for what is none); the zip file is made when the block
    ends, however it ends, and also when it is cancelled. A process that is killed leaves
    the log beside the file, as `.data.zip.….log.ndjson`.

    Args:
        account: The account, open.
        device: One of its devices.
        path: The file to write, of mode 0600.
        overwrites: Whether it may take the place of another file.
        asks: Whether the device is asked who it is, and what apps asked it without an
            answer that could be heard; within the account's budget.
        secrets: What must not be in the file, wherever it stands, besides what is known:
            the account's key, its number, its devices.
        max_log_bytes: How long the log may become; what comes then is dropped and counted.
        environment: Clock; the system's by default.

    Yields:
        The capture, when the broker lets it hear.

    Raises:
        ConfigError: There is such a file already, or it cannot be written.
        SubscribeRefused: The broker lets nothing be heard.
        AuthRefused: The broker does not accept the account.
        ConnectFailed: There is no connection to the broker.
        LinkLost: The connection was given up while the block ran.
    """
    check_argument("account", account, Meross)
    check_argument("device", device, MerossDevice)
    check_argument("path", path, str, Path)
    owner = account.brokers.account
    redactor = Redactor(
        uuid=device.info.id,
        user_id=owner.user_id,
        key=owner.key,
        uuids=account.devices,
        secrets=secrets,
    )
    file = CaptureFile(Path(path), overwrites=overwrites)
    sniffer = Sniffer(
        account,
        device,
        file,
        redactor,
        max_log_bytes=min(max_log_bytes, MAX_LOG_BYTES),
        asks=asks,
        environment=environment,
    )
    has_begun = False
    try:
        await anyio.to_thread.run_sync(file.start)
        async with service_group() as tg:
            await sniffer.begin(tg)
            has_begun = True
            yield sniffer
    finally:
        with anyio.CancelScope(shield=True):
            if has_begun:
                await sniffer.end()
            else:
                await anyio.to_thread.run_sync(file.abandon)
