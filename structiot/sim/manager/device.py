"""One simulated device that dials in, as it should or as it should not."""

from __future__ import annotations

import math
import ssl
from collections import deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import anyio
from anyio.abc import ByteStream

from structiot._kit.environment import Environment
from structiot._kit.flow.tasks import service_group
from structiot._kit.net.network import LOST, reason_of
from structiot._kit.net.tls import start_tls
from structiot._kit.rare_lines import RareLines
from structiot._kit.text import error_text
from structiot.errors import ConnectFailed, LinkLost, StructiotError, UsageError
from structiot.manager.wire.detection import check_spoken
from structiot.manager.wire.dialects import Dialect
from structiot.manager.wire.events import AliveAsked, Data, Event, InfoAsked, Left
from structiot.manager.wire.info import Info
from structiot.manager.wire.native import NativeDevice
from structiot.manager.wire.sides import DeviceSide, device_side
from structiot.sim.manager.behaviour import DeviceState, DialInBehaviour, behaviour_of

__all__ = ["DIAL_IN_FAULTS", "DialInSim"]

DIAL_IN_FAULTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "silent": "answers no heartbeat and no message, and acknowledges none",
        "nameless": "never says who it is",
        "slow": "says everything ten seconds late",
        "babbling": "sends a hundred messages a second",
        "half_sent": "stops in the middle of what it says, and stays",
        "deaf": "reads nothing any more",
        "off_beat": "answers each second heartbeat only, and that one twice",
        "wrong_type": "says that it is of a type that nobody knows",
        "no_uuid": "says that its UUID is `device`",
        "leaving": "hangs up after each message, and comes again",
    }
)
"""What a device may do wrong, by name."""

_LATE_S: Final = 10.0
_AGAIN_S: Final = 5.0
_BABBLE_S: Final = 0.01
# How long what may be the begin of a command waits for the rest.
_MOMENT_S: Final = 0.25
_KEPT: Final = 1000
# Of our own dialect, by their ids.
_SEEN: Final = 64


class DialInSim:
    """A simulated device; made by `sim_devices`.

    Attributes:
        uuid: Which device it is; several with the same replace each other.
        type: What it is.
        state: What it is like, which is also what it tells of itself.
        received: The latest messages that it was sent.
    """

    def __init__(
        self,
        uuid: str,
        kind: str,
        dialect: Dialect,
        *,
        address: tuple[str, int],
        secret: bytes | None,
        ssl_context: ssl.SSLContext | None,
        behaviour: DialInBehaviour | None,
        ends: RareLines,
        environment: Environment,
    ) -> None:
        self.uuid: str = uuid
        self.type: str = kind
        self.received: deque[bytes] = deque(maxlen=_KEPT)
        self._behaviour: DialInBehaviour = behaviour or behaviour_of(kind)
        self.state: DeviceState = dict(self._behaviour.state)
        self._dialect = dialect
        self._address = address
        self._secret = secret
        self._ssl_context = ssl_context
        self._ends = ends
        self._environment = environment
        self._wrong: frozenset[str] = frozenset()
        self._stream: ByteStream | None = None
        self._side: DeviceSide | None = None
        self._is_told, self._behaves_otherwise = anyio.Event(), anyio.Event()
        self._message_id = 0
        self._seen: deque[int] = deque(maxlen=_SEEN)
        self._owes_beat = self._has_heard = False

    def __repr__(self) -> str:
        return f"<DialInSim {self.uuid} of type {self.type!r}>"

    @property
    def is_connected(self) -> bool:
        """Whether it has said who it is, on a connection that is open."""
        return self._stream is not None and self._is_told.is_set()

    def misbehave(self, *names: str) -> None:
        """Do these things wrong from now on, and no others; see `DIAL_IN_FAULTS`.

        Raises:
            UsageError: There is no such name.
        """
        for name in names:
            if name not in DIAL_IN_FAULTS:
                known = ", ".join(DIAL_IN_FAULTS)
                raise UsageError(f"no misbehaviour {name!r}; there are {known}")
        self._wrong = frozenset(names)
        self._behaves_otherwise.set()
        self._behaves_otherwise = anyio.Event()

    async def send(self, data: bytes | str) -> None:
        """Send a message now, or as soon as it is connected.

        On a connection that is lost meanwhile it is lost, or sent on the next one.
        """
        payload = data.encode() if isinstance(data, str) else data
        self._message_id += 1
        message_id = self._message_id
        while True:
            await self._is_told.wait()
            if self._side is None:
                return
            try:
                await self._say(self._side.write(payload, message_id))
            except LOST:
                self._forget_connection()
            else:
                return

    def _forget_connection(self) -> None:
        self._stream = self._side = None
        if self._is_told.is_set():
            self._is_told = anyio.Event()

    async def run(self) -> None:
        """Dial in again and again, until cancelled."""
        while True:
            try:
                why = await self._dial_in()
            except StructiotError as exc:
                why = error_text(exc)
            except LOST as exc:
                why = reason_of(exc)
            text = "%s of type %r is not connected: %s"
            self._ends.say(text, self.uuid, self.type, why, about=why)
            self._forget_connection()
            await anyio.sleep(_AGAIN_S * self._environment.random.uniform(0.5, 1.0))

    async def _dial_in(self) -> str:
        """Be connected; say why it is over."""
        host, port = self._address
        stream = await self._environment.network.connect_tcp(host, port)
        if self._ssl_context is not None:
            stream = await start_tls(stream, self._ssl_context, host=host, port=port)
        self._has_heard = False
        async with stream, service_group() as tg:
            nonce = self._environment.random.randbytes(16)
            self._stream = stream
            self._side = side = device_side(self._dialect, nonce, secret=self._secret)
            tg.start_soon(self._tell_by_itself)
            while True:
                while "deaf" in self._wrong:
                    await self._behaves_otherwise.wait()
                events: list[Event] = []
                with anyio.move_on_after(
                    _MOMENT_S if side.holds else math.inf
                ) as moment:
                    events = side.feed(await self._hear(stream))
                if moment.cancelled_caught:
                    events = side.let_go()
                for event in events:
                    if isinstance(event, Left):
                        return event.reason or "the manager has said goodbye"
                    await self._take(event, side)

    async def _hear(self, stream: ByteStream) -> bytes:
        """Receive something; see what is spoken by what comes first."""
        try:
            data = await stream.receive()
        except LOST as exc:
            if self._has_heard or self._ssl_context is not None:
                raise
            why = f"{reason_of(exc)} without a word; perhaps TLS is spoken there"
            raise LinkLost(why) from exc
        if not self._has_heard:
            check_spoken(data, self._dialect)
            self._has_heard = True
        return data

    async def _take(self, event: Event, side: DeviceSide) -> None:
        match event:
            case InfoAsked() if "nameless" not in self._wrong:
                await self._say(side.tell_info(self._info()))
                self._is_told.set()
            case AliveAsked() if "silent" not in self._wrong:
                await self._say_alive(side)
            case Data(data, message_id):
                is_new = not message_id or message_id not in self._seen
                if is_new:
                    self._seen.append(message_id)
                    self.received.append(data)
                if isinstance(side, NativeDevice) and "silent" not in self._wrong:
                    await self._say(side.acknowledge(message_id))
                if is_new:
                    await self._obey(data, side)

    async def _obey(self, message: bytes, side: DeviceSide) -> None:
        answer = self._behaviour.answer(self.state, message)
        if answer is not None and "silent" not in self._wrong:
            # On this connection or never: who reads it cannot wait for the next one.
            self._message_id += 1
            await self._say(side.write(answer, self._message_id))
        if "leaving" in self._wrong:
            raise ConnectFailed("it leaves after each message")

    async def _say_alive(self, side: DeviceSide) -> None:
        self._owes_beat = "off_beat" in self._wrong and not self._owes_beat
        if not self._owes_beat:
            beats = 2 if "off_beat" in self._wrong else 1
            await self._say(side.say_alive() * beats)

    def _info(self) -> Info:
        kind = "toaster" if "wrong_type" in self._wrong else self.type
        return Info(uuid=self.uuid, type=kind, data=self.state)

    async def _say(self, frame: bytes) -> None:
        if "slow" in self._wrong:
            await anyio.sleep(_LATE_S)
        if "no_uuid" in self._wrong:
            frame = frame.replace(self.uuid.encode(), b"device")
        if self._stream is None:
            return
        if "half_sent" in self._wrong:
            stream = self._stream
            await stream.send(frame[: len(frame) // 2])
            await self._behaves_otherwise.wait()
            # Nobody would understand the rest by now: it comes again.
            await stream.aclose()
            return
        await self._stream.send(frame)

    async def _tell_by_itself(self) -> None:
        """Measure, or babble."""
        behaviour, random = self._behaviour, self._environment.random
        await self._is_told.wait()
        while True:
            is_babbling = "babbling" in self._wrong
            if behaviour.measure is None and not is_babbling:
                await self._behaves_otherwise.wait()
                continue
            every_s = behaviour.every_s * random.uniform(0.9, 1.1)
            await anyio.sleep(_BABBLE_S if is_babbling else every_s)
            now_s = self._environment.now_utc().timestamp()
            measure = behaviour.measure
            told = b"bla" if measure is None else measure(self.state, random, now_s)
            try:
                await self.send(told)
            except LOST:
                return
