"""What a client says first on a new connection, whoever of its tasks runs first."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from structiot import open_mqttclient
from structiot.mqtt.wire.codec import Decoder, encode
from structiot.mqtt.wire.messages import Connack, Message, Suback, Subscribe
from structiot.mqtt.wire.reasons import ReasonCode

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]

TIMES = 30
LOOPS: dict[str, dict[str, Any]] = {
    "asyncio": {"backend": "asyncio"},
    "uvloop": {"backend": "asyncio", "backend_options": {"use_uvloop": True}},
    "trio": {"backend": "trio"},
}


class Forgetful:
    """A broker that knows nobody, answers CONNECT at once and acknowledges nothing.

    Attributes:
        heard: What came on each connection behind CONNECT, until both kinds were there.
    """

    def __init__(self, listening: socket.socket) -> None:
        self.heard: queue.Queue[list[str]] = queue.Queue()
        self._listening = listening

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listening.accept()
                with sock, contextlib.suppress(ConnectionError):
                    sock.settimeout(10)
                    self._serve_one(sock)

    def _serve_one(self, sock: socket.socket) -> None:
        decoder, kinds = Decoder(role="server"), []
        while data := sock.recv(65_536):
            for packet in decoder.feed(data):
                match packet:
                    case Subscribe():
                        suback = Suback(
                            packet_id=packet.packet_id, reasons=(ReasonCode(1),)
                        )
                        sock.sendall(encode(suback, 5))
                    case Message():
                        pass
                    case _:
                        sock.sendall(encode(Connack(), 5))
                        continue
                kinds.append(type(packet).__name__)
                if len(kinds) == 2:
                    self.heard.put(kinds)


@contextlib.contextmanager
def forgetful() -> Iterator[tuple[Forgetful, int]]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        broker = Forgetful(listening)
        threading.Thread(target=broker.serve, daemon=True).start()
        try:
            yield broker, listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("has_store", [False, True])
@pytest.mark.parametrize("loop", LOOPS)
def test_it_subscribes_before_it_sends_again_what_has_waited(
    loop: str, has_store: bool, tmp_path: Path
):
    heard = []
    config: dict[str, Any] = {"goodbye_s": 0.1}
    if has_store:
        store = str(tmp_path / "session.sqlite")
        config |= {"store": store, "cleansession": False}

    async def main() -> None:
        with forgetful() as (broker, port):
            uri = f"mqtt://127.0.0.1:{port}"
            async with (
                open_mqttclient(uri, client_id="me", config=config) as client,
                client.subscription("a", qos=1),
            ):
                await client.publish_soon("a", b"x", qos=1)
                for _ in range(TIMES):
                    heard.append(await anyio.to_thread.run_sync(broker.heard.get))
                    await client.reconnect()

    anyio.run(main, **LOOPS[loop])
    assert heard == [["Subscribe", "Message"]] * TIMES
