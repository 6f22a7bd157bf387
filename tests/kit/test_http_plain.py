"""Plain replies are read without h11, and as h11 reads them."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from structiot._kit.http.messages import HttpReply
from structiot._kit.http.plain import plain_reply
from structiot.sim import FAMILIES, HTTP_FRAMES
from structiot.sim.maxsmart.http_server import http_frame


def by_h11(data: bytes) -> HttpReply:
    """Let h11 read a reply that is complete; raises for any other."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    head = connection.next_event()
    assert isinstance(head, h11.Response)
    body = b""
    while isinstance(part := connection.next_event(), h11.Data):
        body += bytes(part.data)
    assert isinstance(part, h11.EndOfMessage)
    fields = {name.decode(): value.decode("latin-1") for name, value in head.headers}
    return HttpReply(status=head.status_code, headers=fields, body=body)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_strips_send_is_plain(family):
    is_padded = FAMILIES[family].is_length_padded
    data = http_frame(b'{"code":200}', is_length_padded=is_padded)
    reply = plain_reply(data)
    assert reply is not None
    assert reply == by_h11(data)


@pytest.mark.parametrize("frame", HTTP_FRAMES)
def test_an_odd_frame_is_plain_to_nobody_but_where_h11_agrees(frame):
    data = HTTP_FRAMES[frame](b'{"code":200}')
    reply = plain_reply(data)
    assert (reply is not None) == (frame in {"length_padded", "http_1_0"})
    assert reply is None or reply == by_h11(data)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        HEAD,
        HEAD + b"\r\n",
        HEAD + b"\r\no",
        HEAD + b"\r\nok!",
        HEAD + b"Content-Length: 2\r\n\r\nok",
        HEAD + b"Content-Encoding: gzip\r\n\r\nok",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nok",
        HEAD + b" folded\r\n\r\nok",
        HEAD + b"X: \x00\r\n\r\nok",
        HEAD.replace(b"200", b"204") + b"\r\nok",
        HEAD.replace(b"200", b"100") + b"\r\nok",
        HEAD.replace(b" 2\r", b" +2\r") + b"\r\nok",
        HEAD.replace(b" 2\r", b" 00000002\r") + b"\r\nok",
        HEAD.replace(b"HTTP/1.1", b"HTTP/2.0") + b"\r\nok",
        HEAD.replace(b"\r\n", b"\n") + b"\nok",
        b" " + HEAD + b"\r\nok",
    ],
)
def test_whatever_is_not_quite_so_is_left_to_h11(data):
    assert plain_reply(data) is None


pieces = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200 \r\n", b"HTTP/1.1 200\r\n", b"\r\n",
        b"Content-Length: 2\r\n", b"content-length:002\r\n", b"Content-Length: 2 \r\n",
        b"X: a\r\n", b"x-y:\t b c \t\r\n", b"Connection: close\r\n", b"ok", b"\n", b":",
    ]
)  # fmt: skip


@given(st.lists(pieces | st.binary(max_size=3), max_size=9).map(b"".join))
def test_what_is_read_as_plain_h11_reads_to_the_same(data):
    reply = plain_reply(data)
    assert reply is None or reply == by_h11(data)
