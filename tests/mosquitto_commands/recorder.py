"""What a program sends to a broker: a relay in between that reads along."""

from __future__ import annotations

import dataclasses
import re
import select
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from structiot.mqtt.wire.codec import Decoder
from structiot.mqtt.wire.messages import (
    Connect,
    Message,
    Subscribe,
    Unsubscribe,
)

__all__ = ["Recorder", "seen"]

_PATIENCE_S = 20.0
# How a handshake of TLS begins.
_TLS = b"\x16\x03"
# What a client says of itself in 5.0, whatever it is told; not what a user asks for.
_OWN = {
    "topic_alias",
    "receive_maximum",
    "maximum_packet_bytes",
    "topic_alias_maximum",
    "request_response_information",
    "request_problem_information",
}


class Recorder:
    """A relay to a broker, on a TCP port and a Unix socket."""

    def __init__(self, broker: tuple[str, int], path: Path) -> None:
        self._broker = broker
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self._unix = socket.socket(socket.AF_UNIX)
        self._unix.bind(str(path))
        self._unix.listen()
        self.port: int = self._tcp.getsockname()[1]
        self._marker = 0
        self._is_closing = False
        self._is_marked = threading.Event()
        self._threads: list[threading.Thread] = []
        self._sent = bytearray()
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self) -> None:
        """Accept in the order in which they come, those of the Unix socket first."""
        while True:
            ready, _, _ = select.select([self._unix, self._tcp], [], [])
            client, address = ready[0].accept()
            if ready[0] is self._tcp and address[1] == self._marker:
                client.close()
                if select.select([self._unix], [], [], 0)[0]:
                    self._relay(self._unix.accept()[0])
                self._is_marked.set()
                if self._is_closing:
                    return
                continue
            self._relay(client)

    def _relay(self, client: socket.socket) -> None:
        thread = threading.Thread(target=self._relay_all, args=(client,))
        self._threads.append(thread)
        thread.start()

    def _relay_all(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._broker) as broker:
            while True:
                for source in select.select([client, broker], [], [])[0]:
                    try:
                        data = source.recv(65_536)
                        (broker if source is client else client).sendall(data)
                    except OSError:
                        return
                    if not data:
                        return
                    if source is client:
                        self._sent += data

    def take(self) -> bytes:
        """Give what one program has sent, once it has ended."""
        # Whoever came before the marker was accepted before it.
        with socket.socket() as marker:
            marker.bind(("127.0.0.1", 0))
            self._marker = marker.getsockname()[1]
            marker.connect(("127.0.0.1", self.port))
            assert self._is_marked.wait(_PATIENCE_S)
        self._is_marked.clear()
        for thread in self._threads:
            thread.join(_PATIENCE_S)
        self._threads.clear()
        sent, self._sent = bytes(self._sent), bytearray()
        return sent

    def close(self) -> None:
        """End it."""
        self._is_closing = True
        self.take()
        self._accepting.join(_PATIENCE_S)
        self._tcp.close()
        self._unix.close()


def seen(data: bytes, *, words: Sequence[str]) -> list[tuple[str, Any]]:
    """Tell what is in the packets that a user has a say in, by kind.

    Args:
        data: What a program has sent.
        words: What it was called with.
    """
    if data.startswith(_TLS):
        return []
    version = data[8] if len(data) > 8 and data[8] == 5 else 4
    decoder = Decoder(role="server", version=version)
    found: list[tuple[str, Any]] = []
    for packet in decoder.feed(data):
        match packet:
            case Connect():
                found.append(("connect", _connect(packet, words)))
            case Message():
                shown = packet.topic, packet.payload, packet.qos, packet.retain
                found.append(("publish", (*shown, _told(packet.properties))))
            case Subscribe():
                found += [
                    ("subscribe", (one.topic_filter, one.qos))
                    for one in packet.subscriptions
                ]
            case Unsubscribe():
                found += [("unsubscribe", one) for one in packet.topic_filters]
    assert decoder.violation is None
    return found


def _connect(packet: Connect, words: Sequence[str]) -> dict[str, Any]:
    name = packet.client_id
    if "-I" in words:
        name = re.sub(r"\d+$", "<pid>", name)
    elif "-i" not in words:
        name = "<made up>"
    will, told = packet.will, _told(packet.properties)
    if "-x" not in words:
        # Ours survives a lost connection, and is ended by the goodbye.
        told.pop("session_expiry_s", None)
    return {
        "client_id": name,
        "clean_start": packet.clean_start,
        "keep_alive_s": packet.keep_alive_s,
        "login": (packet.username, packet.password),
        "version": packet.version,
        "properties": told,
        "will": will
        and (will.topic, will.payload, will.qos, will.retain, _told(will.properties)),
    }


def _told(properties: Any) -> dict[str, Any]:
    """Give the properties that are there."""
    if properties is None:
        return {}
    fields = [one for one in dataclasses.fields(properties) if one.name not in _OWN]
    values = {one.name: getattr(properties, one.name) for one in fields}
    usual = {one.name: one.default for one in fields}
    return {n: v for n, v in values.items() if v not in (usual[n], None, (), [])}
