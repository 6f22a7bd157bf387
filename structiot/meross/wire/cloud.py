"""The cloud's HTTP: how requests are wrapped and signed, what replies say.

Facts: reference 1.2 to 1.8, and section 12 where it differs. Errors come with HTTP 200
and a number in `apiStatus`; `info` and the time stamps are not to be relied on.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from structiot._kit.json_text import (
    clean_text,
    compact,
    integer_of,
    parse_object,
    violation,
)
from structiot.meross.wire.digests import md5_hex

__all__ = [
    "ApiCode",
    "ApiReply",
    "Path",
    "decode_reply",
    "decode_request",
    "encode_request",
    "request_sign",
    "url_of_domain",
]

# The same in every app; it keeps nothing secret.
_SALT: Final = "23x17ahWarFH6w29"
MAX_LIST: Final = 1_000


class Path:
    """Where what is asked; all of it by POST."""

    SIGN_IN: Final = "/v1/Auth/signIn"
    LOG_OUT: Final = "/v1/Profile/logout"
    LOG: Final = "/v1/log/user"
    DEVICES: Final = "/v1/Device/devList"
    SUBDEVICES: Final = "/v1/Hub/getSubDevices"
    FIRMWARE: Final = "/v1/Device/latestVersion"


class ApiCode(IntEnum):
    """The numbers that decide what happens next; there are many more."""

    SUCCESS = 0
    USER_WRONG = 1000
    PASSWORD_WRONG = 1001
    NO_ACCOUNT = 1002
    ACCOUNT_DISABLED = 1003
    LOGIN_WRONG = 1004
    EMAIL_WRONG = 1005
    PASSWORD_FORMAT = 1006
    NOT_REGISTERED = 1008
    TOKEN_INVALID = 1019
    NO_LOGIN = 1022
    SIGN_WRONG = 1023
    TOO_OFTEN = 1028
    OTHER_REGION = 1030
    MFA_WRONG = 1032
    MFA_REQUIRED = 1033
    LOCKED = 1035
    TOP_LIMIT = 1042
    TOKEN_EXPIRED = 1200
    TOO_MANY_TOKENS = 1301
    DATABASE_TIMEOUT = 1402


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiReply:
    """What the cloud said.

    Attributes:
        code: `apiStatus`; 0 is success.
        data: What it gave, an empty object where there was nothing.
        items: What it gave where that is a list of objects.
        has_list: Whether it gave a list, be it an empty one.
        info: What it says about it, in its own words.
    """

    code: int
    data: Mapping[str, object]
    items: tuple[Mapping[str, object], ...] = ()
    has_list: bool = False
    info: str = ""


def request_sign(params: str, timestamp_ms: int | str, nonce: str) -> str:
    """Sign a request; `params` is its base64 text."""
    return md5_hex(f"{_SALT}{timestamp_ms}{nonce}{params}")


def encode_request(
    params: Mapping[str, object], *, timestamp_ms: int, nonce: str
) -> bytes:
    """Write the body of a request."""
    text = compact(dict(params), is_ascii=True)
    packed = base64.b64encode(text.encode()).decode("ascii")
    body = {
        "params": packed,
        "sign": request_sign(packed, timestamp_ms, nonce),
        "timestamp": timestamp_ms,
        "nonce": nonce,
    }
    return compact(body, is_ascii=True).encode()


def decode_request(body: Mapping[str, object]) -> tuple[dict[str, object], bool]:
    """Read the members of a request as the cloud does.

    Returns:
        The parameters, and whether the signature fits.

    Raises:
        ProtocolViolation: `params` is no base64 of a JSON object, or there is half a
            character somewhere.
    """
    packed, sign = str(body.get("params", "")), str(body.get("sign", ""))
    stamp, nonce = str(body.get("timestamp", "")), str(body.get("nonce", ""))
    try:
        data = base64.b64decode(packed, validate=True)
        right = request_sign(packed, stamp, nonce)
    except ValueError:
        # No base64, or half a character in what is signed.
        shown = packed.encode("utf-8", "replace")
        raise violation("params that are no base64, or no text", shown) from None
    return parse_object(data, "params"), sign.lower() == right


def decode_reply(data: bytes, what: str) -> ApiReply:
    """Read a reply.

    Raises:
        ProtocolViolation: No JSON object, or one without a number as `apiStatus`.
    """
    members = parse_object(data, what)
    code = integer_of(members.get("apiStatus"))
    if code is None:
        raise violation(f"{what}: a reply without apiStatus", data)
    given, info = members.get("data"), members.get("info")
    items = given[:MAX_LIST] if isinstance(given, list) else []
    return ApiReply(
        code=code,
        data=given if isinstance(given, dict) else {},
        items=tuple(item for item in items if isinstance(item, dict)),
        has_list=isinstance(given, list),
        info=clean_text(info[:300]) if isinstance(info, str) else "",
    )


def url_of_domain(domain: object) -> str | None:
    """Give the base URL that a `domain` means, with a scheme or without; None if none."""
    if not isinstance(domain, str) or not (text := clean_text(domain[:300])):
        return None
    return text.rstrip("/") if "://" in text else f"https://{text.rstrip('/')}"
