"""What is wrong with the settings of a client, in words."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any, TypeAlias

from structiot._kit.redact import Secret
from structiot.errors import UsageError
from structiot.mqtt.authentication import Authentication
from structiot.mqtt.wire.flows.outbound import MAX_PACKET_ID
from structiot.mqtt.wire.messages import Will
from structiot.mqtt.wire.properties import pairs_of_text
from structiot.mqtt.wire.topics import control_fault

__all__ = ["faults_of"]

# An `MqttConfig`, whose module needs this one.
Settings: TypeAlias = Any

_PATH = (str, PathLike)
# What a setting is, unless it is None; and whether it may be a function that gives that.
_KINDS: dict[str, tuple[tuple[type, ...], bool, str]] = {
    "uri": ((str,), True, "a text, or a function that gives one"),
    "username": ((str,), True, "a text, or a function that gives one"),
    "password": ((str, bytes, Secret), True, "a text, or a function that gives one"),
    "will": ((Will,), False, "a Will; MqttConfig.of takes a mapping"),
    "store": (_PATH, False, "a path"),
    "cafile": (_PATH, False, "a path"),
    "capath": (_PATH, False, "a path"),
    "cadata": ((str, bytes), False, "a text in PEM or bytes in DER"),
    "certfile": (_PATH, False, "a path"),
    "keyfile": (_PATH, False, "a path"),
    "keyfile_password": ((str, bytes, Secret), False, "a text"),
    "ssl_context": ((ssl.SSLContext,), False, "an ssl.SSLContext"),
    "proxy": ((str,), False, "a text"),
    "topics": ((Mapping,), False, "a mapping"),
    "codec_params": ((Mapping,), False, "a mapping"),
    "extra_headers": ((Mapping,), False, "a mapping"),
}
_BOUNDS: dict[str, tuple[int, int | None]] = {
    "keep_alive": (0, MAX_PACKET_ID),
    "session_expiry_s": (0, 0xFFFF_FFFF),
    "topic_alias_maximum": (0, MAX_PACKET_ID),
    "reconnect_retries": (-1, None),
    "max_redirects": (0, None),
    "max_inflight": (1, MAX_PACKET_ID),
    "receive_maximum": (1, MAX_PACKET_ID),
    "max_packet_bytes": (64, None),
    "max_held_bytes": (65_536, None),
    "outbox_items": (1, None),
    "outbox_bytes": (1, None),
    "subscription_items": (1, None),
}
_OPTIONAL = {"receive_maximum", "reconnect_retries", "session_expiry_s"}
_TIMES = {
    "ping_delay": True,
    "reconnect_max_interval": False,
    "connect_s": False,
    "goodbye_s": True,
    "unclaimed_s": True,
}
_SWITCHES = (
    "allows_control_characters",
    "default_retain",
    "auto_reconnect",
    "retry_refused",
    "cleansession",
    "check_hostname",
    "outgoing_aliases",
    "subscription_ids",
    "response_information",
)
_CHOICES: dict[str, tuple[object, ...]] = {
    "protocol": ("3.1.1", "5.0", "auto"),
    "offline_qos0": ("wait", "drop", "raise"),
    "default_qos": (0, 1, 2),
}
_NOTES = {
    "reconnect_retries": "; -1 is for ever",
    "keep_alive": " seconds; 0 is off",
    "session_expiry_s": " seconds",
}


def faults_of(config: Settings) -> Iterator[str]:
    """Say what cannot work, a sentence each; secrets are not in them."""
    yield from _types_at_fault(config)
    yield from _numbers_at_fault(config)
    for name in _SWITCHES:
        if not isinstance(value := getattr(config, name), bool):
            yield f"{name} is true or false, not {value!r}"
    for name, choices in _CHOICES.items():
        value = getattr(config, name)
        if not isinstance(value, type(choices[0])) or value not in choices:
            known = " or ".join([", ".join(map(repr, choices[:-1])), repr(choices[-1])])
            yield f"{name} is {known}, not {value!r}"
    if config.store is not None and config.cleansession is not False:
        yield "store needs cleansession False: a clean session has nothing to keep"
    if config.auth is not None and config.protocol == "3.1.1":
        yield "auth needs MQTT 5.0, not protocol '3.1.1'"
    if config.keyfile is not None and config.certfile is None:
        yield "keyfile= goes with certfile=, whose key it is"
    yield from _will_at_fault(config)
    given: object = config.auth
    if given is not None and not isinstance(given, Authentication):
        yield f"auth has a method, begin, answer and finish; not {given!r}"


def _types_at_fault(config: Settings) -> Iterator[str]:
    for name, (kinds, may_be_asked, words) in _KINDS.items():
        value = getattr(config, name)
        is_right = value is None or isinstance(value, kinds)
        if not is_right and not (may_be_asked and callable(value)):
            yield f"{name} is {words}, not {type(value).__name__}"
    alpn: object = config.alpn
    if not isinstance(alpn, Sequence) or isinstance(alpn, str) or not _are_texts(alpn):
        yield f"alpn is a list of texts, such as ['mqtt'], not {alpn!r:.100}"
    try:
        pairs_of_text(config.user_properties)
    except UsageError as exc:
        yield str(exc)
    if not _are_texts(part for pair in _items(config.extra_headers) for part in pair):
        yield "extra_headers has texts for names and values"
    for topic, entry in _items(config.topics):
        qos, retain = getattr(entry, "qos", entry), getattr(entry, "retain", entry)
        if qos not in (None, 0, 1, 2) or retain not in (None, True, False):
            yield f"topics: {topic!r} has a QoS 0, 1 or 2 and retain true or false"


def _will_at_fault(config: Settings) -> Iterator[str]:
    if isinstance(config.will, Will) and not config.allows_control_characters:
        fault = control_fault(topic := config.will.topic)
        if fault is not None:
            yield f"will: the topic {topic[:64]!r} {fault}"


def _items(value: object) -> Iterable[tuple[object, object]]:
    return value.items() if isinstance(value, Mapping) else ()


def _are_texts(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)


def _numbers_at_fault(config: Settings) -> Iterator[str]:
    for name, (low, high) in _BOUNDS.items():
        value = getattr(config, name)
        is_given = value is not None or name not in _OPTIONAL
        if is_given and not _is_whole(value, low, high):
            limits = f"{low} or more" if high is None else f"{low} to {high}"
            note = _NOTES.get(name, "")
            yield f"{name} is a whole number, {limits}{note}; not {value!r}"
    for name, may_be_0 in _TIMES.items():
        value = getattr(config, name)
        if not _is_time(value, may_be_0=may_be_0):
            limit = "0 or more" if may_be_0 else "above 0"
            yield f"{name} is {limit} seconds, not {value!r}"


def _is_whole(value: object, low: int, high: int | None) -> bool:
    if not isinstance(value, int) or isinstance(value, bool):
        return False
    return value >= low and (high is None or value <= high)


def _is_time(value: object, *, may_be_0: bool) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return value >= 0 if may_be_0 else value > 0
