"""What the SEPL platform does with messages: the rules, without the wire.

A session is one connection that has logged in. It belongs to a gateway and listens to
devices: commands reach those alone, and only theirs are the events that are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeGuard, final

from structiot.sim.connector.sepl_store import (
    SeplDevice,
    SeplGateway,
    merged_tags,
)

if TYPE_CHECKING:
    from structiot.sim.connector.sepl import SeplPlatformSim

__all__ = ["Refused", "SeplSession", "log_in"]

# Of a command; what else there is in one, the platform does not know itself.
_TEXTS: Final = (
    "device_url",
    "service_url",
    "worker_id",
    "task_id",
    "device_instance_id",
    "service_name",
    "output_name",
    "time",
)


class Refused(Exception):
    """The platform does not do what it is asked.

    Attributes:
        status: 400 or 500.
        text: Why.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@final
class SeplSession:
    """One connection that has logged in.

    Args:
        platform: The platform.
        number: Which connection it is.
        user: Whose.
        gateway: Which gateway's.

    Attributes:
        user: As given.
        gateway: As given.
        listening: The devices that it listens to, by URI.
    """

    def __init__(
        self, platform: SeplPlatformSim, number: int, user: str, gateway: SeplGateway
    ) -> None:
        self.user: str = user
        self.gateway: SeplGateway = gateway
        self.listening: dict[str, SeplDevice] = {}
        self._platform = platform
        self._store = platform.store
        self._number = number
        self._handlers: dict[str, Callable[[Any], None]] = {
            "clear": self._clear,
            "put": self._put,
            "disconnect": self._disconnect,
            "delete": self._delete,
            "commit": self._commit,
            "event": self._event,
            "response": self._response,
        }

    def begin(self) -> None:
        """Listen again to what was committed; the client hears of commands at once."""
        self.gateway.connections += 1
        for uri in self.gateway.devices:
            for device in self._store.find(self.user, uri)[:1]:
                self._listen(device)

    def end(self) -> None:
        """The connection is gone: whatever nobody else listens to is offline."""
        self.gateway.connections -= 1
        self._stop_all()

    def handle(self, handler: str, payload: object) -> None:
        """Do what a message asks for.

        Raises:
            Refused: It cannot be done.
        """
        known = self._handlers.get(handler)
        if known is None:
            raise Refused(400, f"unknown handler: {handler}")
        known(payload)

    def _listen(self, device: SeplDevice) -> None:
        if device.uri not in self.listening:
            self.listening[device.uri] = device
            device.listeners += 1

    def _stop(self, uri: str) -> bool:
        device = self.listening.pop(uri, None)
        if device is not None:
            device.listeners -= 1
        return device is not None

    def _stop_all(self) -> None:
        for uri in list(self.listening):
            self._stop(uri)

    def _clear(self, _: object) -> None:
        self._stop_all()
        self.gateway.devices = []
        self.gateway.hash = ""

    def _put(self, payload: object) -> None:
        uri, name, type_, tags = _read_device(payload)
        found = self._store.find(self.user, uri)
        if len(found) > 1:
            raise Refused(400, f"more than one device has the uri {uri}")
        if not found:
            if not self._store.has_type(type_):
                raise Refused(500, f"unknown device type {type_}")
            device = self._store.add(
                uri=uri, type_=type_, name=name, tags=tags, user=self.user
            )
        else:
            device = found[0]
            # One that fails is logged and answered with "ok" all the same.
            if not self._platform.faults.is_update_lost:
                device.name = name
                device.tags = merged_tags(device.tags, tags)
        self._listen(device)

    def _disconnect(self, payload: object) -> None:
        uri = _read_text(payload)
        if not self._stop(uri):
            raise Refused(500, f"not listening to {uri}")

    def _delete(self, payload: object) -> None:
        uri = _read_text(payload)
        self._stop(uri)
        found = self._store.find(self.user, uri)
        if len(found) != 1:
            raise Refused(500, f"{len(found)} devices have the uri {uri}")
        self._store.remove(found[0])

    def _commit(self, payload: object) -> None:
        self.gateway.hash = _read_text(payload)
        self.gateway.devices = list(self.listening)

    def _event(self, payload: object) -> None:
        match payload:
            case {"device_uri": str(uri), "service_uri": str(service), "value": value}:
                parts = _read_parts(value)
            case _:
                raise Refused(400, "no event")
        device = self.listening.get(uri)
        if device is None:
            raise Refused(400, f"not listening to {uri}")
        if not self._store.has_service(device, service):
            raise Refused(400, f"no service {service} of {uri}")
        self._platform.records.add_event(
            connection=self._number,
            user=self.user,
            device_uri=uri,
            service_uri=service,
            parts=parts,
            at_utc=self._platform.environment.now_utc(),
        )

    def _response(self, payload: object) -> None:
        if not _is_object(payload):
            raise Refused(400, "no response")
        if any(not isinstance(payload.get(n), str | None) for n in _TEXTS):
            raise Refused(400, "a member of the response is no text")
        awaited = self._platform.awaited
        response = self._platform.records.add_response(
            connection=self._number,
            user=self.user,
            payload=payload,
            parts=_read_parts(payload.get("protocol_parts")),
            at_utc=self._platform.environment.now_utc(),
            is_awaited=payload.get("task_id") in awaited,
        )
        if response.is_awaited:
            awaited.resolve(response.task_id, response)


def log_in(
    platform: SeplPlatformSim, number: int, asked: Mapping[str, Any]
) -> SeplSession | None:
    """Begin a session if a handshake has the right credentials."""
    user, password, gid = asked.get("user"), asked.get("pw"), asked.get("gid")
    if not isinstance(user, str) or not isinstance(gid, str | None):
        return None
    store = platform.store
    if user not in store.users or store.users[user] != password:
        return None
    session = SeplSession(platform, number, user, store.gateway(user, gid or ""))
    session.begin()
    return session


def _is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _read_text(payload: object) -> str:
    if not isinstance(payload, str):
        raise Refused(400, "the payload is no text")
    return payload


def _read_device(payload: object) -> tuple[str, str, str, list[str]]:
    if not _is_object(payload):
        raise Refused(500, "no device")
    tags = payload.get("tags")
    are_texts = isinstance(tags, list) and all(isinstance(one, str) for one in tags)
    if tags is not None and not are_texts:
        raise Refused(500, "tags that are no texts")
    match payload:
        case {"uri": str(uri), "name": str(name), "iot_type": str(type_)} if uri:
            if not type_:
                raise Refused(500, "a device without a type")
            return uri, name, type_, tags or []
    raise Refused(500, "wrong members of a device")


def _read_parts(value: object) -> dict[str, str]:
    """Read protocol parts; null is an empty list, and an empty text in one of them."""
    parts: dict[str, str] = {}
    for part in [] if value is None else value if isinstance(value, list) else [None]:
        match part:
            case {"name": str(name), "value": str() | None as text}:
                parts[name] = text or ""
            case _:
                raise Refused(400, "a protocol part without name, or of no text")
    return parts
