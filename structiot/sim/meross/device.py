"""One simulated device as something that answers envelopes; it has no sockets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from structiot.errors import ProtocolViolation, UsageError
from structiot.meross.wire.batch import MULTIPLE
from structiot.meross.wire.encryption import ENCRYPTED_ABILITY, LanCipher
from structiot.meross.wire.envelope import (
    ANSWERS,
    Envelope,
    Method,
    encode_envelope,
    is_signed,
    members_of,
    read_members,
)
from structiot.meross.wire.payloads import items_of
from structiot.sim.meross.faults import MerossFaults
from structiot.sim.meross.models import MerossModel, model_named
from structiot.sim.meross.parts.energy import Meter, Metering
from structiot.sim.meross.parts.garage import GarageDoors
from structiot.sim.meross.parts.hub import Hub
from structiot.sim.meross.parts.subdevices import Subdevice
from structiot.sim.meross.parts.system import System
from structiot.sim.meross.parts.thermostat import Room
from structiot.sim.meross.parts.toggle import Relay
from structiot.sim.meross.stage import Item, Malformed, Part, Stage
from structiot.sim.shared.clock import SimClock
from structiot.sim.shared.loads import Load

__all__ = ["MerossDeviceSim"]

_UNBIND: Final = "Appliance.Control.Unbind"
_CLOCK: Final = "Appliance.System.Clock"
_SIGN_ERROR: Final = {"error": {"code": 5001, "detail": "sign error"}}
_ERROR: Final = {"error": {"code": 5000}}


class MerossDeviceSim(Stage):
    """A device: ask it with `answer`, hear it by `on_push`, let time pass by `settle`.

    What it does later waits in `agenda`; `settle` does what is due, and whoever holds
    the device calls it in time. `sim_meross_device` does, and gives it sockets.

    Args:
        model: A model, or the name of one in `MEROSS_MODELS`.
        uuid: Its identity, of 32 characters; made from model and host by default.
        key: The key of the account that it was set up with.
        user_id: The account.
        name: What its owner calls it; the model by default.
        is_encrypted: Whether it is encrypted in the local network; as its model by default.
        loads: What its outlets feed, load by load or in watts.
        lan_host: The address that it tells.
        timezone: IANA name of its time zone.
        clock: The clock that it lives by; the computer's by default.
        faults: What it gets wrong.

    Raises:
        UsageError: No such model or time zone, or too many loads.

    Attributes:
        model: What it is.
        abilities: What it lists, with attributes.
    """

    def __init__(
        self,
        model: MerossModel | str = "mss310",
        *,
        uuid: str | None = None,
        key: str = Stage.default_key,
        user_id: str = "123456",
        name: str | None = None,
        is_encrypted: bool | None = None,
        loads: Sequence[Load | float] = (),
        lan_host: str = "192.168.1.60",
        timezone: str = "UTC",
        clock: SimClock | None = None,
        faults: MerossFaults | None = None,
    ) -> None:
        self.model: MerossModel = model_named(model)
        super().__init__(
            self.model.type,
            uuid=uuid,
            key=key,
            user_id=user_id,
            name=name,
            clock=clock or SimClock(),
            faults=faults or MerossFaults(),
            lan_host=lan_host,
            timezone=timezone,
        )
        self.is_encrypted: bool = (
            self.model.is_encrypted if is_encrypted is None else is_encrypted
        )
        self.abilities: dict[str, Mapping[str, Any]] = dict(self.model.abilities)
        if self.is_encrypted:
            self.abilities.setdefault(ENCRYPTED_ABILITY, {})
        else:
            self.abilities.pop(ENCRYPTED_ABILITY, None)
        self.parts: tuple[Part, ...] = (
            System(self),
            *(make(self) for make in self.model.parts),
        )
        self._parts: dict[str, Part] = {
            namespace: part for part in self.parts for namespace in part.namespaces
        }
        self._wire(loads)

    def __repr__(self) -> str:
        return f"<MerossDeviceSim {self.model.name} {self.uuid}>"

    def _wire(self, loads: Sequence[Load | float]) -> None:
        """Let what a meter sees go through the relay, and plug in loads."""
        relays = self.parts_of(Relay)
        for meter in self.parts_of(Meter) if relays else ():
            meter.is_on = relays[0].is_on
        for thermostat in self.parts_of(Room):
            for meter in self.parts_of(Meter):
                meter.is_on = thermostat.is_output_on
        outlets = [
            o for meter in self.parts_of(Metering) for o in meter.outlets.values()
        ]
        if len(loads) > len(outlets):
            message = f"{self.model.name} meters {len(outlets)} loads, not {len(loads)}"
            raise UsageError(message)
        for outlet, load in zip(outlets, loads, strict=False):
            outlet.plug(load)

    @property
    def cipher(self) -> LanCipher | None:
        """What it is encrypted with in the local network, if it is."""
        if not (self.is_encrypted and self.is_paired):
            return None
        return LanCipher(self.uuid, self.key, self.mac)

    @property
    def system(self) -> Item:
        """What it says below `all.system`: hardware, firmware, time and online."""
        about = self.parts[0]
        return about.about() if isinstance(about, System) else {}

    def part(self, namespace: str) -> Part:
        """Give the part that answers for a namespace.

        Raises:
            UsageError: The device does not know it.
        """
        if not self.knows(namespace):
            raise UsageError(f"{self.model.name} does not know {namespace}")
        return self._parts[namespace]

    def knows(self, namespace: str) -> bool:
        """Tell whether it has a namespace."""
        is_there = namespace == MULTIPLE or namespace in self._parts
        return is_there and namespace in self.abilities

    @property
    def subdevices(self) -> Mapping[str, Subdevice]:
        """What is paired with it, by id, if it is a hub."""
        hubs = self.parts_of(Hub)
        return hubs[0].subdevices if hubs else {}

    def digest(self) -> Item:
        """Give the state of everything in short, as System.All has it."""
        found: Item = {}
        for part in self.parts:
            _join(found, part.digest())
        return found

    # ------------------------------------------------------------ being asked

    def answer(self, request: Envelope) -> Envelope | None:
        """Answer a request, None where there is no answer; pushes follow by `settle`."""
        self.settle()
        if request.method not in ANSWERS:
            return None
        if self.is_paired and not self._is_accepted(request):
            return self._reply(request, Method.ERROR, _SIGN_ERROR)
        self._is_answering = True
        try:
            if request.namespace == MULTIPLE and self.knows(MULTIPLE):
                return self._batch(request)
            return self._answer_one(request)
        finally:
            self._is_answering = False

    def refuse(self, request: Envelope) -> Envelope:
        """Say no to a request, and do nothing."""
        return self._reply(request, Method.ERROR, _ERROR)

    def encode(self, message: Envelope) -> bytes:
        """Write a message of its own, signed; answers to batches are cut off."""
        data = encode_envelope(message, self.key)
        if message.namespace != MULTIPLE:
            return data
        return data[: self.faults.answer_bytes or self.model.answer_bytes]

    def settle(self) -> None:
        """Do what is due by now: doors arrive, pushes are said."""
        self.agenda.settle()

    def _is_accepted(self, request: Envelope) -> bool:
        patience_s = self.faults.stale_after_s
        age_s = abs(self.clock.now_s() - request.timestamp_s)
        is_stale = patience_s is not None and age_s > patience_s
        return is_signed(request, self.key) and not is_stale

    def _answer_one(self, request: Envelope) -> Envelope | None:
        namespace = request.namespace
        if request.method is Method.PUSH and namespace in {_UNBIND, _CLOCK}:
            if namespace == _UNBIND:
                self.unpair()
            return None
        if not self.knows(namespace):
            return self.refuse(request)
        part = self._parts[namespace]
        try:
            if request.method is Method.GET:
                given = part.get(namespace, request.payload)
                return self._reply(request, Method.GETACK, given)
            if request.method in {Method.SET, Method.DELETE}:
                is_set = request.method is Method.SET
                carry_out = part.set if is_set else part.delete
                given = carry_out(namespace, request.payload)
                return self._reply(request, ANSWERS[request.method], given)
            # Most of what the cloud pushes is an echo.
            asked = part.query(namespace)
        except (Malformed, UsageError):
            return self.refuse(request)
        return None if asked is None else self._reply(request, Method.PUSH, asked)

    def _batch(self, request: Envelope) -> Envelope | None:
        if request.method is not Method.SET:
            return self.refuse(request)
        most = self.abilities[MULTIPLE].get("maxCmdNum", 5)
        replies: list[Item] = []
        for item in items_of(request.payload, "multiple")[:most]:
            try:
                one = read_members(item, "batch")
            except ProtocolViolation:
                continue
            reply = None if one.namespace == MULTIPLE else self._answer_one(one)
            if reply is not None:
                replies.append(members_of(reply, self.key))
        if self.faults.is_batch_empty:
            replies.clear()
        return self._reply(request, Method.SETACK, {"multiple": replies})

    def _reply(
        self, request: Envelope, method: Method, payload: Mapping[str, Any]
    ) -> Envelope:
        reply = self.message(
            request.namespace,
            method,
            payload,
            message_id=request.message_id,
            trigger=request.trigger or "Device",
        )
        is_new = self.model.hardware >= "6"
        return reply if is_new else replace(reply, uuid=None, timestamp_ms=None)

    # ------------------------------------------------------------ being set up

    def pair(self, key: str, user_id: str) -> None:
        """Belong to an account from now on."""
        self.account_key: str = key
        self.user_id: str = user_id
        self.is_paired: bool = True
        if self.on_pairing is not None:
            self.on_pairing()

    def unpair(self) -> None:
        """Be as from the factory: no key, and no signature is checked."""
        self.is_paired = False
        if self.on_pairing is not None:
            self.on_pairing()

    # ------------------------------------------------------------ physical things

    def press(self, channel: int = 0) -> None:
        """Press the button of a relay: on becomes off, off becomes on.

        Raises:
            UsageError: It has none.
        """
        for relay in self.parts_of(Relay):
            if relay.find(channel) is not None:
                wanted = {"channel": channel, "onoff": int(not relay.is_on(channel))}
                relay.tell(relay.apply(wanted))
                return
        raise UsageError(f"{self.model.name} has no relay {channel}")

    def move_door(self, channel: int | None = None, *, is_open: bool) -> None:
        """Open or close a garage door by hand: at once, and without its motor.

        Raises:
            UsageError: It has none.
        """
        doors = self.parts_of(GarageDoors)
        if not doors:
            raise UsageError(f"{self.model.name} has no door")
        doors[0].arrive(channel, int(is_open))

    def set_state(
        self, namespace: str, fields: Mapping[str, Any], where: object = None
    ) -> None:
        """Let something be different by a physical cause, and be told.

        Args:
            namespace: Where it stands, such as `Appliance.Control.Thermostat.Mode`.
            fields: What is different, in the wire's own units.
            where: Which channel, or which subdevice by its id; the first by default.

        Raises:
            UsageError: There is no such thing.
        """
        self.settle()
        self.part(namespace).change(namespace, fields, where)

    def set_load(self, load: Load | float, channel: int = 0) -> None:
        """Plug a load, or one of so many watts, into an outlet that is metered.

        Raises:
            UsageError: There is none.
        """
        for meter in self.parts_of(Metering):
            if channel in meter.outlets:
                meter.settle()
                meter.outlets[channel].plug(load)
                return
        raise UsageError(f"{self.model.name} has no meter {channel}")

    def set_mains(self, *, is_on: bool) -> None:
        """Be without mains, or have it again; relays are then as they were."""
        if not is_on:
            self.agenda.clear()
        for part in self.parts:
            part.set_mains(is_on=is_on)


def _join(found: Item, more: Mapping[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, dict) and isinstance(found.get(name), dict):
            _join(found[name], value)
        else:
            found[name] = value
