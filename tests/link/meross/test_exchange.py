"""Whatever comes as an answer, it is one, or an error of ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structiot import Environment
from structiot.errors import ProtocolViolation, StructiotError
from structiot.meross.link.exchange import PeerClock, check_answer, read_reply
from structiot.meross.wire.envelope import Envelope, Method, encode_envelope, sign_of

KEY = "0123456789abcdef0123456789abcdef"
ENVIRONMENT = Environment()
REQUEST = Envelope(
    namespace="Appliance.X", method=Method.GET, message_id="1", timestamp_s=1, uuid="u"
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner)
    ),
    max_leaves=9,
)


def take(data: bytes) -> None:
    try:
        reply = read_reply(data, "test")
        check_answer(reply, REQUEST, KEY, PeerClock("test", ENVIRONMENT), "test")
    except StructiotError:
        return
    assert reply.message_id == REQUEST.message_id
    assert reply.method is Method.GETACK


@given(st.binary(max_size=300))
def test_bytes_of_any_kind_are_no_answer(data):
    with pytest.raises(ProtocolViolation):
        read_reply(data, "test")


@given(
    st.fixed_dictionaries(
        {
            "messageId": st.just("1") | JSON,
            "namespace": st.just("Appliance.X") | JSON,
            "method": st.sampled_from([*Method]) | JSON,
        },
        optional={
            "from": st.just("/appliance/u/publish") | JSON,
            "timestamp": st.just(7) | st.integers() | JSON,
            "sign": st.just(sign_of("1", KEY, 7)) | JSON,
            "uuid": JSON,
        },
    ),
    st.just({})
    | st.fixed_dictionaries({"error": st.just({"code": 5001}) | JSON})
    | JSON,
)
def test_fields_of_any_kind_harm_nobody(header: dict[str, Any], payload: Any):
    take(json.dumps({"header": header, "payload": payload}).encode())


def test_an_answer_that_was_cut_off_has_what_came_before():
    inner = [{"header": {"messageId": str(n)}, "payload": {"n": n}} for n in range(3)]
    whole = encode_envelope(
        Envelope(
            namespace="Appliance.Control.Multiple",
            method=Method.SETACK,
            message_id="1",
            payload={"multiple": inner},
        ),
        KEY,
    )
    for end in range(len(whole) - 38, len(whole) - 2):
        assert len(read_reply(whole[:end], "test").payload["multiple"]) == 2  # type: ignore[arg-type]
