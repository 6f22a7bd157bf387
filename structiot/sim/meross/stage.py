"""What the parts of a simulated device have in common: identity, time, and pushes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final, TypeVar

from structiot.errors import UsageError
from structiot.meross.wire.encryption import mac_of_uuid
from structiot.meross.wire.envelope import Envelope, Method
from structiot.meross.wire.mqtt import publish_topic
from structiot.sim.meross.agenda import Agenda
from structiot.sim.meross.faults import MerossFaults
from structiot.sim.meross.time_rules import TimeRule, offset_at, rules_of, zone_named
from structiot.sim.shared.clock import SimClock
from structiot.sim.shared.energy import local_time
from structiot.sim.shared.loads import seeded_fraction

__all__ = ["Item", "Malformed", "Part", "Stage"]

Item = dict[str, Any]


class Malformed(Exception):
    """A request that the device answers with ERROR 5000."""


class Part(ABC):
    """One thing that a device can do, with the namespaces that belong to it.

    Attributes:
        namespaces: Those that it answers.
    """

    namespaces: tuple[str, ...] = ()

    @abstractmethod
    def get(self, namespace: str, payload: Mapping[str, Any]) -> Item:
        """Answer GET, or raise `Malformed`."""

    def set(self, namespace: str, payload: Mapping[str, Any]) -> Item:  # noqa: ARG002
        """Carry SET out and give the payload of its SETACK, or raise `Malformed`."""
        raise Malformed(namespace)

    def delete(self, namespace: str, payload: Mapping[str, Any]) -> Item:  # noqa: ARG002
        """Carry DELETE out and give the payload of its DELETEACK, or raise `Malformed`."""
        raise Malformed(namespace)

    def query(self, namespace: str) -> Item | None:  # noqa: ARG002
        """Give what a PUSH that asks is answered with; None where it is not."""
        return None

    def change(self, namespace: str, fields: Mapping[str, Any], where: object) -> None:  # noqa: ARG002
        """Be in another state, as by a physical cause.

        Raises:
            UsageError: It has no such state.
        """
        raise UsageError(f"{namespace} has no state that can be set")

    def digest(self) -> Item:
        """Give what it contributes to the digest of System.All."""
        return {}

    def set_mains(self, *, is_on: bool) -> None:  # noqa: B027 - most do not care
        """Be without mains, or have it again."""


PartT = TypeVar("PartT", bound=Part)


class Stage:
    """One device without its abilities: who it is, what time it is, whom it tells.

    Attributes:
        uuid: Its identity, of 32 characters.
        mac: Its hardware address, lower case with colons.
        account_key: The key that it was set up with; see `key`.
        user_id: Whose it is.
        is_paired: Whether it is set up; if not its key is empty and nothing is checked.
        name: What its owner calls it; the device itself does not know.
        lan_host: Its address in the local network.
        server: Its broker, by its own words.
        port: The broker's port.
        is_online: Whether it is connected to its broker.
        timezone: The name of its time zone.
        time_rules: When it is how far from UTC.
        clock: The clock that it lives by.
        agenda: What it will do later.
        faults: What it gets wrong.
        parts: What it is made of.
        on_push: Told what it says of itself.
        on_pairing: Told when it was set up or reset.
    """

    default_key: ClassVar[str] = "0123456789abcdef0123456789abcdef"

    def __init__(
        self,
        model: str,
        *,
        uuid: str | None,
        key: str,
        user_id: str,
        name: str | None,
        clock: SimClock,
        faults: MerossFaults,
        lan_host: str,
        timezone: str,
    ) -> None:
        self.uuid: Final = uuid or _uuid_of(model, lan_host)
        self.mac: Final = mac_of_uuid(self.uuid)
        self.account_key: str = key
        self.user_id: str = user_id
        self.is_paired: bool = True
        self.name: str = name or model
        self.lan_host: str = lan_host
        self.server: str = "mqtt-eu.meross.com"
        self.port: int = 443
        self.is_online: bool = False
        self.clock: Final = clock
        self.agenda: Final = Agenda(clock)
        self.faults: Final = faults
        self.on_push: Callable[[Envelope], None] | None = None
        self.on_pairing: Callable[[], None] | None = None
        self.timezone: str = timezone
        zone = zone_named(timezone)
        self.time_rules: list[TimeRule] = rules_of(zone, clock.now_s())
        self.parts: tuple[Part, ...] = ()
        self._is_answering = False
        self._messages = 0

    @property
    def key(self) -> str:
        """What it signs with: the account's key, or the empty one."""
        return self.account_key if self.is_paired else ""

    def parts_of(self, kind: type[PartT]) -> list[PartT]:
        """Give what it is made of that is of one kind."""
        return [part for part in self.parts if isinstance(part, kind)]

    # ------------------------------------------------------------ time

    def stamp(self) -> int:
        """Give the time in whole seconds since 1970."""
        return int(self.clock.now_s() + 1e-6)

    def utc_offset_s(self) -> int:
        """Tell how much its own clock is ahead of UTC."""
        return offset_at(self.time_rules, self.clock.now_s())

    def local_time(self) -> datetime:
        """Give what its own clock shows, without a zone."""
        return local_time(self.clock.now_s(), self.utc_offset_s())

    # ------------------------------------------------------------ saying things

    def push(self, namespace: str, payload: Mapping[str, Any]) -> None:
        """Say what has changed; after the answer, if a request is being answered."""
        if self._is_answering:
            self.agenda.after(0, lambda: self.push(namespace, payload))
        elif self.on_push is not None:
            self.on_push(self.message(namespace, Method.PUSH, payload))

    def message(
        self,
        namespace: str,
        method: Method,
        payload: Mapping[str, Any],
        *,
        message_id: str | None = None,
        sender: str | None = None,
        trigger: str = "Device",
    ) -> Envelope:
        """Make a message of the device's own; it is signed when it is encoded."""
        now_s = self.clock.now_s() + 1e-6
        if message_id is None:
            self._messages += 1
            seed = ("message", self.uuid, self._messages)
            halves = (seeded_fraction(*seed, half) for half in range(3))
            message_id = "".join(f"{int(one * 2**48):012x}" for one in halves)[:32]
        return Envelope(
            namespace=namespace,
            method=method,
            payload=dict(payload),
            message_id=message_id,
            sender=publish_topic(self.uuid) if sender is None else sender,
            timestamp_s=int(now_s),
            timestamp_ms=int(now_s * 1000) % 1000,
            uuid=self.uuid,
            trigger=trigger,
        )

    def shaped(self, items: Sequence[Item], *, is_list: bool) -> object:
        """Give items as this device's firmware has them: a list, or one object."""
        if self.faults.shape is not None:
            is_list = self.faults.shape == "list"
        return list(items) if is_list or len(items) != 1 else items[0]


def _uuid_of(model: str, host: str) -> str:
    number = int(seeded_fraction("uuid", model, host) * 2**48)
    return f"2401{number % 10**16:016d}48e1e9{number % 2**24:06x}"
