"""What shall stand on the broker, kept there over lost connections.

The wanted payload of every retained topic is remembered; each new connection gets all
of it again, so a broker that forgot everything is as good as one that did not. Between
two connections only the latest of each topic waits, which bounds memory by the number
of topics. What is not retained, such as the press of a button or an answer, waits in a
bounded outbox, and for as long as `[mqtt] outbox_s` says: who hears of it later would
take it for the present. What is lost there is counted, and said once for each outage.

Every receipt is read: what the broker refuses costs itself and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import anyio

from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.flow.tasks import service_group
from structiot._kit.text import counted, error_text
from structiot.errors import StructiotError, UsageError
from structiot.gateway.receipts import Receipts
from structiot.gateway.refusals import Refusals, is_passing
from structiot.gateway.status import MailboxStatus
from structiot.mqtt import (
    Connected,
    ConnectionEvent,
    Disconnected,
    MqttClient,
    PublishProperties,
    Receipt,
)

__all__ = ["Publisher"]

_QOS = 1
_MAX_TOLD = 1000
_MAX_TOLD_BYTES = 1_000_000
_REFUSED_AGAIN_S = 60.0
_RETAINED_IN_A_ROW = 4

_log = logging.getLogger(__name__)


class _Told(NamedTuple):
    at_s: float
    topic: str
    payload: bytes
    correlation: bytes | None

    @property
    def size(self) -> int:
        return len(self.topic) + len(self.payload) + len(self.correlation or b"")


class Publisher:
    """Publishes for one gateway; but for `run` and `say_goodbye` its methods never wait.

    Args:
        refusals: Told what the broker refuses, and what it takes again.
        outbox_s: For how long what is not retained waits for a connection.

    Attributes:
        outbox_s: As given; may be changed.
        published: How many messages the broker has taken.
        refused: How many it has not.
    """

    def __init__(self, refusals: Refusals, *, outbox_s: float) -> None:
        self.outbox_s: float = outbox_s
        self.published: int = 0
        self.refused: int = 0
        self._refusals = refusals
        self._told_refusals = refusals.of_anybody()
        self._wanted: dict[str, str] = {}
        self._dirty: dict[str, None] = {}
        # What is cleared once another topic is published, and the way back.
        self._clear_after: dict[str, dict[str, None]] = {}
        self._cleared_after: dict[str, str] = {}
        self._last_words: dict[str, str] = {}
        self._passing: dict[str, None] = {}
        self._told: Mailbox[_Told] = Mailbox(
            _MAX_TOLD,
            name="outbox of what is told once",
            max_bytes=_MAX_TOLD_BYTES,
            size_of=lambda one: one.size,
        )
        self._told_too_late = 0
        self._unsaid = 0
        self._work = anyio.Event()
        # From the word that there is a connection on: before, all would go out twice.
        self._is_up = False

    @property
    def wanted(self) -> Mapping[str, str]:
        """The payload that each retained topic shall have."""
        return self._wanted

    @property
    def outbox(self) -> MailboxStatus:
        """What is to be told once, and waits."""
        return MailboxStatus(
            name=self._told.name,
            waiting=len(self._told),
            most=_MAX_TOLD,
            dropped=self._told.dropped + self._told_too_late,
        )

    def retain(self, topic: str, payload: str) -> None:
        """Want a retained payload on a topic."""
        self._clear_not(topic)
        self._last_words.pop(topic, None)
        if self._wanted.get(topic) != payload:
            self._wanted[topic] = payload
            self._mark(topic)

    def clear(self, topic: str, *, last_words: str = "") -> None:
        """Want a topic to have no retained message; something may be told there before."""
        self._clear_not(topic)
        if last_words:
            self._last_words[topic] = last_words
        self._wanted.pop(topic, None)
        self._mark(topic)

    def clear_after(self, topic: str, *, after: str) -> None:
        """Clear a topic once what is wanted on another one has been published."""
        if after not in self._dirty:
            self.clear(topic)
            return
        self._clear_not(topic)
        self._clear_after.setdefault(after, {})[topic] = None
        self._cleared_after[topic] = after

    def _clear_not(self, topic: str) -> None:
        """Forget that a topic is to be cleared."""
        after = self._cleared_after.pop(topic, None)
        if after is not None:
            self._clear_after[after].pop(topic)

    def hold(self, topics: Iterable[str]) -> None:
        """Leave topics as they are until something is wanted on them again."""
        for topic in topics:
            self._wanted.pop(topic, None)
            self._dirty.pop(topic, None)

    def tell(
        self, topic: str, payload: str, *, correlation: bytes | None = None
    ) -> None:
        """Publish something once, unless there is no connection for `outbox_s`."""
        now = anyio.current_time()
        self._told.put(_Told(now, topic, _encoded(payload), correlation))
        self._work.set()

    def wants(self, topic: str) -> bool:
        """Tell whether something shall stand on a topic."""
        return topic in self._wanted

    def repeat(self, topics: Iterable[str]) -> None:
        """Publish some retained topics again although nothing has changed."""
        for topic in topics:
            if topic in self._wanted:
                self._mark(topic)

    def repeat_refused(self) -> None:
        """Publish again what the broker has refused."""
        self.repeat(list(self._refusals.by_topic))

    def _mark(self, topic: str) -> None:
        # What changes again moves to the end: topics leave in the order of change.
        self._dirty.pop(topic, None)
        self._dirty[topic] = None
        self._work.set()

    # ------------------------------------------------------------ by one client

    async def run(self, client: MqttClient) -> None:
        """Publish until cancelled; all of it anew at each connection of the client.

        Raises:
            StructiotError: The client has given up.
        """
        receipts = Receipts(self._take_receipt)
        try:
            async with service_group() as tasks:
                name = "structiot.gateway.receipts"
                tasks.start_soon(receipts.read, name=name)
                name = "structiot.gateway.refused"
                tasks.start_soon(self._repeat_passing, name=name)
                await self._send(client, receipts)
        finally:
            self._is_up = False

    def take_event(self, event: ConnectionEvent) -> None:
        """Take note of a connection of the client, or of a loss."""
        match event:
            case Connected():
                self._is_up = True
                self._dirty = dict.fromkeys([*self._dirty, *self._wanted])
                self._work.set()
            case Disconnected():
                self._is_up = False

    async def _send(self, client: MqttClient, receipts: Receipts) -> None:
        in_a_row = 0
        while True:
            is_up = self._is_up and client.is_connected
            if not (self._dirty or self._told) or not is_up:
                self._say_what_was_too_late()
                self._work = anyio.Event()
                await self._work.wait()
                continue
            await receipts.room()
            # Where states change faster than the broker takes them, answers have their
            # turn all the same.
            if self._dirty and (not self._told or in_a_row < _RETAINED_IN_A_ROW):
                in_a_row += 1
                await self._send_retained(client, receipts)
                continue
            in_a_row = 0
            await self._send_told(client, receipts)

    async def _send_told(self, client: MqttClient, receipts: Receipts) -> None:
        told = self._told.receive_nowait()
        if anyio.current_time() - told.at_s > self.outbox_s:
            self._told_too_late += 1
            self._unsaid += 1
            return
        properties = None
        if told.correlation is not None:
            properties = PublishProperties(correlation_data=told.correlation)
        try:
            receipt = await client.publish_soon(
                told.topic, told.payload, qos=_QOS, properties=properties
            )
            receipts.add(receipt)
        except UsageError as exc:
            self._told_refusals.refused(told.topic, exc)

    def _say_what_was_too_late(self) -> None:
        if self._unsaid:
            lost = counted(self._unsaid, "message")
            text = "%s not told: there was no connection for more than %g s"
            _log.warning(text, lost, self.outbox_s)
            self._unsaid = 0

    async def _send_retained(self, client: MqttClient, receipts: Receipts) -> None:
        topic = next(iter(self._dirty))
        del self._dirty[topic]
        payload = _encoded(self._wanted.get(topic, ""))
        last_words = self._last_words.get(topic)
        try:
            if last_words is not None:
                said = await client.publish_soon(topic, _encoded(last_words), qos=_QOS)
                receipts.add(said)
            receipt = await client.publish_soon(topic, payload, qos=_QOS, retain=True)
            receipts.add(receipt, shall_stand=True)
        except UsageError as exc:
            self._refusals.refused(topic, exc)
        except BaseException:
            # The next client goes on with it.
            self._dirty.setdefault(topic, None)
            raise
        if self._last_words.get(topic) == last_words:
            self._last_words.pop(topic, None)
        for old in self._clear_after.pop(topic, ()):
            del self._cleared_after[old]
            self.clear(old)

    def _take_receipt(
        self,
        topic: str,
        error: StructiotError | None,
        shall_stand: bool,  # noqa: FBT001
    ) -> None:
        refusals = self._refusals if shall_stand else self._told_refusals
        if error is None:
            self.published += 1
            refusals.accepted(topic)
            return
        self.refused += 1
        refusals.refused(topic, error)
        if shall_stand and is_passing(error):
            self._passing[topic] = None

    async def _repeat_passing(self) -> None:
        while True:
            await anyio.sleep(_REFUSED_AGAIN_S)
            again, self._passing = self._passing, {}
            for topic in again:
                self._mark(topic)

    def _stands(self, topic: str, payload: str) -> bool:
        """Tell whether a payload was left on a topic already."""
        is_left = topic not in self._dirty and topic not in self._refusals.by_topic
        return is_left and self._wanted.get(topic) == payload

    async def say_goodbye(
        self,
        client: MqttClient,
        last: Iterable[tuple[str, str]],
        *,
        goodbye_s: float,
    ) -> None:
        """Leave last payloads on retained topics; bounded, shielded, silent.

        Called when `run` has ended. Without a connection there is nobody to tell: the
        broker publishes the will by itself.
        """
        if not client.is_connected:
            return
        with anyio.move_on_after(goodbye_s, shield=True) as patience:
            try:
                receipts = [
                    await client.publish_soon(
                        topic, _encoded(payload), qos=_QOS, retain=True
                    )
                    for topic, payload in last
                    if not self._stands(topic, payload)
                ]
            except StructiotError as exc:
                _log.warning("the goodbye failed: %s", error_text(exc))
                return
            for receipt in receipts:
                await _settled(receipt)
        if patience.cancelled_caught:
            _log.warning("the broker did not take the goodbye within %g s", goodbye_s)


async def _settled(receipt: Receipt) -> None:
    try:
        await receipt.wait()
    except StructiotError as exc:
        # It was refused before, or nobody is there any more.
        _log.debug("a word of goodbye was lost: %s", error_text(exc))


def _encoded(payload: str) -> bytes:
    # Half a surrogate pair, from whoever wrote it, is no reason to say nothing.
    return payload.encode(errors="replace")
