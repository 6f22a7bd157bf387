"""Frames of SEPL's websocket, as the client begins and both sides go on.

Facts: reference 2 and 3 (read in the platform's source, and run). A frame is a text of
one JSON object:

    client   hello {user, pw, gid, token}     then {handler, token, payload} for ever
    platform                                       {status, handler, token, content_type, payload}

The hello is the only frame without an envelope. A request is answered by a frame of the
handler `response` with its token; a `command` comes of itself, with an empty token, and
even before the hello is answered. Who is refused hears nothing: the platform hangs up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from structiot._kit.json_text import compact, parse_object, violation
from structiot._kit.redact import Secret
from structiot._kit.text import printable
from structiot.connector.wire.parts import check_cost
from structiot.errors import ProtocolViolation, UsageError

__all__ = [
    "HELLO_TOKEN",
    "MAX_FRAME_BYTES",
    "OK",
    "Frame",
    "Handler",
    "Hello",
    "Welcome",
    "read_frame",
    "read_welcome",
    "write_frame",
    "write_hello",
]

MAX_FRAME_BYTES: Final = 1_048_576
"""The longest frame that is read or written; the protocol itself names no limit."""
# The same with both clients that are known.
HELLO_TOKEN: Final = "credentials"  # noqa: S105 - no secret
OK: Final = 200
_MAX_TOKEN_CHARS: Final = 256
_MAX_GID_CHARS: Final = 256


class Handler(StrEnum):
    """What a frame is for."""

    CLEAR = "clear"
    PUT = "put"
    DISCONNECT = "disconnect"
    DELETE = "delete"
    COMMIT = "commit"
    EVENT = "event"
    RESPONSE = "response"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class Frame:
    """What both sides send behind the hello.

    Attributes:
        handler: What it is for; one of `Handler`, or whatever the peer says.
        token: What ties an answer to its request; empty in a command.
        payload: Any JSON value.
        status: As in HTTP; 0 but in answers.
        content_type: What the platform says of the payload (`string`, `map`, `slice`
            and other words of Go); empty but in answers and commands.
    """

    handler: str
    token: str = ""
    payload: object = None
    status: int = 0
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class Hello:
    """What a client says first.

    Attributes:
        user: Who it is.
        password: Its password.
        gid: The gateway that it was the last time; empty if none.
        token: What the answer is to bear.
    """

    user: str
    password: Secret
    gid: str = ""
    token: str = field(default=HELLO_TOKEN, kw_only=True)


@dataclass(frozen=True, slots=True)
class Welcome:
    """How the platform answers that.

    Attributes:
        gid: The gateway that the client is from now on, to be remembered.
        hash: What was committed last; empty if nothing.
    """

    gid: str
    hash: str


def write_frame(frame: Frame) -> str:
    """Write a frame.

    Raises:
        UsageError: Its payload is no JSON, or longer than `MAX_FRAME_BYTES` allow.
    """
    # In the order in which the original client writes them.
    return _written(
        {
            "status": frame.status,
            "handler": frame.handler,
            "token": frame.token,
            "content_type": frame.content_type,
            "payload": frame.payload,
        },
        frame.handler,
    )


def read_frame(text: str | bytes) -> Frame:
    """Read a frame of either side; what is missing but the handler is empty.

    Handlers, statuses and tokens that nobody knows are for the caller to refuse.

    Raises:
        ProtocolViolation: It is none. The platform itself sends such (`ERROR: unable to
            create response`), and goes on.
    """
    data = text.encode("utf-8", "replace") if isinstance(text, str) else text
    if len(data) > MAX_FRAME_BYTES:
        size = len(data)
        raise violation(f"a frame of {size} bytes, {MAX_FRAME_BYTES} at most", data)
    check_cost(data)
    told = parse_object(data, "a frame")
    handler, token = told.get("handler"), told.get("token") or ""
    status = told.get("status") or 0
    kind = told.get("content_type") or ""
    if not isinstance(handler, str) or not handler:
        raise violation("a frame without a handler", data)
    if not isinstance(token, str) or len(token) > _MAX_TOKEN_CHARS:
        raise violation("a frame with a token that is none", data)
    if type(status) is not int:
        raise violation("a frame with a status that is no number", data)
    return Frame(
        handler=printable(handler, most=64),
        token=token,
        payload=told.get("payload"),
        status=status,
        content_type=printable(kind, most=64) if isinstance(kind, str) else "",
    )


def write_hello(hello: Hello) -> str:
    """Write the first frame of a client; it has the password in the clear.

    Raises:
        UsageError: It is longer than a frame.
    """
    told = {
        "user": hello.user,
        "pw": hello.password.reveal(),
        "gid": hello.gid,
        "token": hello.token,
    }
    return _written(told, "hello")


def read_welcome(frame: Frame) -> Welcome:
    """Read how the platform answers a hello.

    Raises:
        ProtocolViolation: It is no such answer, or has a gateway that cannot be.
    """
    told = frame.payload
    if frame.handler != Handler.RESPONSE or not isinstance(told, dict):
        raise ProtocolViolation("the platform has not answered the hello as it should")
    gid, committed = told.get("gid"), told.get("hash") or ""
    # It goes into a file of lines.
    is_gid = isinstance(gid, str) and gid.isprintable() and gid == gid.strip()
    if not is_gid or not 0 < len(str(gid)) <= _MAX_GID_CHARS:
        raise ProtocolViolation(
            "the platform has given no gateway id, or a strange one"
        )
    if not isinstance(committed, str):
        raise ProtocolViolation("the platform has given a hash that is no text")
    return Welcome(str(gid), committed)


def _written(value: object, what: str) -> str:
    try:
        text = compact(value, is_ascii=True)
    except (TypeError, ValueError, RecursionError) as exc:
        raise UsageError(f"{what}: it cannot be written as JSON: {exc}") from None
    if len(text) > MAX_FRAME_BYTES:
        message = f"{what}: {len(text)} bytes, {MAX_FRAME_BYTES} at most"
        raise UsageError(message)
    return text
