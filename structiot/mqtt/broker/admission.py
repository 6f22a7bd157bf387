"""Who is let in: passwords, anonymous clients, enhanced authentication."""

from __future__ import annotations

import logging
import secrets
import string
from collections.abc import Mapping
from functools import partial

import anyio

from structiot._kit.arguments import check_argument
from structiot._kit.rare_lines import RareLines
from structiot._kit.text import error_text
from structiot.errors import AuthRefused
from structiot.mqtt.broker.connection import ClientConnection
from structiot.mqtt.broker.core import Broker, ConnectedClient
from structiot.mqtt.broker.enhanced_auth import Authenticator, AuthExchange, Identity
from structiot.mqtt.broker.logins import Logins
from structiot.mqtt.broker.passwords import Passwords
from structiot.mqtt.wire.messages import Auth, Connect
from structiot.mqtt.wire.reasons import ReasonCode
from structiot.mqtt.wire.server_state import ServerState

__all__ = ["Admission"]

# Who is asked about clients that name no method: of all versions, by name and password.
PLAIN = ""
_ID_CHARACTERS = string.ascii_letters + string.digits

_log = logging.getLogger(__name__)


class Admission:
    """Answers CONNECT and AUTH.

    Args:
        broker: Where clients are let in.
        passwords: Names and hashes; without, clients on this machine may use any.
        authenticators: Callbacks by authentication method.
        allows_anonymous: Whether clients on this machine need no name.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        passwords: Passwords | None,
        authenticators: Mapping[str, Authenticator],
        allows_anonymous: bool,
    ) -> None:
        self._broker = broker
        self._passwords = passwords
        self._logins: Logins | None = None
        if passwords is not None:
            most = broker.limits.logins_waiting
            self._logins = Logins(passwords, most_waiting=most)
        self._authenticators = dict(authenticators)
        self._allows_anonymous = allows_anonymous
        self._failures = RareLines(_log, anyio.current_time, logging.ERROR)

    def changed_in(self, passwords: Passwords | None) -> set[str]:
        """Name those who are gone in others, or have another hash; it may take long."""
        if self._passwords is None or passwords is None:
            return set()
        return self._passwords.changed_in(passwords)

    def go_by(self, passwords: Passwords | None, changed: set[str]) -> None:
        """Have other passwords.

        Args:
            passwords: Names and hashes.
            changed: What `changed_in` says of them.
        """
        known = self._passwords
        if known is None or passwords is None:
            return
        if changed or len(passwords) != len(known):
            known.replace(passwords)

    def was_let_in_as(self, client: ConnectedClient, names: set[str]) -> bool:
        """Tell whether a client was let in by the password of one of these names."""
        connect = client.protocol.connect
        return (
            connect is not None
            and connect.username in names
            and connect.properties.authentication_method is None
            and PLAIN not in self._authenticators
        )

    async def admit(self, client: ClientConnection, connect: Connect) -> None:
        """Let a client in or turn it away; with a method, begin an exchange.

        Returns when it is decided, or the client has gone.
        """
        method = connect.properties.authentication_method
        if method is None and PLAIN in self._authenticators:
            self._begin(client, connect, None)
        elif method is not None:
            if method not in self._authenticators:
                self._broker.refuse(client, ReasonCode.BAD_AUTHENTICATION_METHOD)
            else:
                self._begin(client, connect, connect.properties.authentication_data)
        elif (reason := await self._refusal(client, connect)) is not None:
            self._broker.refuse(client, reason)
        else:
            self._accept(client, connect, Identity(username=connect.username))

    async def _refusal(
        self, client: ClientConnection, connect: Connect
    ) -> ReasonCode | None:
        if connect.username is None:
            is_welcome = self._allows_anonymous and client.is_local
            return None if is_welcome else ReasonCode.NOT_AUTHORIZED
        if self._logins is None or self._passwords is None:
            is_welcome = not self._authenticators and client.is_local
            return None if is_welcome else ReasonCode.NOT_AUTHORIZED
        logins, passwords = self._logins, self._passwords
        if not logins.has_room(client.network):
            return ReasonCode.SERVER_BUSY
        word = connect.password or b""
        check = partial(logins.check, client.network, connect.username, word)
        while True:
            generation = passwords.generation
            is_right = await client.while_there(check)
            # What was right by the passwords before may be wrong by others.
            if generation == passwords.generation:
                return None if is_right else ReasonCode.BAD_USER_NAME_OR_PASSWORD

    def _accept(
        self, client: ClientConnection, connect: Connect, identity: Identity
    ) -> None:
        prefix = self._broker.limits.client_id_prefix
        made_up = prefix + "".join(secrets.choice(_ID_CHARACTERS) for _ in range(18))
        is_in = self._broker.accept(
            client,
            connect,
            anyio.current_time(),
            made_up_id=made_up,
            username=identity.username,
            authentication_data=identity.data,
        )
        if is_in:
            client.admitted()

    # -- enhanced authentication ---------------------------------------------------

    def take_auth(self, client: ClientConnection, packet: Auth) -> None:
        """Go on with an exchange, or begin one with a client that is connected."""
        exchange, connect = client.exchange, client.protocol.connect
        data = packet.properties.authentication_data
        if packet.reason == ReasonCode.CONTINUE_AUTHENTICATION:
            if exchange is not None and exchange.is_waiting:
                exchange.answer(data)
                return
        elif (
            packet.reason == ReasonCode.REAUTHENTICATE
            and client.protocol.state is ServerState.OPEN
            and connect is not None
            and exchange is None
        ):
            self._begin(client, connect, data)
            return
        text = "an AUTH that nobody has asked for"
        now = anyio.current_time()
        self._broker.cut(client, ReasonCode.PROTOCOL_ERROR, now, text)

    def _begin(
        self, client: ClientConnection, connect: Connect, data: bytes | None
    ) -> None:
        method = connect.properties.authentication_method or ""

        def send(question: bytes | None) -> None:
            client.protocol.challenge(ReasonCode.CONTINUE_AUTHENTICATION, question)
            client.send_soon()

        exchange = AuthExchange(
            method=method,
            data=data,
            client_id=connect.client_id,
            username=connect.username,
            password=connect.password,
            clean_start=connect.clean_start,
            peer=client.peer,
            is_repeated=client.session is not None,
            send=send,
        )
        client.exchange = exchange
        client.start(partial(self._authenticate, client, exchange))

    async def _authenticate(
        self, client: ClientConnection, exchange: AuthExchange
    ) -> None:
        """Run the callback and act on what it says."""
        reason, text = ReasonCode.NOT_AUTHORIZED, None
        identity: Identity | None = None
        try:
            with anyio.fail_after(self._broker.limits.connect_s):
                found = await self._authenticators[exchange.method](exchange)
            check_argument("what an authenticator returns", found, Identity)
            identity = found
        except AuthRefused as exc:
            text = error_text(exc)
        except TimeoutError:
            text = "the authentication took too long"
        # A callback's fault costs the client that called, nobody else.
        except Exception as exc:  # noqa: BLE001
            said = "the authenticator %r has failed"
            self._failures.say(said, exchange.method, error=exc)
            reason = ReasonCode.UNSPECIFIED_ERROR
        client.exchange = None
        session, connect = client.session, client.protocol.connect
        if not exchange.is_repeated:
            if identity is None:
                self._broker.refuse(client, reason, text)
            elif connect is not None:
                self._accept(client, connect, identity)
        elif session is not None:
            if identity is not None and identity.username == session.username:
                client.protocol.challenge(ReasonCode.SUCCESS, identity.data)
            else:
                self._broker.cut(client, reason, anyio.current_time(), text)
        client.send_soon()
