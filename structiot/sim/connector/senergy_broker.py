"""The MQTT side of a simulated SENERGY platform: who may what, and where it goes.

No message of a client reaches a subscriber: the platform takes all of them, and what it
does not want goes to `ignored/...` and is acknowledged all the same. Facts: section 16.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import ClassVar, Final

import anyio
import anyio.lowlevel
from anyio.abc import TaskStatus

from structiot._kit.environment import Environment
from structiot._kit.flow.mailbox import Mailbox
from structiot.errors import AuthRefused
from structiot.mqtt import BrokerServer, Message, open_broker
from structiot.mqtt.broker import AuthExchange, BrokerLimits, Identity
from structiot.mqtt.broker.permissions import Permissions
from structiot.sim.connector.senergy_faults import SenergyFaults
from structiot.sim.connector.senergy_state import SenergyState, SenergyUser
from structiot.sim.shared.clock import SimClock
from structiot.sim.shared.fault_names import HOST_FAULTS, FaultNames
from structiot.sim.shared.faults import FaultKind, framed
from structiot.sim.shared.host import SimHost, Sockets

__all__ = ["SenergyBrokerSim", "Taken"]

_LIMITS: Final = BrokerLimits(packet_bytes=1_048_576)
_MAX_WAITING: Final = 100_000
_MAX_COUNTED: Final = 1_000
_OWN_TOPICS: Final = ("notifications", "export")

Taken = Callable[[SenergyUser, str, bytes, str | None], str | None]
"""Takes a message by its topic, with why it is ignored if it is; gives why it was."""


class _Rules(Permissions):
    """What may be subscribed to: the commands of own devices, little else."""

    def __init__(self, state: SenergyState, faults: SenergyFaults) -> None:
        super().__init__()
        self._state = state
        self._faults = faults

    def may_subscribe(
        self, user: str | None, client_id: str, topic_filter: str
    ) -> bool:
        """Tell whether somebody may hear something."""
        state, known = self._state, self._state.users.get(user or "")
        levels = topic_filter.split("/")
        words = {"mqtt", "subscribe", *levels}
        fault = self._faults.take(words, needs_word=True)
        if known is None or (fault is not None and fault.kind is FaultKind.REFUSE):
            return False
        match levels:
            case ["command", owner, device, "+"] if owner == known.id:
                return state.may_use(client_id, known, device)
            case ["command", device, "+"] if not state.rules.wants_owner_topics:
                return state.may_use(client_id, known, device)
            case ["processes", hub_id, "cmd", *_]:
                return state.hub(known.id, hub_id) is not None
            case [kind, owner, *_] if kind in _OWN_TOPICS:
                return owner == known.id
        return False


class SenergyBrokerSim(SimHost[SenergyFaults]):
    """The broker of a simulated platform; made by `sim_senergy`: `SenergySim.broker`.

    Whoever unplugs it ends all connections, and all devices are offline.

    Attributes:
        port: Its port.
        connections: How many times clients were let in.
    """

    named_faults: ClassVar[FaultNames] = FaultNames(HOST_FAULTS)

    def __init__(
        self,
        state: SenergyState,
        take: Taken,
        *,
        host: str,
        port: int,
        ssl_context: ssl.SSLContext | None,
        faults: SenergyFaults,
        clock: SimClock,
        environment: Environment,
    ) -> None:
        super().__init__(host, faults, clock=clock, environment=environment)
        self.port: int = port
        self.connections: int = 0
        self._state = state
        self._take = take
        self._ssl_context = ssl_context
        self._server: BrokerServer | None = None
        self._todo: Mailbox[Callable[[], None]] = Mailbox(
            _MAX_WAITING, policy="drop_newest", name="the platform's messages"
        )
        self._counted: dict[str, tuple[int, float]] = {}

    @property
    def is_tls(self) -> bool:
        """Whether it is encrypted."""
        return self._ssl_context is not None

    @property
    def uri(self) -> str:
        """Where MQTT clients connect."""
        return f"mqtt{'s' if self.is_tls else ''}://{self.host}:{self.port}"

    @property
    def clients(self) -> list[str]:
        """The ids of the clients that are connected."""
        return [] if self._server is None else self._server.clients

    def disconnect(self, client_id: str) -> bool:
        """End a client's connection; False if there is none."""
        return self._server is not None and self._server.disconnect(client_id)

    def heard_by(self, owner_id: str) -> set[str]:
        """Give the local ids of somebody's devices whose commands are heard: the online."""
        found: set[str] = set()
        sessions = {} if self._server is None else self._server.core.sessions
        for session in sessions.values():
            user = self._state.users.get(session.username or "")
            if session.client is None or user is None or user.id != owner_id:
                continue
            for topic_filter in session.subscriptions:
                kind, *levels = topic_filter.split("/")
                if kind == "command":
                    found.add(levels[-2])
        return found

    async def start(self, sockets: Sockets) -> None:
        """Run the broker."""
        self.port = await sockets.tasks.start(self._serve)

    async def _serve(self, *, task_status: TaskStatus[int]) -> None:
        try:
            async with open_broker(
                self.uri,
                authenticators={"": self._identify},
                limits=_LIMITS,
                ssl_context=self._ssl_context,
                sys_interval_s=None,
                environment=self.environment,
            ) as self._server:
                core = self._server.core
                core.permissions = _Rules(self._state, self.faults)
                core.onlooker = self
                task_status.started(int(self._server.uri.strip("/").split(":")[-1]))
                async for action in self._todo:
                    action()
        finally:
            self._server = None

    # ------------------------------------------------------------ who is let in

    async def _identify(self, exchange: AuthExchange) -> Identity:
        await anyio.lowlevel.checkpoint()
        rules, name = self._state.rules, exchange.username or ""
        user, client_id = self._state.users.get(name), exchange.client_id
        fault = self.faults.take({"mqtt", "connect", client_id}, needs_word=True)
        if fault is not None and fault.kind is FaultKind.DROP:
            await anyio.sleep_forever()
        is_right = user is not None and exchange.password == user.password.encode()
        if rules.wants_clean_start and not exchange.clean_start:
            reason = "expect clean session"
        elif user is None or not is_right:
            reason = "access denied"
        elif not self._may_connect(client_id):
            reason = "reached connection limit"
        elif rules.checks_hubs and self._state.hub(user.id, client_id) is None:
            reason = "client id is unknown as hub id"
        elif fault is not None:
            reason = "as it was told to"
        else:
            self.connections += 1
            return Identity(username=name)
        raise AuthRefused(reason, account=name)

    def _may_connect(self, client_id: str) -> bool:
        """Count a connection; what is refused is not counted, so that it ends in time."""
        now, rules = anyio.current_time(), self._state.rules
        count, since = self._counted.pop(client_id, (0, now))
        if now - since >= rules.connection_window_s:
            count, since = 0, now
        if count > rules.max_connections:
            self._counted[client_id] = count, since
            return False
        self._counted[client_id] = count + 1, now
        while len(self._counted) > _MAX_COUNTED:
            del self._counted[next(iter(self._counted))]
        return True

    # ------------------------------------------------------------ what the broker tells

    def joined(self, client_id: str, username: str | None) -> None:
        """A client is connected, and the hub that it is; its devices are not online yet."""
        self._set_state(client_id, username, "online")

    def left(self, client_id: str, username: str | None) -> None:
        """A client is gone, its hub and its devices are offline."""
        self._set_state(client_id, username, "offline")

    def _set_state(self, client_id: str, username: str | None, state: str) -> None:
        user = self._state.users.get(username or "")
        hub = None if user is None else self._state.hub(user.id, client_id)
        if hub is not None:
            hub.connection_state = state

    def lets_pass(self, client_id: str, username: str | None, message: Message) -> bool:
        """Take a message; the broker itself passes none on."""
        levels, content = message.topic.split("/"), bytes(message.payload)
        fault = self.faults.take({"mqtt", *levels}, needs_word=True)
        if fault is not None and fault.kind is FaultKind.HANG_UP:
            self._todo.put(lambda: self._hang_up(client_id))
        user = self._state.users.get(username or "")
        if fault is not None or user is None:
            return False
        fault_of_topic = self._ignored(client_id, user, levels)
        reason = self._take(user, message.topic, content, fault_of_topic)
        if reason is not None:
            self._todo.put(lambda: self.publish(f"ignored/{message.topic}", reason))
        return False

    def _hang_up(self, client_id: str) -> None:
        self.disconnect(client_id)

    def _ignored(
        self, client_id: str, user: SenergyUser, levels: list[str]
    ) -> str | None:
        """Say why a message is ignored, as far as its topic tells; None if it is not."""
        wants_owner = self._state.rules.wants_owner_topics
        match levels:
            case ["error"]:
                return None
            case ["error", "device" | "command", _] | ["event" | "response", _, _]:
                if wants_owner:
                    return "expect owner id in topic"
            case ["error", "device" | "command", owner, _] | [
                "event" | "response",
                owner,
                _,
                _,
            ]:
                if owner != user.id:
                    return "mismatch between client user and owner in topic"
            case _:
                return "no matching topic handler found"
        if levels[0] == "event" and not self._state.may_use(
            client_id, user, levels[-2]
        ):
            return "not found"
        return None

    # ------------------------------------------------------------ what the platform says

    def publish(self, topic: str, content: str | bytes, *, qos: int = 0) -> None:
        """Publish; what is wrong with it is what the faults say."""
        if self._server is None:
            return
        payload = content.encode() if isinstance(content, str) else content
        fault = self.faults.take({"mqtt", *topic.split("/")}, needs_word=True)
        kind = None if fault is None else fault.kind
        if kind is FaultKind.DROP:
            return
        data = framed(fault, payload, bytes)
        for _ in range(1 + (kind is FaultKind.DUPLICATE)):
            self._server.publish(topic, data, qos=qos)
