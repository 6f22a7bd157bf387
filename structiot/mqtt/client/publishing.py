"""The sending half of the MQTT client."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import anyio

from structiot.errors import LinkLost, UsageError
from structiot.mqtt.client.arguments import (
    checked_properties,
    checked_qos,
    control_character_fault,
    name_of,
    pairs_of,
)
from structiot.mqtt.client.requests import Requests
from structiot.mqtt.codecs import Codec, CodecChoice, get_codec
from structiot.mqtt.config import MqttConfig
from structiot.mqtt.link import Link, Receipt
from structiot.mqtt.link.receipts import OwnExpiringFlow, OwnFlow
from structiot.mqtt.link.writing import HIGH_WATER_BYTES, LARGE_HIGH_WATER_BYTES
from structiot.mqtt.wire.flows.expiring import expired, left_of
from structiot.mqtt.wire.flows.outbound import Flow
from structiot.mqtt.wire.messages import Message
from structiot.mqtt.wire.properties import PublishProperties
from structiot.mqtt.wire.topics import name_fault

__all__ = ["Publishing"]

MAX_CHECKED_TOPICS = 16_384


class Publishing:
    """What a client can send; a base of `MqttClient`."""

    def __init__(self, link: Link, config: MqttConfig, codec: CodecChoice) -> None:
        self._link = link
        self._config = config
        self._codec = get_codec(codec, config.codec, config.codec_params)
        self._encode = self._codec.encode
        self._topics = config.topics
        self._protocol = link.protocol
        self._out = link.protocol.out
        self._requests = Requests(link)
        self._checked: set[str] = set()

    async def publish(
        self,
        topic: str | Sequence[str],
        message: Any,  # noqa: ANN401 - whatever the codec takes
        qos: int | None = None,
        retain: bool | None = None,  # noqa: FBT001 - distmqtt's signature
        codec: CodecChoice = None,
        *,
        properties: PublishProperties | Mapping[str, Any] | None = None,
    ) -> None:
        """Publish a message and wait for what its QoS promises.

        QoS 0 returns when the packet stands in the connection's write buffer, which
        one writer empties in order (and, when much waits there, after it did); while
        there is no connection it waits for one, unless `offline_qos0` says otherwise.
        QoS 1 and 2 return when the broker has acknowledged, over as many connections
        as it takes. Cancelling the wait does not stop a QoS 1 or 2 message.

        Args:
            topic: Topic name, or its levels.
            message: What the codec takes; bytes or a text without one.
            qos: 0, 1 or 2; else the setting of the topic or the default.
            retain: Whether the broker keeps it for later subscribers.
            codec: Codec of this call.
            properties: Of MQTT 5.0: content type, expiry, user properties and so on,
                also as a mapping with the names of `PublishProperties`. Those of a message that was received may be given as they are; topic
                aliases are the client's own affair.

        Raises:
            UsageError: A topic, QoS, payload or property that MQTT does not allow.
            CommandRefused: The broker refused the message, has announced that it does
                not take such messages, or hangs up whenever it is sent.
            UsageError: The `store` cannot be written any more.
            MessageExpired: Its `message_expiry_s` was over before it could be sent.
            MqttSessionLost: The broker has kept no session; whether the message
                (QoS 2) was delivered is unknown.
            LinkLost: The client has given up, or (QoS 0, `"raise"`) is not connected.
        """
        if type(topic) is not str or topic not in self._checked:
            topic = self._checked_name(topic)
        if qos is None or retain is None:
            qos, retain = self._defaults(topic, qos, retain)
        encode = self._encode if codec is None else self._codec_of(codec).encode
        try:
            payload: bytes = encode(message)
        except (ValueError, TypeError) as exc:
            raise UsageError(f"cannot encode the payload: {exc}") from exc
        if qos:
            if type(qos) is not int:
                qos = checked_qos(qos)
            flags = qos << 1 | (1 if retain else 0)
            flow = self._flow_of(topic, payload, flags, properties)
            receipt = await self._link.outbox.submit(flow)
            await receipt.wait()
            return
        if properties is not None:
            properties = checked_properties(properties)
        link = self._link
        if not link.is_open:
            may_send, properties = await self._connected(topic, properties)
            if not may_send:
                return
        self._protocol.publish(topic, payload, 1 if retain else 0, properties)
        link.answer()
        out = self._out
        if len(out) >= HIGH_WATER_BYTES or out.large_bytes >= LARGE_HIGH_WATER_BYTES:
            await link.drain()

    async def publish_soon(
        self,
        topic: str | Sequence[str],
        message: Any,  # noqa: ANN401 - whatever the codec takes
        qos: int | None = 1,
        retain: bool | None = None,  # noqa: FBT001 - as publish
        codec: CodecChoice = None,
        *,
        properties: PublishProperties | Mapping[str, Any] | None = None,
    ) -> Receipt:
        """Accept a QoS 1 or 2 message for sending; await the receipt when you like.

        Waits only while the outbox is full (`outbox_items`, `outbox_bytes`), and with a
        `store` until it is written down. A failure that no receipt is asked for is said
        in the log.

        Raises:
            UsageError: As `publish`, and for QoS 0, which has no receipt.
            LinkLost: The client has given up.
        """
        if type(topic) is not str:
            topic = name_of(topic)
        if qos is None or retain is None:
            qos, retain = self._defaults(topic, qos, retain)
        if not qos:
            raise UsageError(
                "publish_soon is for QoS 1 and 2; publish does not wait for QoS 0"
            )
        encode = self._encode if codec is None else self._codec_of(codec).encode
        try:
            payload: bytes = encode(message)
        except (ValueError, TypeError) as exc:
            raise UsageError(f"cannot encode the payload: {exc}") from exc
        flags = checked_qos(qos) << 1 | (1 if retain else 0)
        flow = self._flow_of(topic, payload, flags, properties)
        return await self._link.outbox.submit(flow)

    async def publish_many(
        self,
        messages: Iterable[tuple[str | Sequence[str], Any]],
        qos: int | None = None,
        retain: bool | None = None,  # noqa: FBT001 - as publish
        codec: CodecChoice = None,
    ) -> None:
        """Publish topics and messages in order; wait once for all of them.

        Raises:
            UsageError: As `publish`; what came before it is sent.
            CommandRefused: The broker refused one of them; the first is raised.
            LinkLost: The client has given up.
        """
        receipts: list[Receipt] = []
        for topic, message in pairs_of(messages, "topics and messages"):
            name = name_of(topic)
            real_qos, real_retain = self._defaults(name, qos, retain)
            if real_qos:
                receipts.append(
                    await self.publish_soon(name, message, real_qos, real_retain, codec)
                )
            else:
                await self.publish(name, message, 0, real_retain, codec)
        for receipt in receipts:
            await receipt.wait()

    async def request(
        self,
        topic: str | Sequence[str],
        message: Any,  # noqa: ANN401 - whatever the codec takes
        qos: int = 1,
        codec: CodecChoice = None,
        *,
        properties: PublishProperties | Mapping[str, Any] | None = None,
    ) -> Message:
        """Publish a request (MQTT 5.0) and wait for its reply.

        The reply topic is subscribed before the first request goes out, and again
        after a lost connection; a request under way then goes on waiting. Set a
        deadline with `anyio.fail_after`; replies that come too late are counted.

        Returns:
            The reply; its `data` is what the codec makes of the payload.

        Raises:
            UsageError: The connection speaks MQTT 3.1.1; or as `publish`.
            CommandRefused: The broker refused the request or the reply topic.
            LinkLost: The client has given up.
        """
        name = name_of(topic)
        chosen = self._codec_of(codec)
        try:
            payload: bytes = chosen.encode(message)
        except (ValueError, TypeError) as exc:
            raise UsageError(f"cannot encode the payload: {exc}") from exc
        await self._link.ready()
        correlated = await self._requests.prepare(properties)
        with self._requests.expect(correlated) as reply:
            await self.publish(name, payload, qos, False, "noop", properties=correlated)  # noqa: FBT003
            answer = await reply.wait()
        try:
            answer.data = chosen.decode(answer.payload)
        except (ValueError, TypeError, LookupError, ArithmeticError):
            answer.data = answer.payload
        return answer

    def _flow_of(
        self,
        topic: str,
        payload: bytes,
        flags: int,
        properties: PublishProperties | Mapping[str, Any] | None,
    ) -> Flow:
        if topic not in self._checked:
            self._check_topic(topic)
        if flags > 5:
            raise UsageError(f"QoS {flags >> 1} does not exist; it is 0, 1 or 2")
        if properties is None:
            return OwnFlow(topic, payload, flags)
        properties = checked_properties(properties)
        if self._link.handshake.version < 5:
            raise UsageError("properties need MQTT 5.0; this connection speaks 3.1.1")
        if properties.message_expiry_s is None:
            return OwnFlow(topic, payload, flags, properties)
        now = anyio.current_time()
        return OwnExpiringFlow(topic, payload, flags, properties, now)

    def _checked_name(self, topic: str | Sequence[str]) -> str:
        name = name_of(topic)
        if name not in self._checked:
            self._check_topic(name)
        return name

    def _check_topic(self, topic: str) -> None:
        fault = name_fault(topic)
        if fault is None and not self._config.allows_control_characters:
            fault = control_character_fault(topic)
        if fault is not None:
            raise UsageError(f"topic name {topic[:64]!r} {fault}")
        if len(self._checked) >= MAX_CHECKED_TOPICS:
            self._checked.clear()
        self._checked.add(topic)

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

    async def _connected(
        self, topic: str, properties: PublishProperties | None
    ) -> tuple[bool, PublishProperties | None]:
        """Do with a QoS 0 message what is wanted while there is no connection.

        Returns:
            Whether it may be sent now, and its properties, older by the wait.
        """
        policy = self._config.offline_qos0
        self._link.check()
        if policy == "wait":
            if properties is None or properties.message_expiry_s is None:
                await self._link.ready()
                return True, properties
            until = anyio.current_time() + properties.message_expiry_s
            with anyio.CancelScope(deadline=until):
                await self._link.ready()
            left = left_of(properties, until - anyio.current_time())
            if left is None:
                raise expired(topic)
            return True, left
        await anyio.lowlevel.checkpoint()
        if policy == "raise":
            message = f"not connected to {self._link.uri}; QoS 0 is not kept"
            raise LinkLost(message, reason="not connected")
        return False, properties
