"""Meross's signatures, passwords and encryption, by vectors that we did not make."""

from __future__ import annotations

import json

from structiot.meross.wire.cloud import decode_request, encode_request, request_sign
from structiot.meross.wire.digests import md5_hex
from structiot.meross.wire.encryption import LanCipher, mac_of_uuid
from structiot.meross.wire.envelope import sign_of
from structiot.meross.wire.mqtt import app_password, device_password

KEY = "0123456789abcdef0123456789abcdef"
UUID = "2401010000000000000048e1e9aabbcc"
MAC = "48:e1:e9:aa:bb:cc"


def test_signatures_and_passwords():
    signed = request_sign("e30=", 1700000000123, "ABCDEFGH12345678")
    assert signed == "533848c2e07352c57f5500c135d98df6"
    assert md5_hex("correct horse") == "3cb4e732631f47e6eb961f34554b7cde"
    assert app_password("123456", KEY) == "024a57c771b660be906c39444b8c17b3"
    device = "123456_35ee15a44e2af3bc00c824fcbb3902b0"
    assert device_password("123456", MAC, KEY) == device
    signed = sign_of("00112233445566778899aabbccddeeff", KEY, 1700000000)
    assert signed == "74bff5fbbf209aa2a54956093e9ae9ed"


def test_requests_to_the_cloud():
    body = json.loads(
        encode_request({}, timestamp_ms=1700000000123, nonce="ABCDEFGH12345678")
    )
    assert body == {
        "params": "e30=",
        "sign": "533848c2e07352c57f5500c135d98df6",
        "timestamp": 1700000000123,
        "nonce": "ABCDEFGH12345678",
    }
    assert decode_request(body) == ({}, True)
    assert decode_request({**body, "sign": "0" * 32}) == ({}, False)


def test_encryption_in_the_local_network():
    assert mac_of_uuid(UUID) == MAC
    cipher = LanCipher(UUID, KEY, MAC)
    aligned = b"MYJCOMdYU17wdmS3EFkRvGvlLOU8kPQFJsoNDkmdoaI="
    for plain, wire in (
        (b'{"a":1}', b"emKKYiPkjsA+YnSiKM0hhw=="),
        (b"0123456789abcdef", aligned),
    ):
        assert cipher.encrypt(plain) == wire
        assert cipher.decrypt(wire) == plain
