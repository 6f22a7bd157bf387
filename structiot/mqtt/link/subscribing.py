"""What the broker has been asked to send, kept true over reconnects."""

from __future__ import annotations

import logging

import anyio

from structiot.errors import StructiotError, TransportError
from structiot.mqtt.errors import SubscribeRefused
from structiot.mqtt.routing import Filter, Router
from structiot.mqtt.wire.messages import Suback, Unsuback
from structiot.mqtt.wire.properties import SubscribeProperties
from structiot.mqtt.wire.protocol import ClientProtocol, State

__all__ = ["Subscribing"]

# Filters in one SUBSCRIBE when many are restored; keeps packets below any limit.
FILTERS_PER_PACKET = 100

_log = logging.getLogger(__name__)


class Subscribing:
    """Sends SUBSCRIBE and UNSUBSCRIBE and knows who waits for the answers."""

    def __init__(self, router: Router, protocol: ClientProtocol) -> None:
        self._router = router
        self._protocol = protocol
        self._subscribed: dict[int, list[Filter]] = {}
        self._unsubscribed: dict[int, anyio.Event] = {}

    def ask(self, entry: Filter) -> None:
        """Subscribe now if there is a connection, else at the next one."""
        entry.ask_again()
        if self._protocol.state is State.OPEN:
            self._send([entry])

    def _send(self, entries: list[Filter]) -> None:
        properties = None
        limits = self._protocol.limits
        if (
            self._protocol.version >= 5
            and limits.subscription_ids_available is not False
        ):
            properties = SubscribeProperties(subscription_id=entries[0].subscription_id)
        requests = tuple(entry.request for entry in entries)
        packet_id = self._protocol.subscribe(requests, properties)
        if not packet_id:
            error = TransportError("all 65,535 packet ids are in use")
            for entry in entries:
                entry.answer(None, error)
            return
        self._subscribed[packet_id] = entries

    async def answered(self, entry: Filter) -> None:
        """Wait for the broker's answer.

        Raises:
            SubscribeRefused: The broker said no.
            TransportError: The link gave up.
        """
        while entry.granted is None:
            if entry.error is not None:
                raise entry.error
            await entry.answered.wait()

    def restore(self, *, session_present: bool) -> None:
        """Subscribe again what the broker does not know (any more)."""
        if not session_present:
            self._router.forget_retained()
        wanted = [
            entry
            for entry in self._router
            if not session_present or entry.granted is None
        ]
        # A subscription identifier belongs to a whole SUBSCRIBE.
        step = FILTERS_PER_PACKET if self._protocol.version < 5 else 1
        for start in range(0, len(wanted), step):
            entries = wanted[start : start + step]
            try:
                self._send(entries)
            except StructiotError as exc:
                # This broker cannot do what was asked of the last one.
                for entry in entries:
                    self._refused(entry, exc)

    def take_suback(self, suback: Suback) -> None:
        """Give each filter its answer."""
        entries = self._subscribed.pop(suback.packet_id, None)
        if entries is None:
            _log.debug("SUBACK %d for nothing", suback.packet_id)
            return
        for index, entry in enumerate(entries):
            name = entry.request.topic_filter
            if index >= len(suback.reasons):
                error = SubscribeRefused(
                    f"the broker did not answer for {name!r}", topic_filter=name
                )
                self._refused(entry, error)
                continue
            reason = suback.reasons[index]
            if reason >= 0x80:
                text = f"the broker refused the subscription {name!r}: {reason.text}"
                self._refused(
                    entry, SubscribeRefused(text, topic_filter=name, code=int(reason))
                )
            else:
                entry.answer(int(reason))

    def _refused(self, entry: Filter, error: StructiotError) -> None:
        had_been_granted = [
            item for item in entry.subscribers if item.granted_qos is not None
        ]
        entry.answer(None, error)
        for messages in had_been_granted:
            messages.close(error)

    def forget(self, entry: Filter) -> anyio.Event | None:
        """Unsubscribe if there is a connection; give the event of the answer."""
        if self._protocol.state is not State.OPEN:
            return None
        packet_id = self._protocol.unsubscribe((entry.request.topic_filter,))
        if not packet_id:
            return None
        self._unsubscribed[packet_id] = done = anyio.Event()
        return done

    def take_unsuback(self, unsuback: Unsuback) -> None:
        """Tell who waits; refusals do not matter, nobody listens any more."""
        done = self._unsubscribed.pop(unsuback.packet_id, None)
        if done is not None:
            done.set()

    def connection_lost(self) -> None:
        """Unanswered requests go out again at the next connection."""
        self._subscribed.clear()
        unsubscribed, self._unsubscribed = self._unsubscribed, {}
        for done in unsubscribed.values():
            done.set()

    def fail_all(self, error: StructiotError) -> None:
        """Nothing will be answered any more."""
        for entry in self._router:
            if entry.granted is None:
                entry.answer(None, error)
