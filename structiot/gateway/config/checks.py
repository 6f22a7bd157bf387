"""What several settings must be like together.

These look at the data as it was written, whatever else is wrong with it, so that
everything is reported at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from structiot._kit.net.network import is_loopback
from structiot._kit.text import printable
from structiot.errors import InternalError
from structiot.gateway.config.dashboard import dashboard_faults
from structiot.gateway.config.fields import (
    Finding,
    NamesADevice,
    SystemSection,
    marked,
    models_in,
)
from structiot.gateway.config.link_checks import link_checks, links_in
from structiot.gateway.config.links import EntityPattern
from structiot.gateway.config.ports import ports_taken_twice
from structiot.gateway.config.sections import GatewayConfig, MqttSection
from structiot.gateway.config.values import TLS_SCHEMES
from structiot.gateway.entities.topics import slug_of
from structiot.gateway.isolation import called
from structiot.mqtt.broker import Passwords

__all__ = ["checks_failed", "cross_field_checks", "own_login"]


def cross_field_checks(
    model: type[GatewayConfig], data: Mapping[str, object]
) -> Iterator[Finding]:
    """Find settings that contradict each other, in the gateway's sections and others."""
    yield from _credentials(_table(data, "mqtt"))
    yield from _encryption(_table(data, "mqtt"))
    yield from _embedded_broker(data)
    for finding in dashboard_faults(_table(data, "dashboard")):
        yield finding.below("dashboard")
    yield from _names(model, data)
    mqtt = _table(data, "mqtt")
    base, prefix = mqtt.get("base_topic"), mqtt.get("discovery_prefix")
    yield from link_checks(
        data,
        base=base if isinstance(base, str) else MqttSection().base_topic,
        discovery_prefix=(
            prefix if isinstance(prefix, str) else MqttSection().discovery_prefix
        ),
    )
    yield from ports_taken_twice(model, data)
    yield from _levels(_table(data, "devices"))
    for name, info in model.model_fields.items():
        table = data.get(name)
        if not isinstance(table, Mapping):
            continue
        for section, _ in models_in(info.annotation):
            if issubclass(section, SystemSection):
                yield from _of_system(name, section, table)


def _of_system(
    name: str, section: type[SystemSection], table: Mapping[str, object]
) -> Iterator[Finding]:
    # A stranger's checks may fail in any way; it costs their own section.
    found: list[Finding] = []
    try:
        called(lambda: found.extend(map(_sound, section.cross_checks(table))))
    except InternalError as exc:
        yield checks_failed(name, exc)
    for finding in found:
        yield finding.below(name)


def _sound(finding: object) -> Finding:
    """See that it is what it is said to be.

    Raises:
        TypeError: It is not.
    """
    if isinstance(finding, Finding):
        message: object = finding.message
        parts: object = finding.path
        if (
            isinstance(message, str)
            and isinstance(parts, tuple)
            and all(isinstance(part, str | int) for part in parts)
        ):
            return finding
    raise TypeError(f"{finding!r} is no Finding with a path and a message")


def checks_failed(name: str, error: InternalError) -> Finding:
    """Say that the checks of a system are broken themselves."""
    message = f"the checks of [{name}] failed: {error}"
    return Finding(path=(name,), message=message, is_about_key=True)


def _table(data: Mapping[str, object], name: str) -> Mapping[str, object]:
    table = data.get(name)
    return table if isinstance(table, Mapping) else {}


def _credentials(mqtt: Mapping[str, object]) -> Iterator[Finding]:
    has_password = "password" in mqtt or "password_file" in mqtt
    username, password = _credentials_in(mqtt.get("uri"))
    for key, already, what in (
        ("username", username, "names a user"),
        ("password", password, "has a password"),
        ("password_file", password, "has a password"),
    ):
        if already is not None and key in mqtt:
            yield Finding(
                path=("mqtt", key),
                message=f"{key} is given although uri {what} already",
                is_about_key=True,
            )
    if has_password and not username and "username" not in mqtt:
        key = "password" if "password" in mqtt else "password_file"
        yield Finding(
            path=("mqtt", key),
            message=f"{key} needs a username beside it",
            is_about_key=True,
        )


def _encryption(mqtt: Mapping[str, object]) -> Iterator[Finding]:
    uri = mqtt.get("uri", "mqtt:")
    is_tls = isinstance(uri, str) and uri.partition(":")[0] in TLS_SCHEMES
    for key in ("ca_file", "cert_file", "key_file"):
        if key in mqtt and not is_tls:
            yield Finding(
                path=("mqtt", key),
                message=f"{key} is given although uri is not encrypted; "
                f"one that is begins with {' or '.join(f'{s}://' for s in TLS_SCHEMES)}",
                is_about_key=True,
            )
    if "key_file" in mqtt and "cert_file" not in mqtt:
        yield Finding(
            path=("mqtt", "key_file"),
            message="key_file needs a cert_file beside it",
            is_about_key=True,
        )


def _embedded_broker(data: Mapping[str, object]) -> Iterator[Finding]:
    mqtt, broker = _table(data, "mqtt"), _table(data, "broker")
    if broker and "uri" in mqtt:
        yield Finding(
            path=("broker",),
            message="[broker] is about the embedded broker, but uri in [mqtt] names "
            "another",
            is_about_key=True,
        )
    if "password_file" in broker:
        if "username" not in mqtt:
            yield Finding(
                path=("broker", "password_file"),
                message="password_file asks the gateway itself for a name: "
                "give username and password in [mqtt]",
                is_about_key=True,
            )
        return
    listen = broker.get("listen")
    for index, uri in enumerate(listen if isinstance(listen, list | tuple) else ()):
        if _is_beyond_this_machine(uri):
            yield Finding(
                path=("broker", "listen", index),
                message=f"others can reach {uri}: say in a password_file who may; "
                "'structiot mqtt passwd' writes it",
            )


def own_login(
    config: GatewayConfig, written: Mapping[str, object]
) -> Iterator[Finding]:
    """See that the embedded broker lets its own gateway in; it reads a file.

    Args:
        config: The settings.
        written: The same as they were written.
    """
    mqtt, file = config.mqtt, config.broker.password_file
    if mqtt.uri is not None or file is None or mqtt.username is None:
        return
    passwords, name = Passwords.read(file), mqtt.username
    why = "of [broker], so that the gateway's own broker would not let it in"
    if name not in passwords:
        shown = printable(name, most=40)
        message = (
            f"username {shown!r} is not in password_file {why}; "
            "'structiot mqtt passwd' adds it"
        )
        yield Finding(path=("mqtt", "username"), message=message)
        return
    password = b"" if mqtt.password is None else mqtt.password.reveal().encode()
    if not passwords.check(name, password):
        table = _table(written, "mqtt")
        given = (one for one in ("password", "password_file") if one in table)
        key = next(given, "username")
        message = f"{key} is not that of {name!r} in password_file {why}"
        yield Finding(path=("mqtt", key), message=message)


def _is_beyond_this_machine(uri: object) -> bool:
    try:
        host = urlsplit(uri).hostname if isinstance(uri, str) else None
    except ValueError:
        return False
    return host is not None and not is_loopback(host)


def _credentials_in(uri: object) -> tuple[str | None, str | None]:
    try:
        parts = urlsplit(uri if isinstance(uri, str) else "")
    except ValueError:
        return None, None
    return parts.username, parts.password


def _levels(devices: Mapping[str, object]) -> Iterator[Finding]:
    for name in devices:
        slug = slug_of(name)
        if slug != name:
            meant = f"; write [devices.{slug}]" if slug else ""
            yield Finding(
                path=("devices", name),
                message=f"{name!r} is no level in topics{meant}",
                is_about_key=True,
            )


def _names(model: type[GatewayConfig], data: Mapping[str, object]) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for one in marked(model, data, NamesADevice):
        path, name = one.path, one.value
        if not isinstance(name, str) or not name.strip():
            continue
        # Who has no level by its name has one by its serial; the name is for people.
        slug = slug_of(name)
        place = slug or name.strip().casefold()
        if place not in first:
            first[place] = name
            continue
        why = "another device above has it"
        if slug:
            as_first = "" if first[place] == name else f" of {first[place]!r}"
            why = f"its topics would be those{as_first} above ({slug!r})"
        yield Finding(path=path, message=f"the name {name!r} is taken: {why}")
    for link in links_in(data):
        device = EntityPattern.of(link.target)
        if link.what == "device" and device.level in first:
            message = f"the name {device.device!r} is taken: another device has it"
            yield link.finding("to", message)
