"""Port 80 of a simulated device: one connection at a time, envelopes by POST /config.

A device that is encrypted answers in the clear to nothing but `Appliance.System.Ability`;
for anything else, as for namespaces that it does not know, it hangs up.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import anyio
from anyio.abc import ByteStream

from structiot._kit.http.messages import HttpReply, HttpRequest
from structiot._kit.http.server import HttpServer, RawReply
from structiot.errors import ProtocolViolation
from structiot.meross.wire.envelope import MAX_ENVELOPE_BYTES, Envelope, decode_envelope
from structiot.meross.wire.system import ABILITY
from structiot.sim.meross.device import MerossDeviceSim
from structiot.sim.shared.http_faults import faulty_reply

__all__ = ["LanHttp", "words_of"]

_IDLE_S: Final = 5.0
_MAX_WAITING: Final = 16


def words_of(message: Envelope, transport: str) -> frozenset[str]:
    """Describe a message for `Fault.on`."""
    last = message.namespace.rpartition(".")[2]
    return frozenset({transport, message.method.value, message.namespace, last})


class LanHttp:
    """Serves one device in the local network.

    Args:
        device: The device.
        on_request: Told about each request before it is carried out.
    """

    def __init__(
        self,
        device: MerossDeviceSim,
        on_request: Callable[[Envelope, bool], None],
    ) -> None:
        self._device = device
        self._on_request = on_request
        self._turn = anyio.Lock(fast_acquire=True)
        self._server = HttpServer(
            self._handle, max_body_bytes=2 * MAX_ENVELOPE_BYTES, idle_s=_IDLE_S
        )

    async def serve(self, stream: ByteStream) -> None:
        """Serve one connection when its turn has come; returns when it is closed."""
        if self._turn.statistics().tasks_waiting < _MAX_WAITING:
            async with self._turn:
                await self._server.serve(stream)

    async def _handle(self, request: HttpRequest) -> HttpReply | RawReply | None:
        if request.method != "POST" or request.path != "/config":
            return HttpReply(status=404)
        cipher = self._device.cipher
        is_clear = cipher is None or request.body.lstrip()[:1] == b"{"
        try:
            body = (
                request.body
                if cipher is None or is_clear
                else cipher.decrypt(request.body)
            )
            asked = decode_envelope(body, "request")
        except ProtocolViolation:
            return None
        if cipher is not None and is_clear and asked.namespace != ABILITY:
            return None
        self._on_request(asked, not is_clear)
        return await faulty_reply(
            self._device.faults,
            words_of(asked, "http"),
            partial(self._answer, asked),
            partial(self._refuse, asked),
            encode=None if cipher is None or is_clear else cipher.encrypt,
        )

    async def _answer(  # noqa: ASYNC124 - other devices have to wait for something
        self, asked: Envelope
    ) -> HttpReply | None:
        if not self._device.knows(asked.namespace):
            return None
        return self._reply(self._device.answer(asked))

    async def _refuse(  # noqa: ASYNC124 - as above
        self, asked: Envelope
    ) -> HttpReply | None:
        return self._reply(self._device.refuse(asked))

    def _reply(self, answer: Envelope | None) -> HttpReply | None:
        if answer is None:
            return None
        headers = {"Content-Type": "application/json"}
        return HttpReply(headers=headers, body=self._device.encode(answer))
