"""`sim_senergy`: a SENERGY platform for the length of a block."""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Final, Literal

import anyio

from structiot._kit.arguments import check_argument
from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.flow.replies import ReplyTable
from structiot._kit.http.server import HttpServer
from structiot._kit.json_text import compact, parse_object
from structiot.errors import (
    CommandRefused,
    ProtocolViolation,
    ReplyTimeout,
    UsageError,
)
from structiot.sim.connector.senergy_api import (
    TOKEN_PATH,
    SenergyApi,
    SenergyCall,
    words_of,
)
from structiot.sim.connector.senergy_broker import SenergyBrokerSim
from structiot.sim.connector.senergy_faults import NAMED_SENERGY_FAULTS, SenergyFaults
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

__all__ = ["SenergyEvent", "SenergySim", "sim_senergy"]

_CORRELATION_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SenergyEvent:
    """A reading that has come.

    Attributes:
        device: The local id.
        service: The service's local id.
        parts: What it says, by the names of the protocol's parts.
    """

    device: str
    service: str
    parts: Mapping[str, object]


class SenergySim(SimHost[SenergyFaults]):
    """A simulated platform, for the one who tests with it; made by `sim_senergy`.

    As a host it is the HTTP side: `unplug`, `plug_in` and `reboot` concern that alone;
    the broker is a host of its own, and `restart` concerns both.

    Attributes:
        http_port: Port of the HTTP side.
        broker: The MQTT side.
        user: Who was let in at first.
        rules: What it forbids; may be changed while it runs.
        events: The latest readings.
        errors: The latest errors that clients have told: the topic below `error`, and
            the text.
        ignored: The latest topics of messages that were ignored, and why.
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
        kept: int,
        environment: Environment,
    ) -> None:
        super().__init__(host, SenergyFaults(), environment=environment)
        self.http_port: int = http_port
        self.user: SenergyUser = user
        self.rules: SenergyRules = state.rules
        self.events: deque[SenergyEvent] = deque(maxlen=kept)
        self.errors: deque[tuple[str, str]] = deque(maxlen=kept)
        self.ignored: deque[tuple[str, str]] = deque(maxlen=kept)
        self._state = state
        self._api = SenergyApi(state, calls_kept=kept)
        self._ssl_context = ssl_context
        self._replies: ReplyTable[str, Mapping[str, object]] = ReplyTable("commands")
        self.broker: SenergyBrokerSim = SenergyBrokerSim(
            state,
            self._take,
            self._note_ignored,
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
    def calls(self) -> deque[SenergyCall]:
        """The latest calls of the HTTP side."""
        return self._api.calls

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
        data: str | None = None,
        metadata: str | None = None,
        *,
        parts: Mapping[str, str] | None = None,
        completion_strategy: Literal["pessimistic", "optimistic"] = "pessimistic",
        age_s: float = 0.0,
    ) -> Mapping[str, object]:
        """Send a command and wait for the response.

        Args:
            device: The local id of one of the user's devices.
            service: The service's local id.
            data: The part of that name; left out if None.
            metadata: That one.
            parts: Other parts.
            completion_strategy: What it says of waiting; this waits in any case.
            age_s: How long ago it says that it was sent.

        Returns:
            The parts of the response.

        Raises:
            UsageError: Nobody hears commands of the device.
            CommandRefused: The client told an error instead; `peer_text` has it.
            ReplyTimeout: Nothing came within 60 s, after which it is forgotten.
        """
        if device not in self.online:
            raise UsageError(f"nobody hears commands for {device!r}")
        own = {"data": data, "metadata": metadata}
        payload = {name: text for name, text in own.items() if text is not None}
        correlation_id = self._state.new_id()
        sent_at = self.environment.now_utc().timestamp() - age_s
        envelope = {
            "correlation_id": correlation_id,
            "payload": {**payload, **(parts or {})},
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

    def _note_ignored(self, topic: str, reason: str) -> None:
        self.ignored.append((topic, reason))

    def _take(self, user: SenergyUser, levels: list[str], content: bytes) -> str | None:
        """Take a message; give why it is ignored."""
        if levels[0] == "error":
            text = content.decode("utf-8", "replace")
            self.errors.append(("/".join(levels[1:]), text))
            if levels[1:2] == ["command"]:
                message = f"the command has failed: {text}"
                error = CommandRefused(message, peer_text=text)
                self._replies.fail(levels[-1], error)
            return None
        try:
            value = parse_object(content, levels[0])
        except ProtocolViolation as exc:
            return str(exc)
        if levels[0] == "event":
            device, service = levels[-2:]
            known = self._state.device(user.id, device)
            if known is not None and self._state.has_service(known, service):
                self.events.append(
                    SenergyEvent(device=device, service=service, parts=value)
                )
            return None
        parts = value.get("payload")
        if isinstance(parts, Mapping):
            self._replies.resolve(str(value.get("correlation_id")), parts)
        return None

    # ------------------------------------------------------------ network

    async def start(self, sockets: Sockets) -> None:
        """Listen for calls."""
        answer = faulty(
            self._api.answer, self.faults, words=words_of, refuse=self._api.refuse
        )
        http = HttpServer(answer, ssl_context=self._ssl_context)
        self.http_port = await sockets.listen(self.http_port, http.serve)


@asynccontextmanager
async def sim_senergy(
    user: str = "user",
    password: str = "correct horse",  # noqa: S107 - nobody's
    *,
    host: str = "127.0.0.1",
    http_port: int = 0,
    mqtt_port: int = 0,
    device_types: Mapping[str, Collection[str]] | None = None,
    rules: SenergyRules | None = None,
    ssl_context: ssl.SSLContext | None = None,
    kept: int = 10_000,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> AsyncGenerator[SenergySim]:
    """Simulate the SENERGY platform for the length of the block.

    It has a token end point, the device manager's API and a broker that keeps the
    platform's rules: clean sessions, topics with the owner, a limit for connections; what
    it ignores is acknowledged.

    Args:
        user: The user's name.
        password: The user's password.
        host: Address of both sides.
        http_port: Port of the HTTP side; 0 takes a free one.
        mqtt_port: Port of the broker; 0 takes a free one.
        device_types: The services of each device type that there is; None lets any be.
        rules: What it forbids, and how it is set up; `device_types` goes before.
        ssl_context: Certificate and key; without one nothing is encrypted.
        kept: How many of the latest calls, readings and errors are kept.
        environment: Where its sockets are, and which time it is; the system's by default.

    Yields:
        The platform; `platform.config` is what a connector needs to reach it.

    Raises:
        ConnectFailed: The address or a port cannot be bound.
        UsageError: An argument of another class.
    """
    check_argument("http_port", http_port, int)
    check_argument("mqtt_port", mqtt_port, int)
    check_argument("device_types", device_types, Mapping, None)
    check_argument("rules", rules, SenergyRules, None, write="SenergyRules(token_s=60)")
    check_argument("ssl_context", ssl_context, ssl.SSLContext, None)
    check_argument("kept", kept, int)
    check_argument("environment", environment, Environment)
    rules = rules or SenergyRules()
    if device_types is not None:
        rules.device_types = device_types
    state = SenergyState(rules, environment.random)
    platform = SenergySim(
        state,
        state.add_user(user, password),
        host=host,
        http_port=http_port,
        mqtt_port=mqtt_port,
        ssl_context=ssl_context,
        kept=kept,
        environment=environment,
    )
    async with platform.broker, platform:
        yield platform
