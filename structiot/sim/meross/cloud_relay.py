"""What the cloud does with messages: pass on, copy, answer, count, and get it wrong.

Facts: reference 2.2, 2.7 and 2.8, and section 12 for the echoes.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Final

import anyio
from anyio.abc import TaskGroup

from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.flow.tasks import service_group
from structiot._kit.json_text import text_of
from structiot.errors import ProtocolViolation
from structiot.meross.wire.envelope import (
    Envelope,
    Method,
    Payload,
    decode_envelope,
    encode_envelope,
)
from structiot.meross.wire.mqtt import request_topic, user_topic
from structiot.meross.wire.payloads import object_of
from structiot.mqtt import BrokerServer, Message
from structiot.sim.meross.cloud_account import CloudAccount, MerossCloudDevice
from structiot.sim.meross.cloud_faults import MerossCloudFaults
from structiot.sim.shared.faults import FaultKind, framed

__all__ = ["CloudRelay"]

_log = logging.getLogger(__name__)

_APPLIANCE: Final = re.compile(r"/appliance/([^/]+)/(subscribe|publish)")
_APP: Final = re.compile(r"/app/([^/]+)/subscribe")
_BIND: Final = "Appliance.Control.Bind"
_CLOCK: Final = "Appliance.System.Clock"
_CONSUMPTION: Final = "Appliance.Control.ConsumptionConfig"
_ONLINE: Final = "Appliance.System.Online"
_UNBIND: Final = "Appliance.Control.Unbind"
_CLOUD: Final = "CloudControl"
_ONLINE_STATUS: Final = 1
_OFFLINE_STATUS: Final = 2
_MAX_WAITING: Final = 10_000
_MAX_LATE: Final = 1_000
_MAX_UNANSWERED: Final = 1_000
_LOST: Final = (FaultKind.DROP, FaultKind.HANG_UP, FaultKind.REFUSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Passing:
    """A message on its way through the cloud.

    Attributes:
        kind: `"request"`, `"answer"`, `"push"`, or `"cloud"` for what it says itself.
        uuid: The device that it is for, or from.
        topic: Where it goes.
        sender: The client id of who sent it; empty if the cloud did.
        content: What it says.
        envelope: The same, understood; None if it is none.
        qos: With which quality of service.
    """

    kind: str
    uuid: str
    topic: str
    sender: str = ""
    content: bytes
    envelope: Envelope | None
    qos: int = 1

    def words(self) -> set[str]:
        """Give what describes it, for `Fault.on`."""
        words = {"mqtt", self.kind, self.uuid}
        if self.envelope is not None:
            namespace = self.envelope.namespace
            words |= {self.envelope.method, namespace, namespace.rpartition(".")[2]}
        return words


class CloudRelay:
    """Takes all messages of a broker's clients and says what becomes of them.

    Args:
        account: The account.
        server: The broker, whose onlooker it is.
        faults: What the cloud gets wrong.
        random: Makes the ids of messages.
    """

    def __init__(
        self,
        account: CloudAccount,
        server: BrokerServer,
        faults: MerossCloudFaults,
        random: Random,
    ) -> None:
        self._account = account
        self._server = server
        self._faults = faults
        self._random = random
        self._todo: Mailbox[Callable[[], None]] = Mailbox(
            _MAX_WAITING, policy="drop_newest", name="the cloud's messages"
        )
        self._tasks: TaskGroup | None = None
        self._late = 0
        self._unanswered: dict[str, None] = {}

    async def run(self) -> None:
        """Do what is to be done, in order."""
        async with service_group() as self._tasks:
            async for action in self._todo:
                action()

    # ------------------------------------------------------------ what the broker tells

    def joined(self, client_id: str, username: str | None) -> None:
        """A client is connected; of a device the apps are told."""
        self._change_status(client_id, username, _ONLINE_STATUS)

    def left(self, client_id: str, username: str | None) -> None:
        """A client is gone; of a device the apps are told."""
        self._change_status(client_id, username, _OFFLINE_STATUS)

    def _change_status(self, client_id: str, username: str | None, status: int) -> None:
        device = self._account.devices.get(username or "")
        if device is not None and not client_id.startswith("app:"):
            device.status = status
            payload = {"online": {"status": status}}
            self._todo.put(partial(self._tell_apps, device.uuid, _ONLINE, payload))

    def lets_pass(self, client_id: str, username: str | None, message: Message) -> bool:
        """Take a message; the broker itself passes none on."""
        passing = self._read(client_id, username or "", message)
        if passing is None:
            _log.info(
                "%.64r may not say %.64r, or nobody hears", client_id, message.topic
            )
        else:
            self._todo.put(partial(self._take, passing))
        return False

    def _read(self, client_id: str, username: str, message: Message) -> _Passing | None:
        """Say what a message is; None if it goes nowhere."""
        account, topic = self._account, message.topic
        is_app = client_id.startswith("app:")
        appliance, app = _APPLIANCE.fullmatch(topic), _APP.fullmatch(topic)
        kind, uuid = "answer", username
        if appliance is not None:
            uuid = appliance[1]
            kind = "request" if appliance[2] == "subscribe" else "push"
        is_own = uuid in account.devices and is_app == (kind == "request")
        is_to_user = app is not None and app[1].partition("-")[0] == account.user_id
        if not is_own or (kind == "answer" and not is_to_user):
            return None
        content = bytes(message.payload)
        try:
            envelope = decode_envelope(content, topic)
        except ProtocolViolation:
            envelope = None
        return _Passing(
            kind=kind,
            uuid=uuid,
            topic=user_topic(account.user_id) if kind == "push" else topic,
            sender=client_id,
            content=content,
            envelope=envelope,
            qos=message.qos,
        )

    # ------------------------------------------------------------ passing on

    def _take(self, passing: _Passing) -> None:
        if passing.kind == "request":
            self._account.count_message(passing.uuid)
            if self._account.is_banned:
                return
        self._pass_on(passing)
        device = self._account.devices.get(passing.uuid)
        if (
            passing.kind == "push"
            and passing.envelope is not None
            and device is not None
        ):
            self._answer(device, passing.envelope)

    def _pass_on(self, passing: _Passing) -> None:
        if self._is_unanswered(passing):
            return
        fault = self._faults.take(passing.words())
        kind = None if fault is None else fault.kind
        if kind is FaultKind.HANG_UP and passing.sender:
            self._server.disconnect(passing.sender)
        if kind in _LOST or (kind is FaultKind.LOSE_REPLY and not self._mute(passing)):
            return
        content = framed(fault, passing.content, bytes)
        copies = 2 if kind is FaultKind.DUPLICATE else 1
        send = partial(self._send, passing, content, copies)
        delay_s = self._faults.delay_for(fault)
        if fault is not None and kind is FaultKind.TRICKLE:
            delay_s += fault.delay_s
        if delay_s <= 0:
            send()
        elif self._tasks is not None and self._late < _MAX_LATE:
            self._late += 1
            self._tasks.start_soon(self._send_late, send, delay_s)

    def _mute(self, passing: _Passing) -> bool:
        """Note that nobody shall hear the answer; False if there will be none."""
        if passing.kind != "request" or passing.envelope is None:
            return False
        self._unanswered[passing.envelope.message_id] = None
        while len(self._unanswered) > _MAX_UNANSWERED:
            del self._unanswered[next(iter(self._unanswered))]
        return True

    def _is_unanswered(self, passing: _Passing) -> bool:
        if passing.kind != "answer" or passing.envelope is None:
            return False
        message_id = passing.envelope.message_id
        is_muted = message_id in self._unanswered
        self._unanswered.pop(message_id, None)
        return is_muted

    def _send(self, passing: _Passing, content: bytes, copies: int) -> None:
        for _ in range(copies):
            self._server.publish(passing.topic, content, qos=passing.qos)

    async def _send_late(self, send: Callable[[], None], delay_s: float) -> None:
        await anyio.sleep(delay_s)
        self._late -= 1
        send()

    # ------------------------------------------------------------ what the cloud says

    def _answer(self, device: MerossCloudDevice, envelope: Envelope) -> None:
        """Answer what devices expect to be answered."""
        now_s = int(self._account.clock.now_s())
        # The echo has the id and the time of the original, and so its signature.
        echo = replace(envelope, uuid=None, trigger=_CLOUD)
        if envelope.namespace == _BIND and envelope.method != Method.SETACK:
            _note_versions(device, envelope.payload)
            digest = f"{self._random.getrandbits(128):032x}"
            answer = replace(
                echo,
                method=Method.SETACK,
                payload={},
                sender=f"/cloud/sub/{digest}/{digest}",
                timestamp_s=now_s,
                timestamp_ms=None,
            )
        elif envelope.namespace == _CLOCK:
            answer = replace(echo, payload={"clock": {"timestamp": now_s}})
        elif envelope.namespace == _CONSUMPTION and envelope.method == Method.PUSH:
            answer = echo
        else:
            if envelope.namespace == _UNBIND:
                self._account.devices.pop(device.uuid, None)
            return
        self._say("cloud", device.uuid, request_topic(device.uuid), answer)

    def _say(self, kind: str, uuid: str, topic: str, envelope: Envelope) -> None:
        content = encode_envelope(envelope, self._account.key)
        self._pass_on(
            _Passing(
                kind=kind, uuid=uuid, topic=topic, content=content, envelope=envelope
            )
        )

    def _tell_apps(self, uuid: str, namespace: str, payload: Payload) -> None:
        topic = user_topic(self._account.user_id)
        self._say("push", uuid, topic, self._push(uuid, namespace, payload))

    def _push(self, uuid: str, namespace: str, payload: Payload) -> Envelope:
        return Envelope(
            namespace=namespace,
            method=Method.PUSH,
            payload=payload,
            message_id=f"{self._random.getrandbits(128):032x}",
            sender=request_topic(uuid),
            timestamp_s=int(self._account.clock.now_s()),
            trigger=_CLOUD,
        )

    # ------------------------------------------------------------ what the cloud decides

    def unbind(self, device: MerossCloudDevice) -> None:
        """Tell apps and a device that it is not the account's any more."""
        uuid = device.uuid
        self._tell_apps(uuid, _UNBIND, {})
        self._say("cloud", uuid, request_topic(uuid), self._push(uuid, _UNBIND, {}))
        for client_id in self._server.clients:
            session = self._server.core.sessions[client_id]
            if session.username == uuid:
                self._server.disconnect(client_id)

    def drop_apps(self) -> None:
        """End the connections of all apps."""
        self._todo.put(self._drop_apps)

    def _drop_apps(self) -> None:
        for client_id in self._server.clients:
            if client_id.startswith("app:"):
                self._server.disconnect(client_id)


def _note_versions(device: MerossCloudDevice, payload: Payload) -> None:
    firmware = object_of(payload, "bind", "firmware").get("version")
    hardware = object_of(payload, "bind", "hardware").get("version")
    device.firmware = text_of(firmware) or device.firmware
    device.hardware = text_of(hardware) or device.hardware
