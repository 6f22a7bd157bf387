"""The MQTT client as its users hold it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio

from structiot._kit.mailbox import Mailbox
from structiot.errors import UsageError
from structiot.mqtt.codecs import Codec, CodecChoice, get_codec
from structiot.mqtt.config import MqttConfig
from structiot.mqtt.events import ConnectionEvent
from structiot.mqtt.link import Link, Receipt
from structiot.mqtt.subscription import AckMode, Messages
from structiot.mqtt.wire.messages import SubscriptionRequest
from structiot.mqtt.wire.sending import Flow
from structiot.mqtt.wire.topics import filter_fault, name_fault

__all__ = ["MqttClient"]


class MqttClient:
    """A session with an MQTT broker; made by `open_mqttclient`.

    All methods may be called from several tasks at once.
    """

    def __init__(self, link: Link, config: MqttConfig, codec: CodecChoice) -> None:
        self._link = link
        self._config = config
        self._codec = get_codec(codec, config.codec, config.codec_params)
        self._encode = self._codec.encode
        self._topics = config.topics
        self._publish_now = link.protocol.publish
        self._out = link.protocol.out

    @property
    def client_id(self) -> str:
        """The client identifier, as given or as the broker assigned it."""
        return self._link.greeting.client_id

    @property
    def is_connected(self) -> bool:
        """Whether the broker has accepted us and nothing has ended it since."""
        return self._link.is_open

    @property
    def config(self) -> MqttConfig:
        """The settings in force."""
        return self._config

    def events(self) -> AbstractAsyncContextManager[Mailbox[ConnectionEvent]]:
        """Iterate over `Connected` and `Disconnected`, the present state first."""
        return self._link.events()

    # -- publishing ----------------------------------------------------------------

    async def publish(
        self,
        topic: str | Sequence[str],
        message: Any,  # noqa: ANN401 - whatever the codec takes
        qos: int | None = None,
        retain: bool | None = None,  # noqa: FBT001 - distmqtt's signature
        codec: CodecChoice = None,
    ) -> None:
        """Publish a message and wait for what its QoS promises.

        QoS 0 returns when the packet stands in the connection's write buffer, which
        one writer empties in order (and, when much waits there, after it did); while
        there is no connection it waits for one, unless `offline_qos0` says otherwise.
        QoS 1 and 2 return when the broker has acknowledged, over as many connections
        as it takes. Cancelling the wait does not stop a QoS 1 or 2 message.

        Args:
            topic: Topic name, or its levels.
            message: What the codec takes; bytes without one.
            qos: 0, 1 or 2; else the setting of the topic or the default.
            retain: Whether the broker keeps it for later subscribers.
            codec: Codec of this call.

        Raises:
            UsageError: A topic, QoS or payload that MQTT does not allow.
            CommandRefused: The broker refused the message.
            LinkLost: The client has given up, or (QoS 0, `"raise"`) is not connected.
        """
        if type(topic) is not str:
            topic = "/".join(topic)
        if qos is None or retain is None:
            qos, retain = self._defaults(topic, qos, retain)
        encode = self._encode if codec is None else self._codec_of(codec).encode
        payload = self._encoded(encode, message)
        if qos:
            receipt = await self._submit(topic, payload, qos, retain=retain)
            await receipt.wait()
            return
        link = self._link
        if not link.is_open and not await self._may_send():
            return
        self._publish_now(topic, payload, 1 if retain else 0)
        link.wake()
        if len(self._out) >= 65_536:
            await link.drain()

    async def publish_soon(
        self,
        topic: str | Sequence[str],
        message: Any,  # noqa: ANN401 - whatever the codec takes
        qos: int | None = 1,
        retain: bool | None = None,  # noqa: FBT001 - as publish
        codec: CodecChoice = None,
    ) -> Receipt:
        """Accept a QoS 1 or 2 message for sending; await the receipt when you like.

        Waits only while the outbox is full (`outbox_items`, `outbox_bytes`).

        Raises:
            UsageError: As `publish`, and for QoS 0, which has no receipt.
            LinkLost: The client has given up.
        """
        if type(topic) is not str:
            topic = "/".join(topic)
        if qos is None or retain is None:
            qos, retain = self._defaults(topic, qos, retain)
        if not qos:
            raise UsageError(
                "publish_soon is for QoS 1 and 2; publish does not wait for QoS 0"
            )
        encode = self._encode if codec is None else self._codec_of(codec).encode
        return await self._submit(
            topic, self._encoded(encode, message), qos, retain=retain
        )

    async def _submit(
        self, topic: str, payload: bytes, qos: int, *, retain: bool
    ) -> Receipt:
        if qos not in {1, 2}:
            raise UsageError(f"QoS {qos!r} does not exist; it is 0, 1 or 2")
        fault = name_fault(topic)
        if fault is not None:
            raise UsageError(f"topic name {topic[:64]!r} {fault}")
        flow = Flow(topic, payload, qos << 1 | (1 if retain else 0))
        return await self._link.outbox.submit(flow)

    def _encoded(self, encode: Any, message: object) -> bytes:  # noqa: ANN401 - a bound method
        try:
            payload: bytes = encode(message)
        except (ValueError, TypeError) as exc:
            raise UsageError(f"cannot encode the payload: {exc}") from exc
        return payload

    def _defaults(
        self,
        topic: str,
        qos: int | None,
        retain: bool | None,  # noqa: FBT001 - handed on
    ) -> tuple[int, bool]:
        config = self._config
        own = self._topics.get(topic) if self._topics else None
        if qos is None:
            qos = config.default_qos if own is None or own.qos is None else own.qos
        if retain is None:
            retain = (
                config.default_retain
                if own is None or own.retain is None
                else own.retain
            )
        return qos, retain

    def _codec_of(self, codec: CodecChoice) -> Codec:
        return get_codec(codec, self._codec, self._config.codec_params)

    async def _may_send(self) -> bool:
        policy = self._config.offline_qos0
        self._link.check()
        if policy == "wait":
            await self._link.ready()
            return True
        if policy == "raise":
            await anyio.lowlevel.checkpoint()
            raise UsageError(f"not connected to {self._link.uri}; QoS 0 is not kept")
        await anyio.lowlevel.checkpoint()
        return False

    # -- subscribing ---------------------------------------------------------------

    @asynccontextmanager
    async def subscription(
        self,
        topic: str | Sequence[str],
        qos: int = 0,
        codec: CodecChoice = None,
        *,
        ack: AckMode = "on_take",
        max_items: int | None = None,
    ) -> AsyncGenerator[Messages]:
        """Subscribe to a topic filter for the length of the block.

        Yields:
            The messages, as an async iterable; see `Messages` for what happens to
            them when the reader is slow. The subscription survives reconnects.

        Args:
            topic: Topic filter, or its levels; `$share/group/filter` shares it.
            qos: Highest QoS wanted: 0, 1 or 2.
            codec: What makes `message.data` of `message.payload`.
            ack: When QoS 1 and 2 are acknowledged to the broker: when the iteration
                hands a message out, when `messages.ack(message)` is called, or when
                it arrives.
            max_items: QoS 0 messages buffered before the oldest is dropped.

        Raises:
            UsageError: The filter is not valid.
            SubscribeRefused: The broker said no.
            LinkLost: The client has given up.
        """
        name = topic if isinstance(topic, str) else "/".join(topic)
        fault = filter_fault(name)
        if fault is not None:
            raise UsageError(f"topic filter {name[:64]!r} {fault}")
        if qos not in {0, 1, 2}:
            raise UsageError(f"QoS {qos!r} does not exist; it is 0, 1 or 2")
        link = self._link
        link.check()
        messages = Messages(
            name,
            qos=qos,
            codec=self._codec_of(codec),
            max_items=max_items or self._config.subscription_items,
            ack=ack,
            settle=link.settle,
        )
        entry = link.router.add(
            SubscriptionRequest(topic_filter=name, qos=qos), messages
        )
        try:
            link.subscribing.ask(entry)
            link.wake()
            await link.subscribing.answered(entry)
            messages.granted_qos = entry.granted
            yield messages
        finally:
            await messages.aclose()
            if link.router.remove(entry, messages) and link.error is None:
                with anyio.move_on_after(self._config.goodbye_s, shield=True):
                    done = link.subscribing.forget(entry)
                    link.wake()
                    if done is not None:
                        await done.wait()

    # -- the connection ------------------------------------------------------------

    async def ping(self) -> None:
        """Ask the broker for a sign of life and wait for it.

        Raises:
            LinkLost: The connection ended meanwhile, or the client has given up.
        """
        await self._link.ping()
