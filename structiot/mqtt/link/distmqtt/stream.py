"""The package as a byte stream that speaks MQTT 3.1.1 with our session.

Each packet that our session writes becomes a call of the package's client, and what
comes of the call becomes the packet that a broker would have answered with. So the
session, its healing, its subscriptions and its errors are the same under either
engine, and the package does what it is there for: it moves messages.

What the package does not tell cannot be passed on: whether the broker kept the
session (we say that it did not, and everything is made again), and why a connection
has ended.
"""

from __future__ import annotations

import logging

import anyio
from anyio.abc import ByteStream, TaskGroup

from structiot.mqtt.link.distmqtt.package import Package, PackageMessage
from structiot.mqtt.wire.codec import (
    PINGRESP,
    Decoder,
    encode,
    encode_publish_into,
    puback_bytes,
    pubcomp_bytes,
    pubrec_bytes,
    pubrel_bytes,
)
from structiot.mqtt.wire.flows.outbound import PacketIds
from structiot.mqtt.wire.messages import (
    RETAIN,
    Ack,
    Connack,
    Connect,
    Disconnect,
    Message,
    Packet,
    Pingreq,
    Puback,
    Pubcomp,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
)
from structiot.mqtt.wire.protocol import ClientProtocol
from structiot.mqtt.wire.reasons import ConnectReturnCode, ReasonCode

__all__ = ["PackageStream"]

VERSION = 4
# Deliveries are left to the package while our session has so many bytes to read.
MAX_HELD_BYTES = 1_048_576
# How long to look for messages that the package has left when its connection ends.
LAST_LOOK_S = 0.01

_log = logging.getLogger(__name__)


class PackageStream(ByteStream):
    """One connection of the package's client.

    Args:
        package: The client, connected.
        tg: Where calls that wait for the broker run.
        protocol: Our session, to tell it of messages that the package does not send.
        window: Deliveries of QoS 1 and 2 that may wait to be taken.
        refused: What the package raises for a message that it does not send.

    Attributes:
        closing: Is set when our side is done with the connection.
    """

    def __init__(
        self,
        package: Package,
        tg: TaskGroup,
        protocol: ClientProtocol,
        *,
        window: int,
        refused: tuple[type[Exception], ...],
    ) -> None:
        self.closing: anyio.Event = anyio.Event()
        self._package = package
        self._tg = tg
        self._window = window
        self._protocol = protocol
        self._refused = refused
        self._decoder = Decoder(role="server", version=VERSION)
        self._ids = PacketIds()
        self._held = bytearray()
        self._changed = anyio.Event()
        self._end: BaseException | None = None
        self._has_ended = False
        self._is_over = False
        self._is_leaving = False

    # -- read by our session -------------------------------------------------------

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Wait for packets."""
        while not self._held:
            if self.closing.is_set():
                raise anyio.ClosedResourceError
            if self._has_ended:
                raise anyio.EndOfStream from self._end
            await self._changed.wait()
        data = bytes(self._held[:max_bytes])
        del self._held[:max_bytes]
        self._tell()
        return data

    def _hold(self, data: bytes) -> None:
        self._held += data
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    # -- written by our session ----------------------------------------------------

    async def send(self, item: bytes) -> None:
        """Have the package do what these packets say."""
        for packet in self._decoder.feed(item):
            if self._has_ended:
                raise anyio.BrokenResourceError
            try:
                await self._do(packet)
            except Exception as exc:  # the package raises anything
                raise anyio.BrokenResourceError from exc

    async def _do(self, packet: Packet) -> None:
        match packet:
            case Message():
                if packet.qos:
                    # Begun in order: each has given the package its PUBLISH when
                    # the next one begins.
                    await self._tg.start(self._publish, packet)
                else:
                    await self._publish_at_once(packet)
            case Puback() | Pubrec() | Pubrel() | Pubcomp():
                self._go_on(packet)
            case Subscribe():
                await self._tg.start(self._subscribe, packet)
            case Unsubscribe():
                await self._tg.start(self._unsubscribe, packet)
            case Pingreq():
                self._tg.start_soon(self._ping)
            case Disconnect():
                self._is_leaving = True
                await self._package.disconnect()
                self._is_leaving = False
                self._tell()
            case Connect():
                pass  # the engine has read it, and has connected

    def _go_on(self, packet: Ack) -> None:
        match packet:
            case Puback() | Pubcomp():
                self._ids.free(packet.packet_id)
                self._tell()
            case Pubrec():
                self._hold(pubrel_bytes(packet.packet_id))
            case Pubrel():
                # The package's flow was complete before our session saw a PUBREC.
                self._hold(pubcomp_bytes(packet.packet_id))

    async def _publish_at_once(self, message: Message) -> None:
        try:
            await self._package.publish(
                message.topic, message.payload, qos=0, retain=message.retain
            )
        except self._refused as exc:
            _log.warning("a message to %s was dropped: %s", message.topic, exc)

    async def _publish(
        self, message: Message, *, task_status: anyio.abc.TaskStatus[None]
    ) -> None:
        packet_id, qos = message.packet_id, message.qos
        task_status.started()
        try:
            done = await self._package.publish(
                message.topic, message.payload, qos=qos, retain=message.retain
            )
        except self._refused:
            self._refuse(packet_id, qos)
            return
        # It returns without these when the connection ends, as if all were well.
        if qos == 1 and done.puback_packet is not None:
            self._hold(puback_bytes(packet_id))
        elif qos == 2 and done.pubcomp_packet is not None:
            self._hold(pubrec_bytes(packet_id))

    def _refuse(self, packet_id: int, qos: int) -> None:
        # No packet of 3.1.1 can say it.
        protocol = self._protocol
        outgoing = protocol.outgoing
        take = outgoing.on_puback if qos == 1 else outgoing.on_pubrec
        take(packet_id, ReasonCode.TOPIC_NAME_INVALID, protocol.out, VERSION)

    async def _subscribe(
        self, packet: Subscribe, *, task_status: anyio.abc.TaskStatus[None]
    ) -> None:
        filters = [(item.topic_filter, item.qos) for item in packet.subscriptions]
        task_status.started()
        codes = await self._package.subscribe(filters)
        reasons = tuple(ReasonCode(code) for code in codes)
        suback = Suback(packet_id=packet.packet_id, reasons=reasons)
        self._hold(encode(suback, VERSION))

    async def _unsubscribe(
        self, packet: Unsubscribe, *, task_status: anyio.abc.TaskStatus[None]
    ) -> None:
        task_status.started()
        await self._package.unsubscribe(list(packet.topic_filters))
        self._hold(encode(Unsuback(packet_id=packet.packet_id), VERSION))

    async def _ping(self) -> None:
        await self._package.ping()
        self._hold(PINGRESP)

    # -- driven by the engine ------------------------------------------------------

    def answer(self, code: int) -> None:
        """Give our session the CONNACK."""
        connack = Connack(reason=ConnectReturnCode(code))
        self._hold(encode(connack, VERSION))

    async def serve(self) -> None:
        """Hand on what the package receives, until either side is done."""
        self._tg.start_soon(self._deliver)
        # Saying goodbye ends the deliveries before the goodbye is sent.
        while not self.closing.is_set() and (self._is_leaving or not self._is_over):
            await self._changed.wait()

    async def _deliver(self) -> None:
        while True:
            while len(self._ids.used) >= self._window or self._is_full:
                await self._changed.wait()
            message = await self._package.deliver_message()
            if message is None:
                self._is_over = True
                self._tell()
                return
            self._hand_on(message)

    @property
    def _is_full(self) -> bool:
        return len(self._held) >= MAX_HELD_BYTES

    def _hand_on(self, message: PackageMessage) -> None:
        flags = message.qos << 1 | (RETAIN if message.publish_packet.retain_flag else 0)
        packet_id = self._ids.take() if message.qos else 0
        payload = bytes(message.publish_packet.data)
        encode_publish_into(
            self._held, message.topic, payload, flags, packet_id, VERSION
        )
        self._tell()

    async def end(self, error: BaseException | None) -> None:
        """The package's connection is over; what it had received is still handed on."""
        session = self._package.session
        while session is not None and not self.closing.is_set():
            message: PackageMessage | None = None
            with anyio.move_on_after(LAST_LOOK_S):
                message = await session.get_next_message()
            if message is None:
                break
            self._hand_on(message)
        self._end = error
        self._has_ended = True
        self._tell()

    async def aclose(self) -> None:
        """Be done with the connection; the engine closes it."""
        self.closing.set()
        self._tell()

    async def send_eof(self) -> None:
        """Do nothing: MQTT has no half-closed connections."""
