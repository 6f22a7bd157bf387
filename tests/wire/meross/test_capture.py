"""The texts inside a capture: lines, requests with their answers, the manifest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structiot.errors import ProtocolViolation
from structiot.meross.wire.capture import (
    MAX_LINE_BYTES,
    Exchange,
    Kind,
    Manifest,
    Record,
    decode_manifest,
    decode_record,
    encode_manifest,
    encode_record,
    exchanges,
    unfold,
)
from structiot.meross.wire.envelope import Envelope, Method

TOGGLE = "Appliance.Control.ToggleX"


def record(
    kind: Kind, method: str = "GET", message_id: str = "1", at: int = 0
) -> Record:
    header = {"messageId": message_id, "method": method, "namespace": TOGGLE}
    return Record(kind=kind, after_s=at, message={"header": header, "payload": {}})


def asked(message_id: str = "1", at: int = 0) -> Record:
    return record(Kind.REQUEST, message_id=message_id, at=at)


def answered(message_id: str = "1", at: int = 0) -> Record:
    return record(Kind.ANSWER, "GETACK", message_id, at)


@pytest.mark.parametrize(
    "one",
    [
        record(Kind.PUSH, "PUSH"),
        Record(kind=Kind.ANNOTATION, by="user", text="Küche \u2603", after_s=1.5),
        Record(
            kind=Kind.REQUEST,
            at="2026-11-29T10:00:00.000+00:00",
            by="app",
            topic="/appliance/x/subscribe",
            is_signed=False,
            message={"header": {}, "payload": {"a": [1, None, 0.5, "ü"]}},
        ),
    ],
)
def test_a_line_is_read_as_it_was_written(one: Record):
    line = encode_record(one)
    assert line.endswith(b"}\n")
    assert line.isascii()
    assert decode_record(line) == one


def test_a_message_that_makes_no_sense_is_kept_and_not_understood():
    assert Record(kind=Kind.PUSH, message={"header": 7}).envelope is None
    assert Record(kind=Kind.NOTE).envelope is None


def test_a_line_that_is_too_long_is_none():
    with pytest.raises(ProtocolViolation, match="a line of 262145 bytes"):
        decode_record(b" " * (MAX_LINE_BYTES + 1))


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_nonsense_is_a_violation(data: bytes):
    for decode in (decode_record, decode_manifest):
        with pytest.raises(ProtocolViolation):
            decode(data)


def test_requests_come_with_their_answers_and_what_was_said_before():
    said = Record(kind=Kind.ANNOTATION, text="off")
    records = [
        asked("1", 1),
        said,
        asked("2", 2),
        Record(kind=Kind.NOTE, text="nothing"),
        answered("2", 3),
        answered("2", 4),
        answered("3", 5),
        record(Kind.PUSH, "PUSH"),
    ]
    assert list(exchanges(records)) == [
        Exchange(request=records[2], answer=records[4], annotation="off"),
        Exchange(request=records[0]),
    ]


def test_an_id_that_is_used_again_is_another_request():
    records = [asked(at=1), asked(at=2), answered(at=3)]
    assert list(exchanges(records)) == [
        Exchange(request=records[0]),
        Exchange(request=records[1], answer=records[2]),
    ]


def test_requests_without_an_answer_do_not_wait_for_ever():
    found = exchanges(asked(str(number), number) for number in range(2_000))
    first = next(found)
    assert first.request.after_s == 0
    assert len(list(found)) == 1_999


def test_a_batch_is_what_is_inside():
    inner = asked("2").message
    batch = Envelope(
        namespace="Appliance.Control.Multiple",
        method=Method.SET,
        message_id="1",
        payload={"multiple": [inner, 7, {"header": {}}, {"header": inner["header"]}]},
    )
    assert [one.message_id for one in unfold(batch)] == ["2", "2"]
    twice = Envelope(
        namespace=batch.namespace,
        method=Method.SET,
        message_id="1",
        payload={
            "multiple": [
                {
                    "header": {
                        "messageId": "x",
                        "method": "SET",
                        "namespace": batch.namespace,
                    }
                }
            ]
        },
    )
    assert list(unfold(twice)) == []


def test_a_manifest_is_read_as_it_was_written():
    manifest = Manifest(
        uuid="u" * 32,
        model="mss310",
        sub_type="eu",
        hardware="6.0.0",
        firmware="6.3.22",
        abilities={TOGGLE: {}, "Appliance.Control.Multiple": {"maxCmdNum": 5}},
        began_at="2026-11-29T10:00:00.000+00:00",
        ended_at="2026-11-29T11:00:00.000+00:00",
        counts={"request": 3, "dropped": 1},
        is_complete=False,
        structiot="1.0",
    )
    assert decode_manifest(encode_manifest(manifest)) == manifest
