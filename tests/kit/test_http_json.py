"""Bodies of requests and replies as JSON: read whole, or refused in a short time."""

from __future__ import annotations

import anyio.lowlevel
import pytest

from structiot._kit.http.messages import HttpReply, HttpRequest
from structiot.errors import ProtocolViolation


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"POWER":"ON"}', {"POWER": "ON"}),
        (b"[1, NaN]", [1, None]),
        (b'"\xc3\xa9"', "é"),
    ],
)
def test_the_body_of_a_reply_is_read_as_json(body, value):
    assert HttpReply(body=body).json() == value


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b"1" * 5000])
def test_a_body_that_is_no_json_is_a_violation(body):
    with pytest.raises(
        ProtocolViolation, match="the body of the reply: no JSON"
    ) as caught:
        HttpReply(body=body).json()
    assert len(caught.value.data) <= 255


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"[]," * 300_000 + b"1]",
        b"[" + b"{}," * 300_000 + b"1]",
        b"[" * 60 + b"]" * 60,
    ],
    ids=["lists", "objects", "deep"],
)
@pytest.mark.parametrize("kind", [HttpReply, HttpRequest])
async def test_a_body_that_would_hold_up_the_loop_is_no_json(kind, body, watched_loop):
    message = (
        HttpReply(body=body)
        if kind is HttpReply
        else HttpRequest(method="PUT", target="/", body=body)
    )
    async with watched_loop(0.05):
        await anyio.lowlevel.checkpoint()
        with pytest.raises(ProtocolViolation, match="no JSON"):
            message.json()
        await anyio.lowlevel.checkpoint()
