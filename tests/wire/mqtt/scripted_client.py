"""A `ClientProtocol` and the scripted server on the other side of the wire."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from structiot.mqtt.wire.codec import Decoder, encode
from structiot.mqtt.wire.messages import (
    Connack,
    Connect,
    Packet,
)
from structiot.mqtt.wire.properties import (
    ConnackProperties,
)
from structiot.mqtt.wire.protocol import ClientProtocol, Event, State
from structiot.mqtt.wire.reasons import ReasonCode

OK = ReasonCode.SUCCESS


class Client:
    """A `ClientProtocol` and the scripted server on the other side of the wire."""

    def __init__(self, *, version: int = 4, **options: Any) -> None:
        self.version = version
        self.now = 1000.0
        self.protocol = ClientProtocol(max_packet_bytes=100_000, **options)
        self._decoder = Decoder(role="server", version=version)

    def connect(self, *, keep_alive_s: int = 10, **options: Any) -> None:
        self._decoder = Decoder(role="server", version=self.version)
        connect = Connect(
            client_id="c", keep_alive_s=keep_alive_s, version=self.version, **options
        )
        self.protocol.connect(connect, self.now)

    def open(self, *, session_present: bool = False, **limits: Any) -> None:
        """Connect and be accepted."""
        self.connect(clean_start=not session_present)
        self.sent()
        properties = ConnackProperties(**limits)
        self.take(Connack(session_present=session_present, properties=properties))

    def lose(self) -> None:
        self.protocol.connection_lost()

    def take(self, *packets: Packet) -> list[Event]:
        data = b"".join(encode(packet, self.version) for packet in packets)
        events = self.protocol.receive(data, self.now)
        while self.protocol.has_more:
            events += self.protocol.receive(b"", self.now)
        return events

    def sent(self) -> list[Packet]:
        packets = self._decoder.feed(b"".join(self.protocol.out.take()))
        assert self._decoder.violation is None
        return packets

    def write(self) -> list[Packet]:
        """As `sent`, and the shell has written it at this moment."""
        if self.protocol.out:
            self.protocol.keep_alive.last_sent_at = self.now
        return self.sent()

    @property
    def fault(self) -> str:
        return str(self.protocol.violation or "")

    @property
    def fault_code(self) -> int | None:
        violation = self.protocol.violation
        return None if violation is None else violation.code

    def state(self) -> State:
        return self.protocol.state


def opened(version: int = 4, **limits: Any) -> Client:
    client = Client(version=version)
    client.open(**limits)
    return client


def kinds(packets: Iterable[Packet]) -> list[type]:
    return [type(packet) for packet in packets]
