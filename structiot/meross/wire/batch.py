"""Several requests in one message: `Appliance.Control.Multiple`.

Facts: reference 3.4. A device answers in the order of the requests, and cuts the text of
its answer off where its memory ends, wherever that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from structiot._kit.json_text import parse_object
from structiot.errors import ProtocolViolation
from structiot.meross.wire.envelope import ANSWERS, Envelope, Method, read_members
from structiot.meross.wire.payloads import items_of

__all__ = ["MULTIPLE", "batch_payload", "batch_replies", "mend_batch", "messages_of"]

MULTIPLE: Final = "Appliance.Control.Multiple"
_ITEM: Final = b',{"header":'
_END: Final = b"]}}"


def batch_payload(requests: Sequence[Envelope]) -> dict[str, object]:
    """Give the payload of a batch; what is inside needs neither time nor signature."""
    return {
        "multiple": [
            {
                "header": {
                    "messageId": request.message_id,
                    "method": request.method.value,
                    "namespace": request.namespace,
                },
                "payload": request.payload,
            }
            for request in requests
        ]
    }


def messages_of(batch: Envelope) -> list[Envelope]:
    """Give what is inside a batch, as far as it can be understood."""
    found: list[Envelope] = []
    for item in items_of(batch.payload, "multiple"):
        # The last one may be cut off, or be one that only its device understands.
        with suppress(ProtocolViolation):
            found.append(read_members(item, "batch"))
    return found


def batch_replies(
    reply: Envelope, requests: Sequence[Envelope]
) -> tuple[Envelope | None, ...]:
    """Give the answer to each request of a batch, None where there is none.

    They are told apart by their ids; where firmware does not repeat those, by their
    place, if namespace and method fit.
    """
    found = messages_of(reply)
    by_id = {one.message_id: one for one in found}
    return tuple(
        by_id.get(request.message_id) or _at(found, place, request, by_id)
        for place, request in enumerate(requests)
    )


def _at(
    found: Sequence[Envelope],
    place: int,
    request: Envelope,
    by_id: dict[str, Envelope],
) -> Envelope | None:
    if place >= len(found) or len(by_id) == len(found) > 1:
        return None
    one = found[place]
    is_answer = one.method in {ANSWERS[request.method], Method.ERROR}
    return one if is_answer and one.namespace == request.namespace else None


def mend_batch(data: bytes) -> bytes:
    """Give the text of a batch's answer as it would end if its last items were left out.

    Args:
        data: JSON that is cut off anywhere, or whole.

    Returns:
        `data` if it is whole or cannot be mended, else what stands before the item that
        is cut off.
    """
    try:
        parse_object(data, "batch")
    except ProtocolViolation:
        head, found, _ = data.rpartition(_ITEM)
        return head + _END if found else data
    return data
