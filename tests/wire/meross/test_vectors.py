"""Meross's signatures, passwords and encryption, by vectors that we did not make."""

from __future__ import annotations

import hashlib
import json

from structiot.meross.wire.cloud import decode_request, encode_request, request_sign
from structiot.meross.wire.digests import md5_hex
from structiot.meross.wire.encryption import LanCipher, mac_of_uuid
from structiot.meross.wire.envelope import (
    Envelope,
    Method,
    decode_envelope,
    encode_envelope,
    is_signed,
    sign_of,
)
from structiot.meross.wire.mqtt import app_password, device_password

KEY = "0123456789abcdef0123456789abcdef"
UUID = "2401010000000000000048e1e9aabbcc"
MAC = "48:e1:e9:aa:bb:cc"

# Made by `base64`, `md5sum` and `openssl enc`, not by us.
SIGN_IN = {
    "email": "user@example.com",
    "password": "3cb4e732631f47e6eb961f34554b7cde",
    "encryption": 1,
    "accountCountryCode": "us",
    "agree": 0,
}
SIGN_IN_BODY = (
    b'{"params":"eyJlbWFpbCI6InVzZXJAZXhhbXBsZS5jb20iLCJwYXNzd29yZCI6IjNjYjRlNzMyNjMxZjQ3Z'
    b"TZlYjk2MWYzNDU1NGI3Y2RlIiwiZW5jcnlwdGlvbiI6MSwiYWNjb3VudENvdW50cnlDb2RlIjoidXMiLCJhZ3"
    b'JlZSI6MH0=","sign":"901b392b2c80d0fc8e72c10509c6ed80","timestamp":1700000000123,'
    b'"nonce":"ABCDEFGH12345678"}'
)
MESSAGE = (
    b'{"header":{"messageId":"00112233445566778899aabbccddeeff",'
    b'"namespace":"Appliance.Control.ToggleX","method":"SET","payloadVersion":1,'
    b'"from":"/app/123456-<appId>/subscribe","timestamp":1700000000,'
    b'"sign":"74bff5fbbf209aa2a54956093e9ae9ed"},'
    b'"payload":{"togglex":{"channel":0,"onoff":1}}}'
)
ENCRYPTED = (
    b"bpLJtU0nIgs65WdMte7/P4thtJoIfbfQMa1+evG6dJjAbPmEiTtlmSYuuXEXI68vEEeRuxeClpuDsssYlo3H"
    b"0XxgcDbtel2dD70m2RY/8ZWVCqmLLKKBA3irwypiBTeavK1ud3/GT4dwQrevazu6MCWUXhzGFbYQdI0PHCpH"
    b"pM761I/KGiPBN7d/40VsD3tZ7+mk+FBi/fW/9VXZ2GB9K3K/JYumXUlQzq9XJkFVsoAKV5F6qTPjHM3uRRaH"
    b"x+JDMA5x27D27EoGU+Kfb5RK2SIcoU8qRyTRT4w3W9QVP+JSSvOwy0skXq1bzzl8lY/WV7pDK+bamduZnb0k"
    b"1eFrCOvgfvGJbl9wVRTPp8DVOQc1NpLLkCjayfo+tad0gs1Q"
)


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


def test_a_sign_in_is_what_the_vectors_say():
    body = encode_request(SIGN_IN, timestamp_ms=1700000000123, nonce="ABCDEFGH12345678")
    assert body == SIGN_IN_BODY
    assert decode_request(json.loads(SIGN_IN_BODY)) == (SIGN_IN, True)


def test_a_message_is_what_the_reference_shows():
    message = Envelope(
        namespace="Appliance.Control.ToggleX",
        method=Method.SET,
        payload={"togglex": {"channel": 0, "onoff": 1}},
        message_id="00112233445566778899aabbccddeeff",
        sender="/app/123456-<appId>/subscribe",
        timestamp_s=1700000000,
    )
    assert encode_envelope(message, KEY) == MESSAGE
    decoded = decode_envelope(MESSAGE, "test")
    assert is_signed(decoded, KEY)
    assert not is_signed(decoded, KEY[::-1])
    assert decoded.payload == message.payload


def test_the_seed_of_the_encryption():
    seed = b"10100000000000000481234567848:e1:e9:aa:bb:ccabcdef0123456789ab"
    key = "7f4ccc95ba845360aef16d4625d64d39"
    assert hashlib.md5(seed).hexdigest() == key
    # By that key, and no other.
    assert LanCipher(UUID, KEY, MAC).encrypt(MESSAGE) == ENCRYPTED
    assert LanCipher(UUID, KEY, MAC).decrypt(ENCRYPTED) == MESSAGE
