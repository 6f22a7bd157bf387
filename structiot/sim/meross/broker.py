"""The connection of a simulated device to its broker.

    connect -> subscribe -> boot: Bind, Report, Time, Clock -> requests in, replies and
    pushes out, in the order in which they were made

A device that is not set up has no connection; one that is set up anew makes another.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, Final, TypeAlias

import anyio
from anyio.abc import TaskGroup

from structiot._kit.environment import Environment
from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.flow.tasks import service_group
from structiot.errors import PeerError, ProtocolViolation, TransportError
from structiot.meross.wire.envelope import Envelope, Method, decode_envelope
from structiot.meross.wire.mqtt import device_password, publish_topic, request_topic
from structiot.mqtt import (
    Connected,
    ConnectionEvent,
    Disconnected,
    Message,
    MqttConfig,
    open_mqttclient,
)
from structiot.sim.meross.device import MerossDeviceSim
from structiot.sim.meross.lan import words_of
from structiot.sim.shared.faults import Fault, FaultKind, framed

__all__ = ["BrokerLink", "MerossBroker"]

_log = logging.getLogger(__name__)

MerossBroker: TypeAlias = tuple[str, int, ssl.SSLContext | None]
"""Host, port, and TLS settings; None for a broker without TLS."""

_WAITING: Final = 256
_RETRY_S: Final = 10.0
_KEEP_ALIVE_S: Final = 120
_NO_TOPIC: Final = frozenset("+#\0")
_LOST: Final = frozenset({FaultKind.DROP, FaultKind.HANG_UP})


class BrokerLink:
    """Keeps one device connected to its broker.

    Args:
        device: The device.
        broker: Where the broker is.
        on_request: Told about each request before it is carried out.
        environment: Where the connection goes.
    """

    def __init__(
        self,
        device: MerossDeviceSim,
        broker: MerossBroker,
        on_request: Callable[[Envelope], None],
        environment: Environment,
    ) -> None:
        self._device = device
        self._broker = broker
        self._on_request = on_request
        self._environment = environment
        self._outbox: Mailbox[tuple[str, bytes]] = Mailbox(_WAITING, name=repr(device))
        self._tasks: TaskGroup | None = None
        self._scope: anyio.CancelScope | None = None

    async def run(self) -> None:
        """Be connected while the device is set up, until cancelled."""
        try:
            while True:
                with anyio.CancelScope() as self._scope:
                    if not self._device.is_paired:
                        await anyio.sleep_forever()
                    await self._be_connected()
        finally:
            self._device.is_online = False

    def restart(self) -> None:
        """Connect anew, as who the device is now."""
        if self._scope is not None:
            self._scope.cancel()

    def say(self, message: Envelope) -> None:
        """Publish what the device says of itself.

        Of the faults it meets those alone that a word means for it.
        """
        fault = self._device.faults.take(words_of(message, "mqtt"), needs_word=True)
        if fault is None or fault.kind not in {*_LOST, FaultKind.LOSE_REPLY}:
            self._put(publish_topic(self._device.uuid), message, fault)

    # ------------------------------------------------------------ the connection

    async def _be_connected(self) -> None:
        try:
            await self._converse()
        except (TransportError, PeerError) as exc:
            _log.info("%r: no broker: %s", self._device, exc)
            await anyio.sleep(_RETRY_S)
        finally:
            self._device.is_online = False

    async def _converse(self) -> None:
        host, port, ssl_context = self._broker
        device = self._device
        config = MqttConfig(
            username=device.mac,
            password=device_password(device.user_id, device.mac, device.key),
            protocol="3.1.1",
            keep_alive=_KEEP_ALIVE_S,
            offline_qos0="drop",
            ssl_context=ssl_context,
        )
        digits = f"{self._environment.random.getrandbits(64):016x}"
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(
                open_mqttclient(
                    f"{'mqtt' if ssl_context is None else 'mqtts'}://{host}:{port}",
                    f"fmware:{device.uuid}_{digits}",
                    config,
                    environment=self._environment,
                )
            )
            messages = await stack.enter_async_context(
                client.subscription(request_topic(device.uuid), qos=1)
            )
            events = await stack.enter_async_context(client.events())
            tasks = await stack.enter_async_context(service_group())
            self._tasks = tasks
            stack.callback(setattr, self, "_tasks", None)
            tasks.start_soon(self._watch, events)
            tasks.start_soon(self._take_all, messages)
            async for topic, data in self._outbox:
                await client.publish(topic, data, qos=0)

    async def _watch(self, events: Mailbox[ConnectionEvent]) -> None:
        async for event in events:
            if isinstance(event, Connected):
                self._device.is_online = True
                self._boot()
            elif isinstance(event, Disconnected):
                self._device.is_online = False

    def _boot(self) -> None:
        device = self._device
        own_topic = request_topic(device.uuid)
        now, system = device.stamp(), device.system
        bind = {
            "bindTime": now,
            **{k: system[k] for k in ("time", "hardware", "firmware")},
        }
        report = [{"type": "1", "value": "0", "timestamp": now}]
        config = "Appliance.Control.ConsumptionConfig"
        said: list[tuple[str, Method, Mapping[str, Any]]] = [
            ("Control.Bind", Method.SET, {"bind": bind}),
            ("System.Report", Method.PUSH, {"report": report}),
            ("System.Time", Method.PUSH, {"time": system["time"]}),
            ("System.Clock", Method.PUSH, {"clock": {"timestamp": now}}),
        ]
        if device.knows(config):
            told = device.part(config).get(config, {})
            said.append(("Control.ConsumptionConfig", Method.PUSH, told))
        for name, method, payload in said:
            if f"Appliance.{name}" in device.abilities:
                message = device.message(
                    f"Appliance.{name}",
                    method,
                    payload,
                    sender=own_topic if method is Method.SET else None,
                    trigger="DevBoot",
                )
                self.say(message)

    # ------------------------------------------------------------ requests

    async def _take_all(self, messages: AsyncIterator[Message]) -> None:
        async for message in messages:
            try:
                asked = decode_envelope(message.payload, "request")
            except ProtocolViolation as exc:
                _log.debug("%r: %s", self._device, exc)
                continue
            self._take(asked)

    def _take(self, asked: Envelope) -> None:
        device = self._device
        self._on_request(asked)
        fault = device.faults.take(words_of(asked, "mqtt"))
        kind = None if fault is None else fault.kind
        if kind in _LOST:
            return
        is_refused = kind is FaultKind.REFUSE
        reply = device.refuse(asked) if is_refused else device.answer(asked)
        is_topic = asked.sender and not _NO_TOPIC & set(asked.sender)
        if reply is not None and is_topic and kind is not FaultKind.LOSE_REPLY:
            self._put(asked.sender, reply, fault)

    def _put(self, topic: str, message: Envelope, fault: Fault | None) -> None:
        data = framed(fault, self._device.encode(message), bytes)
        is_twice = fault is not None and fault.kind is FaultKind.DUPLICATE
        delay_s = self._device.faults.delay_for(fault)
        for _ in range(1 + is_twice):
            if delay_s > 0 and self._tasks is not None:
                self._tasks.start_soon(self._put_late, topic, data, delay_s)
            else:
                self._outbox.put((topic, data))

    async def _put_late(self, topic: str, data: bytes, delay_s: float) -> None:
        await anyio.sleep(delay_s)
        self._outbox.put((topic, data))
