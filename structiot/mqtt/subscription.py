"""What a subscriber holds: its messages, in order, as an async iterable."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from copy import copy
from types import AsyncGeneratorType
from typing import Any, Literal, cast

import anyio

from structiot._kit.native_loop import event_maker
from structiot._kit.text import error_text, printable
from structiot.errors import StructiotError, UsageError
from structiot.mqtt.codecs import Codec, NoopCodec
from structiot.mqtt.known_retained import KnownRetained
from structiot.mqtt.wire.flows.inbound import Ack
from structiot.mqtt.wire.message_size import message_bytes
from structiot.mqtt.wire.messages import QOS_BITS, Message
from structiot.mqtt.wire.reasons import ALLOWED_REASONS, ReasonCode

__all__ = ["AckMode", "Messages"]

AckMode = Literal["on_take", "manual", "on_receive"]

PUBACK = 4
# How far to look for a QoS 0 message to drop before dropping the newcomer.
_DROP_SEARCH = 64
# So many are acknowledged in one go when a subscription ends.
_PORTION = 20_000

_log = logging.getLogger(__name__)


class Messages(KnownRetained):
    """The messages of one subscription, to iterate over; made by `subscription`.

    QoS 0: when `max_items` wait, the oldest is dropped and counted. QoS 1 and 2:
    never dropped; in the mode `"on_take"` a message is acknowledged to the broker
    when the iteration hands it out, so a slow reader slows the broker. In the mode
    `"on_receive"` nothing slows the broker, and all are dropped as QoS 0 is. A payload
    that the codec cannot decode is handed out as bytes and counted.

    The iteration ends quietly when the subscription's block ends, and with an error
    when the client gives up. Cancelling a waiting reader loses nothing. Several
    tasks may iterate; each message goes to one of them.

    Attributes:
        topic: The topic filter; of several the first, and how many more there are.
        qos: The highest QoS asked for.
        granted: The QoS that the broker granted, by filter; without those for which it
            has not answered.
        dropped: Messages of QoS 0 lost because the reader was slow.
        undecodable: Payloads that the codec could not decode.
        gaps: How many times the broker has forgotten the subscription; what was
            published before it was made again is missing.
    """

    def __init__(
        self,
        filters: Sequence[str],
        *,
        qos: int,
        codec: Codec,
        max_items: int,
        ack: AckMode,
        settle: Callable[[Ack], None],
        abandon: Callable[[Ack], None] | None = None,
        publish: Callable[..., Awaitable[None]] | None = None,
        version: Callable[[], int] = lambda: 4,
    ) -> None:
        super().__init__()
        self.topic: str = filters[0]
        if len(filters) > 1:
            self.topic += f" and {len(filters) - 1} more"
        self.qos = qos
        self.codec = codec
        self.granted: dict[str, int] = {}
        self.dropped: int = 0
        self.undecodable: int = 0
        self.gaps: int = 0
        self._filters = len(filters)
        self._max_items = max_items
        self._settles_early = ack == "on_receive"
        self._settles_late = ack == "on_take"
        # What may not be dropped when too much waits: the broker is slowed instead.
        self._kept = 0 if self._settles_early else QOS_BITS
        self._settle = settle
        self._abandon = abandon
        # Handed out in the mode "manual" and not acknowledged yet.
        self._unsettled: set[Ack] = set()
        self._publish = publish
        self._version = version
        self._decode = None if isinstance(codec, NoopCodec) else codec.decode
        self._items: deque[Message] = deque()
        self._wakeup: anyio.Event | None = None
        self._make_event: Callable[[], anyio.Event] | None = None
        self._is_closed = False
        self._is_left = False
        self._error: StructiotError | None = None
        self._is_dropping = False
        self._iterator: AsyncGeneratorType[Message, None] | None = None
        self._iterating_task = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def is_closed(self) -> bool:
        """Whether nothing comes any more but what waits already."""
        return self._is_closed

    @property
    def is_left(self) -> bool:
        """Whether what is not acknowledged stays so, for who comes later."""
        return self._is_left

    @property
    def granted_qos(self) -> int | None:
        """The lowest QoS that the broker granted; None before it has answered for all."""
        if len(self.granted) < self._filters:
            return None
        return min(self.granted.values())

    # -- filled by the link, which never waits -------------------------------------

    def put(self, message: Message) -> None:
        """Add a message; drops by the rule of its QoS."""
        items = self._items
        if len(items) >= self._max_items and not self._has_room_for(message):
            return
        if self._settles_early and message.receipt is not None:
            receipt, message.receipt = message.receipt, None
            self._settle(receipt)
        items.append(message)
        if self._wakeup is not None:
            self._wakeup.set()
            self._wakeup = None

    def put_copy(self, message: Message) -> None:
        """Add this subscriber's own view of a message, at its own QoS."""
        view = copy(message)
        if self.qos == 0:
            view.receipt = None
            view.flags &= ~QOS_BITS
        self.put(view)

    def _leave_out(self, message: Message) -> None:
        receipt: Ack | None = message.receipt
        if receipt is None:
            return
        # What others have as well is theirs to acknowledge.
        if self._is_left and self._abandon is not None and receipt.takers <= 1:
            self._abandon(receipt)
        else:
            self._settle(receipt)

    def _has_room_for(self, message: Message) -> bool:
        if self._is_closed:
            self._leave_out(message)
            return False
        return bool(message.flags & self._kept) or self._drop_one()

    def _count_drop(self) -> None:
        self.dropped += 1
        if not self._is_dropping:
            self._is_dropping = True
            _log.warning(
                "subscription %s: %d messages wait, dropping the oldest; %d lost so far",
                self.topic,
                len(self._items),
                self.dropped,
            )

    def _drop_one(self) -> bool:
        self._count_drop()
        for index, waiting in enumerate(self._items):
            if not waiting.flags & self._kept:
                del self._items[index]
                return True
            if index >= _DROP_SEARCH:
                break
        return False

    def droppable_bytes(self) -> int:
        """Count what the messages hold that wait and may be dropped."""
        kept = self._kept
        return sum(
            message_bytes(message)
            for message in self._items
            if not message.flags & kept
        )

    def drop(self, least_bytes: int) -> int:
        """Drop the oldest that may be until they held so much; give how much it was."""
        dropped, kept = 0, []
        for message in self._items:
            if dropped < least_bytes and not message.flags & self._kept:
                dropped += message_bytes(message)
                self._count_drop()
            else:
                kept.append(message)
        self._items.clear()
        self._items.extend(kept)
        return dropped

    def refused(self, error: StructiotError) -> None:
        """The broker has taken back what it had granted."""
        self.close(error)

    def close(self, error: StructiotError | None = None) -> None:
        """End the iteration; with an error only after what waits was handed out.

        Closing quietly drops what waits and acknowledges it, as MQTT asks of a
        client that unsubscribes. What was handed out in the mode `"manual"` and not
        acknowledged stays so, and holds nothing back.
        """
        if not self._is_closed:
            self._is_closed = True
            self._error = error
            self._max_items = 0
            if error is None:
                waiting = list(self._items)
                self._items.clear()
                for message in waiting:
                    self._leave_out(message)
                unsettled, self._unsettled = self._unsettled, set()
                for receipt in unsettled:
                    if self._abandon is not None:
                        self._abandon(receipt)
            if self._wakeup is not None:
                self._wakeup.set()
                self._wakeup = None

    # -- read by the user ----------------------------------------------------------

    def ack(self, message: Message, reason: ReasonCode = ReasonCode.SUCCESS) -> None:
        """Acknowledge a message; for the mode `"manual"`.

        Acknowledgements leave in the order in which the messages arrived.

        Args:
            message: What was handed out.
            reason: 0x80 and above refuses it (5.0): the broker tells the publisher, or
                drops it, and does not deliver it again.

        Raises:
            UsageError: It is acknowledged already, or has QoS 0; or a reason that
                does not exist here.
        """
        receipt: Ack | None = message.receipt
        if receipt is None:
            raise UsageError(f"{message!r} has nothing to acknowledge")
        if reason:
            if reason not in ALLOWED_REASONS[PUBACK]:
                raise UsageError(f"no message is acknowledged with {reason!r}")
            if self._version() < 5:
                raise UsageError("reasons need MQTT 5.0; this connection speaks 3.1.1")
            receipt.reason = max(receipt.reason, ReasonCode(reason))
        message.receipt = None
        self._unsettled.discard(receipt)
        self._settle(receipt)

    async def publish(
        self,
        topic: str | None,
        message: Any,  # noqa: ANN401 - whatever the codec takes
        qos: int | None = None,
        retain: bool | None = None,  # noqa: FBT001 - as MqttClient.publish
    ) -> None:
        """Publish with this subscription's codec, by default to its own filter.

        Raises as `MqttClient.publish` does.
        """
        if self._publish is None:
            raise UsageError(f"the subscription {self.topic} only receives")
        if topic is None and self._filters > 1:
            raise UsageError("which topic? The subscription has several filters")
        await self._publish(
            self.topic if topic is None else topic, message, qos, retain, self.codec
        )

    def _finish(self, message: Message) -> None:
        """Do what taking means beyond handing the object over."""
        if message.receipt is not None:
            if self._settles_late:
                receipt, message.receipt = message.receipt, None
                self._settle(receipt)
            else:
                self._unsettled.add(message.receipt)
        if self._decode is not None:
            try:
                message.data = self._decode(message.payload)
            except (ValueError, TypeError, LookupError, ArithmeticError) as exc:
                self.undecodable += 1
                message.data = message.payload
                topic = printable(message.topic)
                _log.debug("%s: payload on %s: %s", self.topic, topic, error_text(exc))

    async def _wait(self) -> bool:
        """Wait for messages; False at a quiet end."""
        while not self._items:
            self._is_dropping = False
            if self._is_closed:
                if self._error is not None:
                    raise copy(self._error)
                return False
            if self._wakeup is None:
                if self._make_event is None:
                    self._make_event = event_maker()
                self._wakeup = self._make_event()
            await self._wakeup.wait()
        return True

    async def _iterate(self) -> AsyncGenerator[Message]:  # noqa: ASYNC900 - see below
        # A generator, because `async for` over one costs a third of what a coroutine
        # for each message does. It holds no scope and nothing to clean up, and the
        # subscription's block closes it.
        is_plain = self._decode is None
        items = self._items
        while True:
            while items:
                message = items.popleft()
                if message.receipt is not None or not is_plain:
                    self._finish(message)
                yield message
            if not await self._wait():
                return

    def __aiter__(self) -> AsyncIterator[Message]:
        iterator, task = self._iterator, anyio.get_current_task().id
        if iterator is None or iterator.ag_frame is None:
            # The type of what an async generator function gives; typing only says less.
            iterator = cast("AsyncGeneratorType[Message, None]", self._iterate())
            self._iterator, self._iterating_task = iterator, task
        elif iterator.ag_running or self._iterating_task != task:
            # A generator serves one task at a time.
            return self
        return iterator

    async def __anext__(self) -> Message:
        """Wait for the next message."""
        if not self._items and not await self._wait():
            raise StopAsyncIteration
        message = self._items.popleft()
        self._finish(message)
        return message

    def batches(self) -> AsyncIterator[list[Message]]:
        """Iterate over all that waits at once; for those who need speed.

        Each batch is handed out as a list with at least one message.
        """
        return _Batches(self)

    async def take_all(self) -> list[Message]:
        """Wait for messages and take all there are; an empty list at a quiet end."""
        if not self._items and not await self._wait():
            return []
        batch = list(self._items)
        self._items.clear()
        for message in batch:
            if message.receipt is not None or self._decode is not None:
                self._finish(message)
        return batch

    async def aclose(self, *, is_left: bool = False) -> None:
        """End the iteration and its generator; the subscription's block calls it.

        Args:
            is_left: Leave what was not handed out unacknowledged, and what still comes.
        """
        self._is_left = is_left
        while len(self._items) > _PORTION and not self._is_closed:
            for _ in range(_PORTION):
                self._leave_out(self._items.popleft())
            await anyio.lowlevel.cancel_shielded_checkpoint()
        self.close()
        iterator, self._iterator = self._iterator, None
        if iterator is not None and not iterator.ag_running:
            await iterator.aclose()


class _Batches(AsyncIterator[list[Message]]):
    # No generator: whoever leaves the loop early has nothing to close.
    def __init__(self, messages: Messages) -> None:
        self._messages = messages

    async def __anext__(self) -> list[Message]:
        batch = await self._messages.take_all()
        if not batch:
            raise StopAsyncIteration
        return batch
