"""The broker's logic with scripted clients: real packets, no sockets, a clock by hand."""

from __future__ import annotations

from typing import Any

from structiot.mqtt.broker import BrokerLimits, Permission, Permissions
from structiot.mqtt.broker.core import Broker, ConnectedClient
from structiot.mqtt.wire.codec import Decoder, encode
from structiot.mqtt.wire.codec.fields import PacketLimits
from structiot.mqtt.wire.codec.remembered import KnownTopics
from structiot.mqtt.wire.messages import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Message,
    Packet,
    Puback,
    Pubcomp,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    SubscriptionRequest,
    Unsuback,
    Unsubscribe,
)
from structiot.mqtt.wire.properties import (
    ConnectProperties,
    DisconnectProperties,
    PublishProperties,
    SubscribeProperties,
)
from structiot.mqtt.wire.server_protocol import ServerProtocol
from structiot.mqtt.wire.server_state import ServerState


def lasting(version: int, expiry_s: int = 60) -> dict[str, Any]:
    """What a client says that wants its session kept."""
    if version == 4:
        return {"clean_start": False}
    return {"clean_start": False, "properties": {"session_expiry_s": expiry_s}}


class House:
    """One broker and its clock.

    Attributes:
        host: Where those come from that connect now.
    """

    def __init__(
        self, *permissions: Permission, core: Broker | None = None, **limits: Any
    ) -> None:
        self.core = core or Broker(BrokerLimits(**limits), Permissions(permissions))
        self.topics = KnownTopics()
        self.now = 1000.0
        self.host = "client"
        self._made_up = 0

    def made_up_id(self) -> str:
        self._made_up += 1
        return f"auto{self._made_up}"

    def pass_time(self, seconds: float) -> None:
        """Let time pass in one step and do what is due at its end."""
        self.now += seconds
        self.core.tick(self.now)
        self.settle()

    def settle(self) -> None:
        """Do what is left to do, and have written what there is."""
        self.core.flush()
        while self.core.work or self.core.dirty:
            self.core.work_off(self.now)
            self.core.flush()

    def wait_until_due(self) -> float:
        """Let time pass until something is due; give how long that was."""
        due = self.core.deadlines.next_at
        assert due is not None
        waited = due - self.now
        self.pass_time(waited)
        return waited

    def publish(self, topic: str, payload: bytes = b"x", **options: Any) -> int:
        number = self.core.publish(Message(topic, payload, **options), self.now)
        self.settle()
        return number

    def client(
        self, client_id: str = "c", version: int = 4, **options: Any
    ) -> ScriptedClient:
        """Connect a client that is accepted; the CONNACK is its `welcome`."""
        client = ScriptedClient(self, version)
        client.welcome = client.connect(client_id, **options)
        assert client.protocol.state is ServerState.OPEN
        return client

    def subscriber(
        self,
        *filters: str,
        qos: int = 0,
        client_id: str = "subscriber",
        version: int = 4,
        **options: Any,
    ) -> ScriptedClient:
        """Connect a client with subscriptions."""
        client = self.client(client_id, version, **options)
        client.subscribe(*filters, qos=qos)
        return client


class ScriptedClient(ConnectedClient):
    """A connection that records what the broker writes to it."""

    __slots__ = (
        "auths",
        "decoder",
        "house",
        "is_ended",
        "is_stuck",
        "packets",
        "user",
        "version",
        "welcome",
    )

    def __init__(self, house: House, version: int = 4) -> None:
        limits = house.core.limits
        protocol = ServerProtocol(
            max_packet_bytes=limits.packet_bytes,
            max_connect_bytes=limits.connect_bytes,
            topic_alias_maximum=limits.topic_alias_maximum,
            receive_maximum=limits.receive_maximum,
            packet_limits=PacketLimits(
                filters=limits.packet_filters, properties=limits.packet_properties
            ),
            common_topics=house.topics,
        )
        super().__init__(protocol, peer=house.host, is_local=True)
        self.house = house
        self.version = version
        self.decoder = Decoder(role="client", version=version)
        self.packets: list[Packet] = []
        self.auths: list[Auth] = []
        self.is_ended = False
        self.is_stuck = False
        self.welcome = Connack()
        self.user: str | None = None

    # -- what the broker sees --------------------------------------------------------

    def flush(self) -> None:
        if self.is_stuck:
            return
        data = b"".join(self.protocol.out.take())
        self.packets += self.decoder.feed(data)
        assert self.decoder.violation is None, self.decoder.violation
        self.house.core.drained(self)

    def end(self) -> None:
        self.is_ended = True

    def take_auth(self, packet: Auth) -> None:
        self.auths.append(packet)

    # -- what the client does --------------------------------------------------------

    def send_bytes(self, data: bytes) -> None:
        core, house = self.house.core, self.house
        connect = core.receive(self, data, house.now)
        while connect is not None or self.is_behind:
            if connect is not None and not core.accept(
                self,
                connect,
                house.now,
                made_up_id=house.made_up_id(),
                username=connect.username,
            ):
                break
            connect = core.receive(self, b"", house.now)
        house.settle()

    def send(self, *packets: Packet) -> None:
        self.send_bytes(b"".join(encode(packet, self.version) for packet in packets))

    def got(self) -> list[Packet]:
        """Give what came since the last call."""
        packets, self.packets = self.packets, []
        return packets

    def got_messages(self) -> list[Message]:
        """Give what came, which is nothing but messages."""
        packets = self.got()
        assert all(isinstance(packet, Message) for packet in packets), packets
        return [packet for packet in packets if isinstance(packet, Message)]

    def got_payloads(self) -> list[bytes]:
        return [message.payload for message in self.got_messages()]

    def connect(
        self,
        client_id: str = "c",
        *,
        clean_start: bool = True,
        properties: dict[str, Any] | None = None,
        **options: Any,
    ) -> Connack:
        self.send(
            Connect(
                client_id=client_id,
                clean_start=clean_start,
                version=self.version,
                properties=ConnectProperties(**properties or {}),
                **options,
            )
        )
        connack = self.packets.pop(0)
        assert isinstance(connack, Connack)
        return connack

    def lose(self) -> None:
        """The connection breaks."""
        self.house.core.left(self, self.house.now)
        self.house.settle()

    def disconnect(self, reason: int = 0, **properties: Any) -> None:
        packet = Disconnect(
            reason=reason,  # type: ignore[arg-type]
            properties=DisconnectProperties(**properties),
        )
        self.send(packet)

    def subscribe(
        self, *filters: str, qos: int = 0, identifier: int | None = None, **options: Any
    ) -> list[int]:
        requests = [
            SubscriptionRequest(topic_filter=name, qos=qos, **options)
            for name in filters
        ]
        return self.subscribe_to(*requests, identifier=identifier)

    def subscribe_to(
        self, *requests: SubscriptionRequest, identifier: int | None = None
    ) -> list[int]:
        """Subscribe; give the codes. What else came stays to be got."""
        properties = SubscribeProperties(subscription_id=identifier)
        packet = Subscribe(packet_id=7, subscriptions=requests, properties=properties)
        before = len(self.packets)
        self.send(packet)
        suback = self.packets.pop(before)
        assert isinstance(suback, Suback)
        assert suback.packet_id == 7
        return [int(reason) for reason in suback.reasons]

    def unsubscribe(self, *filters: str) -> list[int]:
        self.send(Unsubscribe(packet_id=8, topic_filters=filters))
        unsuback = self.packets.pop()
        assert isinstance(unsuback, Unsuback)
        assert unsuback.packet_id == 8
        return [int(reason) for reason in unsuback.reasons]

    def publish(
        self,
        topic: str,
        payload: bytes = b"x",
        *,
        packet_id: int = 1,
        qos: int = 0,
        properties: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.send(
            Message(
                topic,
                payload,
                qos=qos,
                packet_id=packet_id if qos else 0,
                properties=PublishProperties(**properties) if properties else None,
                **options,
            )
        )

    def deliver(self, topic: str, payload: bytes = b"x", *, qos: int) -> int:
        """Publish and complete the flow; give the broker's reason."""
        before = len(self.packets)
        self.publish(topic, payload, qos=qos)
        ack = self.packets.pop(before)
        assert isinstance(ack, Puback | Pubrec)
        if qos == 2 and ack.reason < 0x80:
            self.send(Pubrel(packet_id=1))
            assert isinstance(self.packets.pop(), Pubcomp)
        return int(ack.reason)
