"""C88: SCRAM-SHA-256, by the example of RFC 7677."""

from __future__ import annotations

import pytest

from structiot.errors import AuthRefused, ProtocolViolation
from structiot.mqtt import Authentication, ScramSha256

NONCE = "rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = (
    b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    b"s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
)
CLIENT_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def scram() -> ScramSha256:
    return ScramSha256("user", "pencil", nonce=lambda: NONCE)


async def test_scram_says_what_its_rfc_says():
    method = scram()
    assert isinstance(method, Authentication)
    assert method.method == "SCRAM-SHA-256"
    assert await method.begin() == b"n,,n=user,r=" + NONCE.encode()
    assert await method.answer(SERVER_FIRST) == CLIENT_FINAL
    method.finish(SERVER_FINAL)


@pytest.mark.parametrize("said", [b"", None, b"v=", SERVER_FINAL[:-4] + b"AAAA"])
async def test_a_broker_that_does_not_know_the_password_is_refused(said: bytes | None):
    method = scram()
    await method.begin()
    await method.answer(SERVER_FIRST)
    with pytest.raises(AuthRefused, match="does not know the password of 'user'"):
        method.finish(said)


async def test_a_broker_that_accepts_without_a_challenge_is_refused():
    method = scram()
    await method.begin()
    with pytest.raises(AuthRefused):
        method.finish(SERVER_FINAL)


@pytest.mark.parametrize(
    "challenge",
    [
        None,
        b"",
        b"\xff",
        b"nonsense",
        SERVER_FIRST.replace(b"rOpr", b"xOpr"),
        b"r=" + NONCE.encode() + b",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        SERVER_FIRST.replace(b"4096", b"1"),
        SERVER_FIRST.replace(b"4096", b"99999999"),
        SERVER_FIRST.replace(b"4096", b"many"),
        SERVER_FIRST.replace(b"W22Z", b"!!!!"),
        SERVER_FIRST + b",m=ext",
    ],
)
async def test_a_challenge_that_is_none_is_refused(challenge: bytes | None):
    method = scram()
    await method.begin()
    with pytest.raises(ProtocolViolation, match="the broker"):
        await method.answer(challenge)


async def test_a_name_may_hold_what_separates_the_fields():
    method = ScramSha256("a=b,c", "x")
    first = (await method.begin()).decode()
    assert first.startswith("n,,n=a=3Db=2Cc,r=")
    assert len(first.rpartition("r=")[2]) >= 18
    assert "x" not in repr(vars(method)["_password"])
