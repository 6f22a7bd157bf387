"""Enhanced authentication of MQTT 5.0: the broker's side as an async callback.

    async def token(exchange: AuthExchange) -> Identity:
        answer = await exchange.challenge(b"nonce")
        if not is_right(answer):
            raise AuthRefused("wrong answer")
        return Identity(username="meter")

    open_broker(authenticators={"TOKEN": token})

The callback runs when a client connects with that method, and again when a client that
is connected asks for it. Source: MQTT 5.0 section 4.12.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import anyio

from structiot._kit.arguments import check_argument

__all__ = ["AuthExchange", "Authenticator", "Identity"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a client has proved to be.

    Attributes:
        username: The name that permissions know; None for nobody in particular.
        data: What the client gets with the news.

    Raises:
        UsageError: A name that is no text, or data that is not bytes.
    """

    username: str | None = None
    data: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_argument("username", self.username, str, None)
        check_argument("data", self.data, bytes, None)


class AuthExchange:
    """One authentication under way; made by the broker.

    Attributes:
        method: Authentication method, as the client names it.
        data: What came with the CONNECT, or with the wish to authenticate again.
        client_id: The client's id; empty if the broker has to make one up.
        username: The user name of the CONNECT.
        password: The password of the CONNECT.
        clean_start: Whether it asks for a new session, as 3.1.1 does by its clean session.
        peer: Address of the client.
        is_repeated: Whether the client is connected already.
    """

    def __init__(
        self,
        *,
        method: str,
        data: bytes | None,
        client_id: str,
        username: str | None,
        password: bytes | None,
        clean_start: bool,
        peer: str,
        is_repeated: bool,
        send: Callable[[bytes | None], None],
    ) -> None:
        self.method = method
        self.data = data
        self.client_id = client_id
        self.username = username
        self.password = password
        self.clean_start = clean_start
        self.peer = peer
        self.is_repeated = is_repeated
        self._send = send
        self._answered: anyio.Event | None = None
        self._answer: bytes | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether the client has been asked and has not answered."""
        return self._answered is not None

    async def challenge(self, data: bytes | None = None) -> bytes | None:
        """Ask the client and wait for its answer; cancelled when the client has gone.

        Args:
            data: What the method prescribes.

        Returns:
            The data of the answer, None if there was none.

        Raises:
            UsageError: Data that is not bytes.
        """
        check_argument("data", data, bytes, None)
        self._answered = answered = anyio.Event()
        self._send(data)
        await answered.wait()
        return self._answer

    def answer(self, data: bytes | None) -> None:
        """Hand the callback what the client has answered."""
        answered, self._answered = self._answered, None
        self._answer = data
        if answered is not None:
            answered.set()


Authenticator: TypeAlias = Callable[[AuthExchange], Awaitable[Identity]]
