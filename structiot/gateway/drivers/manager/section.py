"""`[manager]` in the configuration of a gateway."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path as FilePath
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field

from structiot._kit.net.network import is_loopback
from structiot._kit.net.tls import server_context
from structiot._kit.redact import Secret
from structiot._kit.text import printable
from structiot.errors import UsageError
from structiot.gateway.config.fields import (
    Finding,
    Hidden,
    Host,
    Listening,
    NamedFile,
    Port,
    Section,
    SystemSection,
    private_bytes_of,
    readable,
    seconds,
)
from structiot.gateway.drivers.manager.entities import (
    ManagerBinarySensorSection,
    ManagerButtonSection,
    ManagerEntitySection,
    ManagerEventSection,
    ManagerLockSection,
    ManagerSensorSection,
    ManagerSirenSection,
    ManagerSwitchSection,
    ManagerTextSection,
    ManagerUpdateSection,
)
from structiot.manager import Listener
from structiot.manager.secrets_file import secrets_in
from structiot.manager.wire.dialects import Dialect
from structiot.manager.wire.info import canonical_uuid, fault_of_type

__all__ = ["ManagerListenerSection", "ManagerSection", "ManagerTypeSection"]


def _in_its_case(given: object) -> object:
    with suppress(ValueError):
        return Dialect(str(given)).value
    return given


_Dialect: TypeAlias = Annotated[
    Literal["D0", "D1", "D2", "D3", "D4", "structiot"], BeforeValidator(_in_its_case)
]
_File: TypeAlias = Annotated[str | None, NamedFile(readable)]
_USUAL_PORT = 8595


def _secrets_at(file: FilePath) -> dict[str, Secret]:
    return secrets_in(private_bytes_of(file))


def _check_secret(secret: Secret) -> Secret:
    if not secret:
        raise ValueError("a secret is not empty")
    return secret


class ManagerListenerSection(Section):
    """`[[manager.listeners]]`: a further place to listen at.

    Attributes:
        host: The address to listen at.
        port: The TCP port.
        dialect: What is spoken there.
        cert_file: Certificate, where TLS is spoken.
        key_file: Its key, if that is not in the same file.
        key_file_password: Passphrase of that key, if it has one.
        client_ca_file: Certificates of the authorities of which devices need one; else
            they need none.
        anyone: Whether devices need neither certificate nor secret although others than
            this machine can reach the place.
    """

    host: Host = "127.0.0.1"
    # The usual one is that of [manager] itself.
    port: Port = Field(default=_USUAL_PORT, examples=[8596])
    dialect: _Dialect = "D0"
    cert_file: _File = None
    key_file: _File = None
    key_file_password: Hidden | None = None
    client_ca_file: _File = None
    anyone: bool = False

    def listener(self) -> Listener:
        """Give what the manager listens at; it reads files.

        Raises:
            ConfigError: A file that cannot be used.
        """
        context = None
        if self.cert_file is not None:
            context = server_context(
                certfile=self.cert_file,
                keyfile=self.key_file,
                keyfile_password=self.key_file_password,
                client_cafile=self.client_ca_file,
            )
        return Listener(self.host, self.port, self.dialect, context)


class ManagerTypeSection(Section):
    """`[manager.types.NAME]`: what devices of a type have.

    Attributes:
        sensors: Quantities and texts that they tell.
        binary_sensors: What they tell that is true or false.
        switches: What can be switched.
        locks: What can be locked.
        sirens: What can be made to sound.
        buttons: What can be pressed.
        texts: Texts that they can be sent.
        updates: Their firmware, where they can say which there is.
        events: What happens, told by messages.
        values: Whether a message that is a JSON object tells members anew, besides what
            a device says of itself when it dials in.
        others: Whether there is, too, what a type has that nothing is said of: a sensor
            for each member, an event for each message, a text to be sent. By default if
            nothing is said of it.
    """

    sensors: Annotated[tuple[ManagerSensorSection, ...], Field(strict=False)] = ()
    binary_sensors: Annotated[
        tuple[ManagerBinarySensorSection, ...], Field(strict=False)
    ] = ()
    switches: Annotated[tuple[ManagerSwitchSection, ...], Field(strict=False)] = ()
    locks: Annotated[tuple[ManagerLockSection, ...], Field(strict=False)] = ()
    sirens: Annotated[tuple[ManagerSirenSection, ...], Field(strict=False)] = ()
    buttons: Annotated[tuple[ManagerButtonSection, ...], Field(strict=False)] = ()
    texts: Annotated[tuple[ManagerTextSection, ...], Field(strict=False)] = ()
    updates: Annotated[tuple[ManagerUpdateSection, ...], Field(strict=False)] = ()
    events: Annotated[tuple[ManagerEventSection, ...], Field(strict=False)] = ()
    values: bool = True
    others: bool | None = None

    @property
    def sections(self) -> tuple[ManagerEntitySection, ...]:
        """All that is said of it, in the order in which it is shown."""
        return (
            *self.switches,
            *self.locks,
            *self.sirens,
            *self.sensors,
            *self.binary_sensors,
            *self.buttons,
            *self.texts,
            *self.updates,
            *self.events,
        )


def _check_keys(kind: ManagerTypeSection) -> ManagerTypeSection:
    seen: set[str] = set()
    for one in kind.sections:
        key = one.usual_key
        if not key:
            raise ValueError("one of its entities has neither a key nor a name")
        if key in seen:
            raise ValueError(f"two of its entities have the key {key!r}")
        seen.add(key)
    return kind


class ManagerSection(ManagerListenerSection, SystemSection):
    """`[manager]`: the server that devices dial in to.

    Attributes:
        host: The address to listen at; `"0.0.0.0"` for all of the machine's.
        port: The TCP port.
        dialect: What is spoken there: `"D0"` to `"D4"` or `"structiot"`.
        cert_file: Certificate, where TLS is spoken; relative to the configuration file,
            like the other files.
        key_file: Its key, if that is not in the same file.
        key_file_password: Passphrase of that key, if it has one.
        client_ca_file: Certificates of the authorities of which devices need one; else
            they need none.
        anyone: Whether devices need neither certificate nor secret although others than
            this machine can reach the place.
        listeners: Further places to listen at.
        secrets: The secret of each device by UUID; with it, the listeners of our own
            dialect take only devices that prove that they know theirs.
        secrets_file: TOML file of lines `UUID = "secret"`, instead of `secrets`.
        heartbeat_s: How often each device is asked whether it is there.
        reply_s: How long it may take to say who it is, and to answer.
        max_devices: How many different devices are shown.
        types: What devices of each type have; if there are any, no others are taken.
        other_types: Whether other types are taken all the same.
    """

    listeners: Annotated[tuple[ManagerListenerSection, ...], Field(strict=False)] = ()
    secrets: Mapping[str, Annotated[Hidden, AfterValidator(_check_secret)]] | None = (
        None
    )
    secrets_file: Annotated[str | None, NamedFile(_secrets_at, into="secrets")] = None
    heartbeat_s: Annotated[float, seconds(1, 86400)] = 60.0
    reply_s: Annotated[float, seconds(0.1, 600)] = 15.0
    max_devices: Annotated[int, Field(ge=1, le=20_000)] = 4096
    types: (
        Mapping[str, Annotated[ManagerTypeSection, AfterValidator(_check_keys)]] | None
    ) = None
    other_types: bool = False

    @property
    def taken(self) -> frozenset[str] | None:
        """Which types are taken; None for all."""
        return None if self.other_types or not self.types else frozenset(self.types)

    def all_listeners(self) -> list[Listener]:
        """Give all that the manager listens at, its own first; it reads files.

        Raises:
            ConfigError: A file that cannot be used.
        """
        return [one.listener() for one in (self, *self.listeners)]

    @classmethod
    def cross_checks(cls, table: Mapping[str, object]) -> Iterator[Finding]:
        """See that places differ, files belong together, and names are names."""
        dialects: set[object] = set()
        has_secrets = "secrets" in table or "secrets_file" in table
        for path, one in _listeners(table):
            for finding in _of_listener(one, has_secrets=has_secrets):
                yield finding.below(*path)
            dialects.add(_in_its_case(one.get("dialect", "D0")))
        for key in ("secrets", "secrets_file"):
            if key in table and "structiot" not in dialects:
                message = f'{key} is for no listener: none has dialect = "structiot"'
                yield Finding(path=(key,), message=message, is_about_key=True)
        yield from _names(table)

    @classmethod
    def listens_at(cls, table: Mapping[str, object]) -> Iterator[Listening]:
        """Give the place of each listener."""
        for path, one in _listeners(table):
            host, port = one.get("host", "127.0.0.1"), one.get("port", _USUAL_PORT)
            if isinstance(host, str) and type(port) is int:
                key = ("port",) if "port" in one else ("host",) if "host" in one else ()
                yield Listening(path=(*path, *key), host=printable(host), port=port)


def _listeners(
    table: Mapping[str, object],
) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, object]]]:
    yield (), table
    listeners = table.get("listeners")
    for number, one in enumerate(
        listeners if isinstance(listeners, list | tuple) else ()
    ):
        if isinstance(one, Mapping):
            yield ("listeners", number), one


def _of_listener(
    table: Mapping[str, object], *, has_secrets: bool
) -> Iterator[Finding]:
    host = table.get("host", "127.0.0.1")
    is_proven = has_secrets and _in_its_case(table.get("dialect")) == "structiot"
    is_known = is_proven or "client_ca_file" in table or table.get("anyone")
    if isinstance(host, str) and not is_loopback(host) and not is_known:
        message = (
            f"others can reach {printable(host)}, and anyone there could be a device: "
            'client_ca_file or dialect = "structiot" with secrets say who may, '
            "anyone = true that all may"
        )
        yield Finding(path=("host",), message=message)
    for key, needed in (
        ("key_file", "cert_file"),
        ("client_ca_file", "cert_file"),
        ("key_file_password", "cert_file"),
    ):
        if key in table and needed not in table:
            message = f"{key} needs a {needed} beside it"
            yield Finding(path=(key,), message=message, is_about_key=True)


def _names(table: Mapping[str, object]) -> Iterator[Finding]:
    types, secrets = table.get("types"), table.get("secrets")
    for name in types if isinstance(types, Mapping) else ():
        if fault_of_type(name):
            message = f"no device can be of the type {printable(repr(name))}"
            yield Finding(path=("types", name), message=message, is_about_key=True)
    known: set[str] = set()
    for uuid in secrets if isinstance(secrets, Mapping) else ():
        try:
            canonical = canonical_uuid(uuid)
        except UsageError as exc:
            message = str(exc)
        else:
            message = "a UUID is given twice" if canonical in known else ""
            known.add(canonical)
        if message:
            yield Finding(path=("secrets", uuid), message=message, is_about_key=True)
