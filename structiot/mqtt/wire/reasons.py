"""Reason codes of MQTT 5.0, return codes of MQTT 3.1.1, and how they translate.

Which code may stand in which packet is a table (`ALLOWED_REASONS`). A code that the
table does not list for a packet is a protocol error (0x82) on receipt: the packet can
be parsed, it only holds data that the standard does not allow there. A number that is
no code at all is still representable, `ReasonCode(0x7F)`, so that whoever looks into
a capture loses nothing; it is neither accepted from a peer nor written to one.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

__all__ = [
    "ALLOWED_REASONS",
    "SUBACK_CODES_3_1_1",
    "SUCCESS",
    "ConnectReturnCode",
    "ReasonCode",
    "reason_of_return_code",
    "return_code_of_reason",
]


class ReasonCode(IntEnum):
    """Reason codes of MQTT 5.0; numbers with several names have aliases."""

    SUCCESS = 0x00
    NORMAL_DISCONNECTION = 0x00
    GRANTED_QOS_0 = 0x00
    GRANTED_QOS_1 = 0x01
    GRANTED_QOS_2 = 0x02
    DISCONNECT_WITH_WILL = 0x04
    NO_MATCHING_SUBSCRIBERS = 0x10
    NO_SUBSCRIPTION_EXISTED = 0x11
    CONTINUE_AUTHENTICATION = 0x18
    REAUTHENTICATE = 0x19
    UNSPECIFIED_ERROR = 0x80
    MALFORMED_PACKET = 0x81
    PROTOCOL_ERROR = 0x82
    IMPLEMENTATION_SPECIFIC_ERROR = 0x83
    UNSUPPORTED_PROTOCOL_VERSION = 0x84
    CLIENT_IDENTIFIER_NOT_VALID = 0x85
    BAD_USER_NAME_OR_PASSWORD = 0x86
    NOT_AUTHORIZED = 0x87
    SERVER_UNAVAILABLE = 0x88
    SERVER_BUSY = 0x89
    BANNED = 0x8A
    SERVER_SHUTTING_DOWN = 0x8B
    BAD_AUTHENTICATION_METHOD = 0x8C
    KEEP_ALIVE_TIMEOUT = 0x8D
    SESSION_TAKEN_OVER = 0x8E
    TOPIC_FILTER_INVALID = 0x8F
    TOPIC_NAME_INVALID = 0x90
    PACKET_IDENTIFIER_IN_USE = 0x91
    PACKET_IDENTIFIER_NOT_FOUND = 0x92
    RECEIVE_MAXIMUM_EXCEEDED = 0x93
    TOPIC_ALIAS_INVALID = 0x94
    PACKET_TOO_LARGE = 0x95
    MESSAGE_RATE_TOO_HIGH = 0x96
    QUOTA_EXCEEDED = 0x97
    ADMINISTRATIVE_ACTION = 0x98
    PAYLOAD_FORMAT_INVALID = 0x99
    RETAIN_NOT_SUPPORTED = 0x9A
    QOS_NOT_SUPPORTED = 0x9B
    USE_ANOTHER_SERVER = 0x9C
    SERVER_MOVED = 0x9D
    SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9E
    CONNECTION_RATE_EXCEEDED = 0x9F
    MAXIMUM_CONNECT_TIME = 0xA0
    SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 0xA1
    WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED = 0xA2

    @classmethod
    def _missing_(cls, value: object) -> ReasonCode | None:
        if not isinstance(value, int) or not 0 <= value <= 0xFF:
            return None
        unknown = int.__new__(cls, value)
        unknown._name_ = f"UNKNOWN_{value:02X}"
        unknown._value_ = value
        return unknown

    @property
    def is_failure(self) -> bool:
        """Whether the code refuses something (0x80 and above)."""
        return self >= 0x80

    @property
    def text(self) -> str:
        """The meaning in words fit for an error message."""
        return _reason_text(self)


SUCCESS: Final = ReasonCode.SUCCESS
"""For what is done by the hundred thousand: the class would be asked each time."""


class ConnectReturnCode(IntEnum):
    """CONNACK return codes of MQTT 3.1.1."""

    ACCEPTED = 0
    UNACCEPTABLE_PROTOCOL_VERSION = 1
    IDENTIFIER_REJECTED = 2
    SERVER_UNAVAILABLE = 3
    BAD_USER_NAME_OR_PASSWORD = 4
    NOT_AUTHORIZED = 5

    @property
    def is_failure(self) -> bool:
        """Whether the connection was refused."""
        return self != 0

    @property
    def text(self) -> str:
        """The meaning in words fit for an error message."""
        return reason_of_return_code(self).text if self else "accepted"


def _reason_text(code: ReasonCode) -> str:
    special = _SPECIAL_TEXTS.get(code)
    return special or code.name.lower().replace("_", " ")


_SPECIAL_TEXTS = {
    0x01: "granted QoS 1",
    0x02: "granted QoS 2",
    0x04: "disconnect with will message",
    0x19: "re-authenticate",
    0x85: "client identifier not valid",
    0x9B: "QoS not supported",
}

_REASON_BY_RETURN_CODE = {
    ConnectReturnCode.ACCEPTED: ReasonCode.SUCCESS,
    ConnectReturnCode.UNACCEPTABLE_PROTOCOL_VERSION: (
        ReasonCode.UNSUPPORTED_PROTOCOL_VERSION
    ),
    ConnectReturnCode.IDENTIFIER_REJECTED: ReasonCode.CLIENT_IDENTIFIER_NOT_VALID,
    ConnectReturnCode.SERVER_UNAVAILABLE: ReasonCode.SERVER_UNAVAILABLE,
    ConnectReturnCode.BAD_USER_NAME_OR_PASSWORD: ReasonCode.BAD_USER_NAME_OR_PASSWORD,
    ConnectReturnCode.NOT_AUTHORIZED: ReasonCode.NOT_AUTHORIZED,
}

_RETURN_CODE_BY_REASON = {
    **{reason: code for code, reason in _REASON_BY_RETURN_CODE.items()},
    ReasonCode.BAD_AUTHENTICATION_METHOD: ConnectReturnCode.BAD_USER_NAME_OR_PASSWORD,
    # A client retries "server unavailable", so only passing troubles map to it.
    ReasonCode.UNSPECIFIED_ERROR: ConnectReturnCode.SERVER_UNAVAILABLE,
    ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR: ConnectReturnCode.SERVER_UNAVAILABLE,
    ReasonCode.SERVER_BUSY: ConnectReturnCode.SERVER_UNAVAILABLE,
    ReasonCode.QUOTA_EXCEEDED: ConnectReturnCode.SERVER_UNAVAILABLE,
    ReasonCode.USE_ANOTHER_SERVER: ConnectReturnCode.SERVER_UNAVAILABLE,
    ReasonCode.SERVER_MOVED: ConnectReturnCode.SERVER_UNAVAILABLE,
    ReasonCode.CONNECTION_RATE_EXCEEDED: ConnectReturnCode.SERVER_UNAVAILABLE,
}


def reason_of_return_code(code: ConnectReturnCode) -> ReasonCode:
    """Give the 5.0 reason code that says the same as a 3.1.1 return code."""
    return _REASON_BY_RETURN_CODE[code]


def return_code_of_reason(reason: ReasonCode) -> ConnectReturnCode:
    """Give the 3.1.1 return code nearest to a 5.0 reason code of a CONNACK.

    Refusals without a counterpart become "not authorized", which no client retries.
    """
    return _RETURN_CODE_BY_REASON.get(reason, ConnectReturnCode.NOT_AUTHORIZED)


def _table() -> dict[int, dict[int, ReasonCode]]:
    # One letter per packet as in the standard's summary: K CONNACK, A PUBACK and
    # PUBREC, L PUBREL and PUBCOMP, S SUBACK, U UNSUBACK, D DISCONNECT, X AUTH.
    rows = {
        "KALSUDX": (0x00,),
        "S": (0x01, 0x02),
        "D": (0x04, 0x8B, 0x8D, 0x8E, 0x93, 0x94, 0x96, 0x98, 0xA0),
        "A": (0x10,),
        "U": (0x11,),
        "X": (0x18, 0x19),
        "KASUD": (0x80, 0x83, 0x87),
        "K": (0x84, 0x85, 0x86, 0x88, 0x8A),
        "KD": (0x81, 0x82, 0x89, 0x8C, 0x95, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F),
        "SUD": (0x8F,),
        "KAD": (0x90, 0x99),
        "ASU": (0x91,),
        "L": (0x92,),
        "KASD": (0x97,),
        "SD": (0x9E, 0xA1, 0xA2),
    }
    packets = {
        2: "K",
        4: "A",
        5: "A",
        6: "L",
        7: "L",
        9: "S",
        11: "U",
        14: "D",
        15: "X",
    }
    return {
        packet: {
            code: ReasonCode(code)
            for letters, codes in rows.items()
            if letter in letters
            for code in codes
        }
        for packet, letter in packets.items()
    }


ALLOWED_REASONS = _table()
"""Packet type number to the reason codes that may stand in it (MQTT 5.0)."""

SUBACK_CODES_3_1_1 = {code: ReasonCode(code) for code in (0x00, 0x01, 0x02, 0x80)}
"""The only codes of a SUBACK of MQTT 3.1.1."""
