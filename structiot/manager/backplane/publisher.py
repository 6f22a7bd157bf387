"""What a node tells the others, in order, and what follows when the broker has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.flow.tasks import service_group
from structiot._kit.text import error_text
from structiot.errors import PeerError
from structiot.manager.wire.envelopes import Envelope, encode
from structiot.mqtt import MqttClient, Receipt

__all__ = ["Publisher", "Warn"]

_MOST_WAITING: Final = 4096
_MOST_WAITING_BYTES: Final = 16_777_216
# More than the client takes and the broker has not acknowledged.
_MOST_TAKEN: Final = 65_536

Warn: TypeAlias = Callable[[str, str], None]
_Then: TypeAlias = Callable[[], None]


class Publisher:
    """Takes envelopes without waiting, and publishes them one after the other.

    Of more than may wait the newest are lost, and whoever has put them is told.

    Args:
        client: To the broker.
        warn: Is told what the broker does not take, and of which kind that is.
    """

    def __init__(self, client: MqttClient, warn: Warn) -> None:
        self._client = client
        self._warn = warn
        self._box: Mailbox[tuple[str, bytes, _Then | None]] = Mailbox(
            _MOST_WAITING,
            policy="drop_newest",
            name="what other nodes are told",
            max_bytes=_MOST_WAITING_BYTES,
            size_of=lambda item: len(item[1]),
        )
        self._taken: Mailbox[tuple[Receipt, _Then]] = Mailbox(_MOST_TAKEN)

    def put(self, topic: str, envelope: Envelope, then: _Then | None = None) -> bool:
        """Publish an envelope, `then` do what follows; tell whether there was room."""
        return self._box.put((topic, encode(envelope), then))

    async def run(self) -> None:
        """Publish until cancelled, or until what waited when it was closed is published.

        Raises:
            LinkLost: The client has given up.
        """
        async with service_group(is_awaited=True) as tg:
            tg.start_soon(self._settle, name="structiot.manager backplane receipts")
            async for topic, payload, then in self._box:
                receipt = await self._client.publish_soon(
                    topic, payload, 1, retain=False, codec="noop"
                )
                if then is not None:
                    self._taken.put((receipt, then))
            self._taken.close()

    def close(self) -> None:
        """Take nothing any more."""
        self._box.close()

    async def _settle(self) -> None:
        async for receipt, then in self._taken:
            try:
                await receipt.wait()
            except PeerError as exc:
                text = f"the broker takes no messages of ours: {error_text(exc)}"
                self._warn(text, "messages were refused by the broker")
            else:
                then()
