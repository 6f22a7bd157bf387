"""One session with SENERGY: what stands at the platform, commands, events.

Nothing says that an event was of use: the platform acknowledges what it ignores. So what
would be ignored is not sent: events of devices that it does not have, ids that can stand
in no topic. Whoever subscribes to the commands of a device has it online.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Final

import anyio
import anyio.lowlevel

from structiot._kit.environment import Environment
from structiot._kit.flow.tasks import service_group
from structiot._kit.rare_lines import RareLines
from structiot._kit.text import printable
from structiot.connector.device import Device
from structiot.connector.errors import PlatformRefused
from structiot.connector.link.descriptions import senergy_description
from structiot.connector.link.senergy_api import SenergyApi
from structiot.connector.platform import Incoming, PlatformResponse
from structiot.connector.wire.hashes import DeviceHashes
from structiot.connector.wire.parts import held_bytes
from structiot.connector.wire.senergy import (
    JsonObject,
    decode_command,
    encode_event,
    encode_response,
    id_fault,
    topic_of,
)
from structiot.errors import (
    LinkLost,
    ProtocolViolation,
    ReplyTimeout,
    StructiotError,
)
from structiot.mqtt import Message, MqttClient

__all__ = ["SenergySession", "check_id", "no_such_device"]

_REPLY_S: Final = 10.0
# What is older nobody waits for any more.
_COMMAND_AGE_S: Final = 30.0
# So many devices are offered at once, and so many filters subscribed to.
_AT_ONCE: Final = 4
_FILTERS_AT_ONCE: Final = 200
_MAX_PAYLOAD_BYTES: Final = 1_000_000
_OK: Final = 200
_BAD_REQUEST: Final = 400
_NOT_FOUND: Final = 404
_REFUSED: Final = 0x80
_A_TURN: Final = 500

_log: Final = logging.getLogger("structiot.connector")


class SenergySession:
    """One session; made by `SenergyPlatform`.

    Args:
        api: The HTTP side, with tokens.
        client: The MQTT side, connected.
        hub: What groups our devices, as it stands at the platform.
        on_command: Called for each command.
        environment: Tells the time, for the age of commands.
    """

    def __init__(
        self,
        api: SenergyApi,
        client: MqttClient,
        hub: JsonObject,
        on_command: Callable[[Incoming], None],
        environment: Environment,
    ) -> None:
        self._api = api
        self._client = client
        self._hub = hub
        self._on_command = on_command
        self._environment = environment
        self._owner = api.owner
        # Which devices the platform has, which are to be in the hub, and whose commands
        # come.
        self._known: set[str] = set()
        self._members = DeviceHashes()
        self._heard: set[str] = set()
        self._binding = anyio.Lock()
        self._is_bound = False
        self._ended = anyio.Event()
        self._error: StructiotError | None = None
        self._warnings = RareLines(_log, anyio.current_time)

    async def run(self) -> None:
        """Take commands until the connection ends."""
        try:
            # Without a filter yet, for there to be something to wait for.
            await self._client.subscribe([])
            while (message := await self._client.deliver_message()) is not None:
                await self._take(message)
                # Each may be long, and there may be many at once.
                await anyio.lowlevel.checkpoint()
        except StructiotError as exc:
            self._end(exc.with_traceback(None))

    def close(self) -> None:
        """Refuse what is asked from now on."""
        self._end(LinkLost("the connection was closed by the connector"))

    def _end(self, error: StructiotError) -> None:
        if self._error is None:
            self._error = error
            self._ended.set()

    async def wait_lost(self) -> None:
        """Wait for the end, and raise why."""
        await self._ended.wait()
        self.check()

    def check(self) -> None:
        """Raise what has ended it, if it has ended."""
        if self._error is not None:
            raise copy(self._error)

    @contextmanager
    def _watched(self, what: str, within_s: float = math.inf) -> Generator[None]:
        """Let the session end by anything but a refusal; HTTP has its own deadlines."""
        try:
            if self._error is not None:
                raise LinkLost(f"{what}: the connection has ended: {self._error}")
            with anyio.fail_after(within_s):
                yield
        except PlatformRefused:
            raise
        except StructiotError as exc:
            self._end(exc.with_traceback(None))
            if isinstance(exc, LinkLost | ReplyTimeout):
                raise
            raise LinkLost(f"{what}: {exc}", reason=str(exc)) from exc
        except TimeoutError:
            message = f"the broker has not answered {what} in {within_s:g} s"
            error = ReplyTimeout(message, request=what, after_s=within_s)
            self._end(error)
            raise error from None

    # -- devices -----------------------------------------------------------------------

    async def synchronise(
        self, devices: Sequence[Device]
    ) -> Mapping[str, PlatformRefused]:
        """Compare device by device, make and change what differs, and hear commands."""
        refused: dict[str, PlatformRefused] = {}
        wanted: dict[str, JsonObject] = {}
        hashes: dict[str, str] = {}
        for number, device in enumerate(devices, 1):
            if number % _A_TURN == 0:
                await anyio.lowlevel.checkpoint()
            try:
                check_id("device", device.id)
                described, hashes[device.id] = senergy_description(device)
                wanted[device.id] = described
            except PlatformRefused as exc:
                refused[device.id] = exc.with_traceback(None)
        with self._watched("a comparison of devices"):
            known = await self._api.find_devices(wanted)
            waiting = iter(wanted.items())

            async def offer() -> None:
                for device_id, described in waiting:
                    try:
                        await self._offer(described, known.get(device_id))
                    except PlatformRefused as exc:
                        refused[device_id] = exc.with_traceback(None)

            async with service_group(is_awaited=True) as tg:
                for _ in range(_AT_ONCE):
                    tg.start_soon(offer)
            for device_id in refused:
                hashes.pop(device_id, None)
            self._members, self._is_bound = DeviceHashes(hashes), False
            await self._bind()
        refused.update(await self._hear([*self._members]))
        return refused

    async def _offer(self, described: JsonObject, known: JsonObject | None) -> None:
        await self._api.put_device(described, known)
        self._known.add(described["local_id"])

    async def put(self, device: Device) -> None:
        """Make or change a device, take it into the hub, and hear its commands."""
        check_id("device", device.id)
        described, digest = senergy_description(device)
        with self._watched("a change of a device"):
            known = await self._api.find_devices([device.id])
            await self._offer(described, known.get(device.id))
            self._members.put(device.id, digest)
            self._is_bound = False
            await self._bind()
        for refusal in (await self._hear([device.id])).values():
            raise refusal

    async def disconnect(self, device_id: str) -> None:
        """Hear the commands of a device no longer: it is offline by that."""
        self._leave(device_id)
        if device_id not in self._heard:
            await anyio.lowlevel.checkpoint()
            text = "commands for this device are not subscribed to"
            raise PlatformRefused(_NOT_FOUND, text, was_sent=False)
        await self._hear_no_more(device_id)

    async def delete(self, device_id: str) -> None:
        """Remove a device from the platform."""
        check_id("device", device_id)
        self._leave(device_id)
        if device_id in self._heard:
            await self._hear_no_more(device_id)
        with self._watched("the removal of a device"):
            await self._api.delete_device(device_id)
            self._known.discard(device_id)

    def _leave(self, device_id: str) -> None:
        """Have a device be in the hub no longer, from the next commit on."""
        self._members.discard(device_id)
        self._is_bound = False

    async def commit(self) -> None:
        """Have the hub hold these devices."""
        with self._watched("a change of the hub"):
            await self._bind()

    async def _bind(self) -> None:
        """Have the hub hold its members; a hub that cannot ends the session."""
        async with self._binding:
            if self._is_bound:
                return
            # What comes or leaves meanwhile is for the next time.
            self._is_bound = True
            ids = sorted(self._members)
            told = {"hash": self._members.digest(), "device_local_ids": ids}
            hub = {**self._hub, **told}
            try:
                if hub != self._hub:
                    await self._api.change_hub(hub)
                self._hub = hub
            except PlatformRefused as exc:
                if exc.status not in {_BAD_REQUEST, _NOT_FOUND}:
                    raise
                # It is gone, or one of its devices is: all is to be compared again.
                raise LinkLost(f"the hub cannot be changed: {exc}") from exc
            finally:
                self._is_bound &= self._hub is hub

    # -- commands ----------------------------------------------------------------------

    async def _hear(self, ids: Sequence[str]) -> Mapping[str, PlatformRefused]:
        """Subscribe to the commands of devices; give what is refused."""
        refused: dict[str, PlatformRefused] = {}
        new = [one for one in ids if one not in self._heard]
        for at in range(0, len(new), _FILTERS_AT_ONCE):
            group = new[at : at + _FILTERS_AT_ONCE]
            wanted = [(topic_of("command", self._owner, one, "+"), 2) for one in group]
            with self._watched("subscriptions", _REPLY_S):
                codes = await self._client.subscribe(wanted)
            for one, code in zip(group, codes, strict=True):
                if code < _REFUSED:
                    self._heard.add(one)
                else:
                    text = "the broker refuses a subscription to its commands"
                    refused[one] = PlatformRefused(code, text)
        return refused

    async def _hear_no_more(self, device_id: str) -> None:
        with self._watched("the end of a subscription", _REPLY_S):
            topic = topic_of("command", self._owner, device_id, "+")
            await self._client.unsubscribe([topic])
            self._heard.discard(device_id)

    async def _take(self, message: Message) -> None:
        # The filters let no topic pass that has other levels.
        _, _, device_id, service = message.topic.split("/")
        try:
            command = decode_command(message.payload)
        except ProtocolViolation as exc:
            await self._reject(device_id, str(exc), "error/device", device_id)
            return
        if fault := id_fault(service):
            text = f"a command for a service whose id {fault}"
            await self._reject(device_id, text, "error/command", command.correlation_id)
            return
        now_s = self._environment.now_utc().timestamp()
        age_s = now_s - (now_s if command.sent_at_s is None else command.sent_at_s)
        if age_s > _COMMAND_AGE_S:
            text = f"the command is {age_s:.0f} s old, or a clock is wrong"
            await self._reject(device_id, text, "error/command", command.correlation_id)
            return
        self._on_command(
            Incoming(
                device_id=device_id,
                service=service,
                parts=command.parts,
                raw={"correlation_id": command.correlation_id},
                size_bytes=held_bytes(message.payload),
                received_at=anyio.current_time(),
            )
        )

    async def _reject(self, device_id: str, text: str, kind: str, what: str) -> None:
        self._warnings.say("for %s: %s", printable(device_id), text, about=device_id)
        await self._client.publish(topic_of(kind, self._owner, what), text, qos=0)

    async def respond(
        self, incoming: Incoming, data: str | None, metadata: str | None
    ) -> None:
        """Answer a command."""
        topic = topic_of("response", self._owner, incoming.device_id, incoming.service)
        payload = encode_response(incoming.raw["correlation_id"], data, metadata)
        await self._publish(topic, payload, "a response")

    async def fail(self, incoming: Incoming, text: str) -> None:
        """Say on the command's error topic that it has failed."""
        topic = topic_of("error/command", self._owner, incoming.raw["correlation_id"])
        await self._publish(topic, text.encode("utf-8", "replace"), "an error")

    # -- events ------------------------------------------------------------------------

    async def event(
        self, device_id: str, service: str, data: str | None, metadata: str | None
    ) -> PlatformResponse:
        """Hand over a reading of a device that the platform has."""
        check_id("device", device_id)
        check_id("service", service)
        if device_id not in self._known:
            with self._watched("a look for a device"):
                if not await self._api.find_devices([device_id]):
                    raise no_such_device()
            self._known.add(device_id)
        topic = topic_of("event", self._owner, device_id, service)
        await self._publish(topic, encode_event(data, metadata), "an event")
        return PlatformResponse(_OK, "", None)

    async def _publish(self, topic: str, payload: bytes, what: str) -> None:
        if len(payload) > _MAX_PAYLOAD_BYTES:
            await anyio.lowlevel.checkpoint()
            text = f"{what} of more than {_MAX_PAYLOAD_BYTES:,} bytes"
            raise PlatformRefused(_BAD_REQUEST, text, was_sent=False)
        with self._watched(what, _REPLY_S):
            await self._client.publish(topic, payload, qos=1)


def no_such_device() -> PlatformRefused:
    """Say that an event is of a device that the platform does not have."""
    text = "the platform has no such device"
    return PlatformRefused(_NOT_FOUND, text, was_sent=False)


def check_id(what: str, text: str) -> None:
    """Look whether an id of a device or a service can stand in a topic.

    Raises:
        PlatformRefused: It cannot.
    """
    if fault := id_fault(text):
        told = f"the id {printable(text)!r} of a {what} {fault}"
        raise PlatformRefused(_BAD_REQUEST, told, was_sent=False)
