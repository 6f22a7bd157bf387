"""What shall stand on the broker, kept there over lost connections.

The wanted payload of every retained topic is remembered; each new connection gets all
of it again, so a broker that forgot everything is as good as one that did not. Between
two connections only the latest of each topic waits, which bounds memory by the number
of topics. What is not retained, such as the press of a button, waits in a small mailbox
and for ten seconds at most: who hears of it later would take it for the present.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import anyio

from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.flow.tasks import service_group
from structiot._kit.text import printable
from structiot.errors import CommandRefused, LinkLost, StructiotError, UsageError
from structiot.mqtt import Connected, Disconnected, MqttClient

__all__ = ["Publisher"]

OnConnection: TypeAlias = Callable[[Connected | Disconnected], None]

_QOS = 1
_MAX_TOLD = 256
_TELL_WITHIN_S = 10.0

_log = logging.getLogger(__name__)


class Publisher:
    """Publishes for one gateway; its methods never wait.

    Args:
        client: The connection to the broker.
        on_connection: Told of each new connection and each loss.
    """

    def __init__(self, client: MqttClient, on_connection: OnConnection) -> None:
        self._client = client
        self._on_connection = on_connection
        self._wanted: dict[str, str] = {}
        self._dirty: dict[str, None] = {}
        self._clear_after: dict[str, dict[str, None]] = {}
        self._told: Mailbox[tuple[float, str, str]] = Mailbox(
            _MAX_TOLD, name="messages to tell"
        )
        self._work = anyio.Event()
        # From the word that there is a connection on: before, all would go out twice.
        self._is_up = False

    @property
    def wanted(self) -> Mapping[str, str]:
        """The payload that each retained topic shall have."""
        return self._wanted

    def retain(self, topic: str, payload: str) -> None:
        """Want a retained payload on a topic."""
        if self._wanted.get(topic) != payload:
            self._wanted[topic] = payload
            self._mark(topic)

    def clear(self, topic: str) -> None:
        """Want a topic to have no retained message."""
        self._wanted.pop(topic, None)
        self._mark(topic)

    def clear_after(self, topic: str, *, after: str) -> None:
        """Clear a topic once what is wanted on another one has been published."""
        if after in self._dirty:
            self._clear_after.setdefault(after, {})[topic] = None
        else:
            self.clear(topic)

    def tell(self, topic: str, payload: str) -> None:
        """Publish something once, unless there is no connection for ten seconds."""
        self._told.put((anyio.current_time(), topic, payload))
        self._work.set()

    def repeat(self, topics: Iterable[str]) -> None:
        """Publish some retained topics again although nothing has changed."""
        for topic in topics:
            self._mark(topic)

    def _mark(self, topic: str) -> None:
        # What changes again moves to the end: topics leave in the order of change.
        self._dirty.pop(topic, None)
        self._dirty[topic] = None
        self._work.set()

    async def run(self) -> None:
        """Publish until cancelled; started anew at each connection.

        Raises:
            StructiotError: The client has given up.
        """
        async with self._client.events() as events, service_group() as tg:
            tg.start_soon(self._send, name="structiot.gateway.publisher")
            async for event in events:
                match event:
                    case Connected():
                        self._is_up = True
                        self._dirty = dict.fromkeys([*self._dirty, *self._wanted])
                        self._work.set()
                    case Disconnected():
                        self._is_up = False
                    case _:
                        continue
                self._on_connection(event)

    async def _send(self) -> None:
        while True:
            is_up = self._is_up and self._client.is_connected
            if not (self._dirty or self._told) or not is_up:
                self._work = anyio.Event()
                await self._work.wait()
                continue
            try:
                await self._send_next()
            except CommandRefused as exc:
                _log.warning("the broker refuses a message: %s", exc)
            except UsageError as exc:
                # What cannot be sent costs itself, and nothing else.
                _log.warning("a message cannot be sent: %s", printable(str(exc)))

    async def _send_next(self) -> None:
        publish = self._client.publish_soon
        if not self._dirty:
            told_at, topic, payload = self._told.receive_nowait()
            if anyio.current_time() - told_at > _TELL_WITHIN_S:
                _log.warning("%s is not told: there was no connection", topic)
                return
            await publish(topic, _encoded(payload), qos=_QOS)
            return
        topic = next(iter(self._dirty))
        del self._dirty[topic]
        payload = self._wanted.get(topic, "")
        try:
            await publish(topic, _encoded(payload), qos=_QOS, retain=True)
        finally:
            for old in self._clear_after.pop(topic, ()):
                self.clear(old)

    async def say_goodbye(
        self, last: Iterable[tuple[str, str]], *, goodbye_s: float
    ) -> None:
        """Leave last payloads on retained topics; bounded, shielded, silent.

        Called when `run` has ended. Without a connection there is nobody to tell: the
        broker publishes the will by itself.
        """
        if not self._client.is_connected:
            return
        with anyio.move_on_after(goodbye_s, shield=True) as patience:
            try:
                receipts = [
                    await self._client.publish_soon(
                        topic, _encoded(payload), qos=_QOS, retain=True
                    )
                    for topic, payload in last
                ]
                for receipt in receipts:
                    await receipt.wait()
            except (LinkLost, CommandRefused) as exc:
                _log.debug("the goodbye was lost: %s", exc)
            except StructiotError as exc:
                _log.warning("the goodbye failed: %s", exc)
        if patience.cancelled_caught:
            _log.warning("the broker did not take the goodbye within %g s", goodbye_s)


def _encoded(payload: str) -> bytes:
    # Half a surrogate pair, from whoever wrote it, is no reason to say nothing.
    return payload.encode(errors="replace")
