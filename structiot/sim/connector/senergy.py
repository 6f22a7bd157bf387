"""The simulated SENERGY platform, as `sim_senergy` gives it."""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from types import MappingProxyType
from typing import ClassVar, Final, Literal

import anyio

from structiot._kit.environment import Environment
from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.flow.replies import ReplyTable
from structiot._kit.http.server import HttpServer
from structiot._kit.json_text import compact, parse_object
from structiot.errors import (
    CommandRefused,
    ProtocolViolation,
    ReplyTimeout,
    UsageError,
)
from structiot.sim.connector.senergy_api import TOKEN_PATH, SenergyApi, words_of
from structiot.sim.connector.senergy_broker import SenergyBrokerSim
from structiot.sim.connector.senergy_faults import NAMED_SENERGY_FAULTS, SenergyFaults
from structiot.sim.connector.senergy_records import (
    SenergyCall,
    SenergyMessage,
    SenergyRecord,
    SenergyRecords,
)
from structiot.sim.connector.senergy_state import (
    SenergyRules,
    SenergySimDevice,
    SenergySimHub,
    SenergyState,
    SenergyUser,
)
from structiot.sim.shared.fault_names import FaultNames
from structiot.sim.shared.host import SimHost, Sockets
from structiot.sim.shared.http_faults import faulty

__all__ = ["SenergySim"]

_CORRELATION_S: Final = 60.0


class SenergySim(SimHost[SenergyFaults]):
    """A simulated platform, for the one who tests with it; made by `sim_senergy`.

    As a host it is the HTTP side: `unplug`, `plug_in` and `reboot` concern that alone;
    the broker is a host of its own, and `restart` concerns both.

    Attributes:
        http_port: Port of the HTTP side.
        broker: The MQTT side.
        user: Who was let in at first.
        rules: What it forbids; may be changed while it runs.
        records: The latest calls and messages.
    """

    named_faults: ClassVar[FaultNames] = NAMED_SENERGY_FAULTS

    def __init__(
        self,
        state: SenergyState,
        user: SenergyUser,
        *,
        host: str,
        http_port: int,
        mqtt_port: int,
        ssl_context: ssl.SSLContext | None,
        records_kept: int,
        environment: Environment,
    ) -> None:
        super().__init__(host, SenergyFaults(), environment=environment)
        self.http_port: int = http_port
        self.user: SenergyUser = user
        self.rules: SenergyRules = state.rules
        self.records: SenergyRecords = SenergyRecords(records_kept)
        self._state = state
        self._api = SenergyApi(state, self._note_call)
        self._ssl_context = ssl_context
        self._replies: ReplyTable[str, SenergyMessage] = ReplyTable("commands")
        self.broker: SenergyBrokerSim = SenergyBrokerSim(
            state,
            self._take,
            host=host,
            port=mqtt_port,
            ssl_context=ssl_context,
            faults=self.faults,
            clock=self.clock,
            environment=environment,
        )

    # ------------------------------------------------------------ what it is

    @property
    def url(self) -> str:
        """Where its HTTP side is."""
        scheme = "http" if self._ssl_context is None else "https"
        return f"{scheme}://{self.host}:{self.http_port}"

    @property
    def config(self) -> dict[str, object]:
        """The settings with which a connector reaches it."""
        return {
            "platform": "senergy",
            "host": self.host,
            "port": self.broker.port,
            "user": self.user.name,
            "password": self.user.password,
            "encryption": self.broker.is_tls,
            "api_url": f"{self.url}/device-manager",
            "token_url": f"{self.url}{TOKEN_PATH}",
            "client_id": self.rules.client_id or "client-connector-lib",
            "hub_name": "structiot",
        }

    @property
    def refusal_status(self) -> int:
        """The status of a call that a fault refuses: 500 at first."""
        return self._api.refusal_status

    @refusal_status.setter
    def refusal_status(self, status: int) -> None:
        self._api.refusal_status = status

    @property
    def devices(self) -> Mapping[str, SenergySimDevice]:
        """The user's devices by local id."""
        found = self._state.devices.items()
        return {local: one for (owner, local), one in found if owner == self.user.id}

    @property
    def hubs(self) -> Mapping[str, SenergySimHub]:
        """All hubs by id."""
        return MappingProxyType(self._state.hubs)

    @property
    def online(self) -> set[str]:
        """The local ids of the user's devices whose commands are subscribed to."""
        return self.broker.heard_by(self.user.id)

    @property
    def logins(self) -> int:
        """How many times a password was taken for tokens."""
        return self._state.logins

    @property
    def renewals(self) -> int:
        """How many times tokens were renewed."""
        return self._state.renewals

    def add_user(self, name: str, password: str) -> SenergyUser:
        """Let somebody else in, too.

        Raises:
            UsageError: There is one of this name.
        """
        return self._state.add_user(name, password)

    def change_password(self, name: str, password: str) -> None:
        """Give a user another password; tokens that are out stay good.

        Raises:
            UsageError: There is no such user.
        """
        if name not in self._state.users:
            raise UsageError(f"there is no user {name!r:.100}")
        self._state.users[name] = replace(self._state.users[name], password=password)

    # ------------------------------------------------------------ what came

    @property
    def calls(self) -> deque[SenergyCall]:
        """The latest calls of the HTTP side."""
        return self.records.calls

    @property
    def events(self) -> deque[SenergyMessage]:
        """The latest events of services that there are."""
        return self.records.of_kind("event")

    @property
    def responses(self) -> deque[SenergyMessage]:
        """The latest responses, those included that nobody waited for."""
        return self.records.of_kind("response")

    @property
    def errors(self) -> deque[SenergyMessage]:
        """The latest errors that clients have told."""
        return self.records.of_kind("error")

    @property
    def ignored(self) -> deque[SenergyMessage]:
        """The latest messages that were acknowledged and ignored."""
        return self.records.of_kind("ignored")

    def following(self) -> AbstractContextManager[Mailbox[SenergyRecord]]:
        """Follow all that comes, as `with platform.following() as records`."""
        return self.records.following()

    # ------------------------------------------------------------ trouble

    def revoke_tokens(self) -> None:
        """Let no token be good any more, nor be renewed."""
        self._state.revoke_tokens()

    async def restart(self, down_s: float = 3.0) -> None:
        """Let HTTP and broker be away for a while; connections end."""
        await self.broker.unplug()
        await self.unplug()
        await anyio.sleep(down_s)
        await self.plug_in()
        await self.broker.plug_in()

    # ------------------------------------------------------------ commands

    async def send_command(
        self,
        device: str,
        service: str,
        parts: Mapping[str, str | None] | None = None,
        *,
        completion_strategy: Literal["pessimistic", "optimistic"] = "pessimistic",
        age_s: float = 0.0,
    ) -> SenergyMessage:
        """Send a command and wait for the response.

        Args:
            device: The local id of one of the user's devices.
            service: The service's local id.
            parts: What it says, such as `{"data": "1"}`.
            completion_strategy: What it says of waiting; this waits in any case.
            age_s: How long ago it says that it was sent.

        Returns:
            The response.

        Raises:
            UsageError: Nobody hears commands of the device.
            CommandRefused: The client told an error instead; `peer_text` has it.
            ReplyTimeout: Nothing came within 60 s, after which it is forgotten.
        """
        if device not in self.online:
            raise UsageError(f"nobody hears commands for {device!r}")
        correlation_id = self._state.new_id()
        sent_at = self.environment.now_utc().timestamp() - age_s
        envelope = {
            "correlation_id": correlation_id,
            "payload": dict(parts or {}),
            "timestamp": int(sent_at),
            "completion_strategy": completion_strategy,
        }
        owner = f"{self.user.id}/" if self.rules.wants_owner_topics else ""
        with self._replies.expect(correlation_id) as reply:
            content = compact(envelope, is_ascii=True)
            self.broker.publish(f"command/{owner}{device}/{service}", content, qos=2)
            with anyio.move_on_after(_CORRELATION_S):
                return await reply.wait()
        message = f"no response of {device!r} within {_CORRELATION_S:g} s"
        raise ReplyTimeout(message, request=service, after_s=_CORRELATION_S)

    # ------------------------------------------------------------ what comes

    def _note_call(self, method: str, path: str, status: int) -> None:
        at_utc = self.environment.now_utc()
        self.records.add(
            SenergyCall(method=method, path=path, status=status, at_utc=at_utc)
        )

    def _take(
        self, user: SenergyUser, topic: str, content: bytes, fault: str | None
    ) -> str | None:
        """Take a message; give why it is ignored."""
        message = SenergyMessage(
            kind="ignored",
            user=user.name,
            topic=topic,
            at_utc=self.environment.now_utc(),
            text=fault or "",
        )
        levels = topic.split("/")
        if fault is None and levels[0] == "error":
            text = content.decode("utf-8", "replace")
            message = replace(message, kind="error", text=text)
            if levels[1:2] == ["command"]:
                error = CommandRefused(f"the client says: {text}", peer_text=text)
                self._replies.fail(levels[-1], error)
        elif fault is None:
            try:
                value = parse_object(content, levels[0])
            except ProtocolViolation as exc:
                message = replace(message, text=str(exc))
            else:
                is_event = levels[0] == "event"
                message = (self._event if is_event else self._response)(
                    message, user, value
                )
        self.records.add(message)
        return message.text if message.kind == "ignored" else None

    def _event(
        self, message: SenergyMessage, user: SenergyUser, value: Mapping[str, object]
    ) -> SenergyMessage:
        device = self._state.device(user.id, message.device)
        is_known = device is not None and self._state.has_service(
            device, message.service
        )
        return replace(message, kind="event" if is_known else "dropped", parts=value)

    def _response(
        self, message: SenergyMessage, _user: SenergyUser, value: Mapping[str, object]
    ) -> SenergyMessage:
        parts, key = value.get("payload"), str(value.get("correlation_id"))
        response = replace(
            message,
            kind="response",
            parts=parts if isinstance(parts, Mapping) else {},
            is_awaited=key in self._replies,
        )
        self._replies.resolve(key, response)
        return response

    # ------------------------------------------------------------ network

    async def start(self, sockets: Sockets) -> None:
        """Listen for calls."""
        answer = faulty(
            self._api.answer, self.faults, words=words_of, refuse=self._api.refuse
        )
        http = HttpServer(answer, ssl_context=self._ssl_context)
        self.http_port = await sockets.listen(self.http_port, http.serve)
