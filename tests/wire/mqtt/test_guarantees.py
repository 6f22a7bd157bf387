"""What QoS 1 and 2 promise, with a broker whose connections break anywhere.

The model below is a broker with one client, written without our flows. Bytes travel in
two pipes; a cut loses what is in them, in the middle of packets, too. After any
history the pipes are let run dry, and then the promises must hold.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from structiot.errors import LinkLost
from structiot.mqtt.wire.codec import Decoder, encode
from structiot.mqtt.wire.flows.inbound import Ack
from structiot.mqtt.wire.flows.outbound import Flow
from structiot.mqtt.wire.messages import (
    Connack,
    Connect,
    Message,
    Packet,
    Puback,
    Pubcomp,
    Pubrec,
    Pubrel,
)
from structiot.mqtt.wire.protocol import ClientProtocol, State

VERSION = 5


@dataclass
class Delivery:
    packet_id: int
    payload: bytes
    qos: int
    is_released: bool = False
    was_sent: bool = False


class Broker:
    """One session at a broker, and the connection that it has at present."""

    def __init__(self) -> None:
        self.is_known = False
        self.took: list[bytes] = []
        self.deliveries: list[Delivery] = []
        self.out = bytearray()
        self._received: set[int] = set()
        self._last_id = 0
        self._decoder = Decoder(role="server")
        self._is_open = False
        self.was_heard = False

    def send(self, payload: bytes, qos: int) -> None:
        self._last_id += 1
        self.deliveries.append(Delivery(self._last_id, payload, qos))
        if self._is_open:
            self._deliver(self.deliveries[-1])

    def connected(self) -> None:
        self._decoder = Decoder(role="server")

    def lost(self) -> None:
        self._is_open = False
        self.out.clear()
        # A new session of which the client never learned. Real brokers keep it, and
        # then no client can know that the old one is gone: MQTT has no answer to that.
        if not self.was_heard:
            self.is_known = False

    def forget(self) -> None:
        self.is_known = False
        self._received.clear()
        # What it had begun to deliver is lost, as with a broker that restarts.
        self.deliveries.clear()

    def feed(self, data: bytes) -> None:
        for packet in self._decoder.feed(data):
            self._take(packet)
        assert self._decoder.violation is None

    def _take(self, packet: Packet) -> None:
        match packet:
            case Connect():
                self._write(Connack(session_present=self.is_known))
                self.was_heard = self.is_known
                self.is_known = self._is_open = True
                for delivery in self.deliveries:
                    self._deliver(delivery)
            case Message(qos=1):
                self.took.append(packet.payload)
                self._write(Puback(packet_id=packet.packet_id))
            case Message(qos=2):
                if packet.packet_id not in self._received:
                    self._received.add(packet.packet_id)
                    self.took.append(packet.payload)
                self._write(Pubrec(packet_id=packet.packet_id))
            case Pubrel(packet_id=packet_id):
                self._received.discard(packet_id)
                self._write(Pubcomp(packet_id=packet_id))
            case Puback() | Pubcomp() | Pubrec():
                self._take_answer(packet)

    def _take_answer(self, packet: Puback | Pubcomp | Pubrec) -> None:
        known = [item for item in self.deliveries if item.packet_id == packet.packet_id]
        for delivery in known:
            if isinstance(packet, Pubrec):
                delivery.is_released = True
            else:
                self.deliveries.remove(delivery)
        if isinstance(packet, Pubrec):
            self._write(Pubrel(packet_id=packet.packet_id))

    def _deliver(self, delivery: Delivery) -> None:
        if delivery.is_released:
            self._write(Pubrel(packet_id=delivery.packet_id))
            return
        message = Message(
            "t",
            delivery.payload,
            qos=delivery.qos,
            dup=delivery.was_sent,
            packet_id=delivery.packet_id,
        )
        delivery.was_sent = True
        self._write(message)

    def _write(self, packet: Packet) -> None:
        self.out += encode(packet, VERSION)


class World:
    """Client, broker and the two pipes between them."""

    def __init__(self, window: int) -> None:
        self.client = ClientProtocol(max_packet_bytes=10_000, send_window=window)
        self.broker = Broker()
        self.flows: list[tuple[bytes, Flow]] = []
        self.got: list[bytes] = []
        self.offered: list[bytes] = []
        self.untaken: list[Ack] = []
        self.unknowable = 0
        self.reconnect()

    # -- what can happen -----------------------------------------------------------

    def publish(self, qos: int) -> None:
        payload = b"%d:%d" % (qos, len(self.flows))
        flow = Flow("t", payload, qos << 1)
        self.flows.append((payload, flow))
        self.client.submit(flow)

    def send(self, qos: int) -> None:
        payload = b"%d:%d" % (qos, len(self.offered))
        self.offered.append(payload)
        self.broker.send(payload, qos)

    def carry_up(self, size: int) -> None:
        data = bytes(self.client.out[:size])
        del self.client.out[:size]
        self.broker.feed(data)

    def carry_down(self, size: int) -> None:
        data = bytes(self.broker.out[:size])
        del self.broker.out[:size]
        events = self.client.receive(data, 0.0)
        self.broker.was_heard |= self.client.state is State.OPEN
        for event in events:
            if isinstance(event, Message):
                self.got.append(event.payload)
                self.untaken.append(event.receipt)
        assert self.client.violation is None

    def take(self, index: int) -> None:
        if self.untaken:
            self.client.settle(self.untaken.pop(index % len(self.untaken)))

    def cut(self) -> None:
        self.client.connection_lost()
        self.broker.lost()

    def reconnect(self) -> None:
        if self.client.state is State.CLOSED:
            is_first = not self.broker.is_known and not self.flows
            connect = Connect(client_id="c", clean_start=is_first, version=VERSION)
            self.client.connect(connect, 0.0)
            self.broker.connected()

    def forget(self) -> None:
        self.cut()
        # If the CONNACK that says so is lost too, the client never learns of it: what
        # it was sent and has not acknowledged waits for a repetition in vain.
        self.unknowable += sum(item.was_sent for item in self.broker.deliveries)
        self.broker.forget()

    def run_dry(self) -> None:
        self.reconnect()
        while self.client.out or self.broker.out or self.untaken:
            self.carry_up(10_000)
            self.carry_down(10_000)
            self.take(0)


SIZES = st.integers(1, 60)
QOS = st.sampled_from([1, 2])
STEPS = [
    st.tuples(st.just("publish"), QOS),
    st.tuples(st.just("send"), QOS),
    st.tuples(st.just("carry_up"), SIZES),
    st.tuples(st.just("carry_down"), SIZES),
    st.tuples(st.just("take"), st.integers(0, 5)),
    st.tuples(st.just("cut")),
    st.tuples(st.just("reconnect")),
]
LASTING = st.lists(st.one_of(STEPS), max_size=60)
FORGETTING = st.lists(st.one_of([*STEPS, st.tuples(st.just("forget"))]), max_size=60)


def play(steps: list[tuple[str, int]], window: int) -> World:
    world = World(window)
    for name, *arguments in steps:
        getattr(world, name)(*arguments)
    world.run_dry()
    return world


def of_qos(qos: int, payloads: list[bytes]) -> list[bytes]:
    return [payload for payload in payloads if payload.startswith(b"%d:" % qos)]


def check_idle(world: World) -> None:
    outgoing = world.client.outgoing
    assert len(outgoing) == 0
    assert outgoing.held_bytes == 0
    assert world.client.ids.used == set()
    assert len(world.client.incoming) <= world.unknowable
    assert world.client.incoming.unreleased == frozenset()
    assert all(flow.is_done for _, flow in world.flows)


@given(LASTING, st.integers(1, 4))
def test_a_lasting_session_keeps_every_promise(
    steps: list[tuple[str, int]], window: int
):
    world = play(steps, window)
    check_idle(world)
    assert [flow.error for _, flow in world.flows if flow.error] == []
    published = [payload for payload, _ in world.flows]
    for there, here in ((published, world.broker.took), (world.offered, world.got)):
        # Exactly once and in order; at least once, first occurrences in order.
        assert of_qos(2, here) == of_qos(2, there)
        assert list(dict.fromkeys(of_qos(1, here))) == of_qos(1, there)


@given(FORGETTING, st.integers(1, 4))
def test_a_forgotten_session_doubles_nothing_of_qos_2_and_says_what_it_cannot_know(
    steps: list[tuple[str, int]], window: int
):
    world = play(steps, window)
    check_idle(world)
    took = world.broker.took
    unknown: set[bytes] = set()
    for payload, flow in world.flows:
        if flow.error is not None:
            assert isinstance(flow.error, LinkLost)
            assert payload.startswith(b"2:")
            unknown.add(payload)
    published = [payload for payload, _ in world.flows]
    assert len(set(of_qos(2, took))) == len(of_qos(2, took))
    missing = set(of_qos(2, published)) - set(took)
    assert missing <= unknown
    order = [payload for payload in of_qos(2, published) if payload in took]
    assert of_qos(2, took) == order
    assert set(of_qos(1, took)) == set(of_qos(1, published))
    # Nothing of QoS 2 reaches the application twice.
    assert len(set(of_qos(2, world.got))) == len(of_qos(2, world.got))
