"""What callers give: put into the form that the wire wants, or refused in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast, get_args

from structiot.errors import UsageError
from structiot.mqtt.subscription import AckMode
from structiot.mqtt.wire.properties import (
    PublishProperties,
    pairs_of_text,
    properties_of,
)
from structiot.mqtt.wire.topics import control_fault, filter_fault

__all__ = [
    "checked_ack",
    "checked_count",
    "checked_filter",
    "checked_filters",
    "checked_properties",
    "checked_qos",
    "control_character_fault",
    "listed",
    "name_of",
    "pairs_of",
]

_REPEATED = (tuple, list)


def name_of(topic: str | Sequence[str]) -> str:
    """Give a topic or filter as text.

    Raises:
        UsageError: It is neither text nor levels of text.
    """
    if isinstance(topic, str):
        # A member of an enumeration is a str with a text of its own.
        return str.__str__(topic)
    levels: object = topic
    if isinstance(levels, Sequence) and all(isinstance(level, str) for level in levels):
        return "/".join(levels)
    raise UsageError(f"a topic is a text, or its levels as texts, not {topic!r:.100}")


def control_character_fault(topic: str) -> str | None:
    """Say which character of a topic a broker may hang up at, and what lets it pass."""
    fault = control_fault(topic)
    if fault is None:
        return None
    return (
        f"{fault}, at which brokers such as Mosquitto hang up "
        "(allows_control_characters=True sends it)"
    )


def checked_filter(topic: str | Sequence[str], *, is_lenient: bool) -> str:
    """Give a topic filter as text; who is lenient lets control characters pass.

    Raises:
        UsageError: It is none.
    """
    name = name_of(topic)
    fault = filter_fault(name)
    if fault is None and not is_lenient:
        fault = control_character_fault(name)
    if fault is not None:
        raise UsageError(f"topic filter {name[:64]!r} {fault}")
    return name


def checked_filters(
    topic: str | Sequence[str] | Mapping[str, int], qos: int, *, is_lenient: bool
) -> dict[str, int]:
    """Give topic filters with the QoS of each: one with `qos`, or those of a mapping.

    Raises:
        UsageError: A filter or QoS that is none, no filter at all, or a QoS beside those
            of a mapping.
    """
    if not isinstance(topic, Mapping):
        return {checked_filter(topic, is_lenient=is_lenient): checked_qos(qos)}
    if not topic:
        raise UsageError("a subscription has at least one topic filter")
    if qos:
        raise UsageError("each filter of a mapping has its own QoS, none beside them")
    return {
        checked_filter(name, is_lenient=is_lenient): checked_qos(most)
        for name, most in topic.items()
    }


def checked_ack(ack: object) -> AckMode:
    """Give a way to acknowledge.

    Raises:
        UsageError: It is none.
    """
    known = get_args(AckMode)
    if isinstance(ack, str) and ack in known:
        return cast("AckMode", ack)
    text = f"there is no way to acknowledge {ack!r}; use {', '.join(map(repr, known))}"
    raise UsageError(text)


def checked_count(name: str, value: object) -> int:
    """Give how many there may be of something.

    Raises:
        UsageError: It is no whole number, or less than 1.
    """
    if isinstance(value, int) and value >= 1:
        return value
    raise UsageError(f"{name} is a whole number, 1 or more, not {value!r:.100}")


def checked_qos(qos: object) -> int:
    """Give a QoS.

    Raises:
        UsageError: It is none.
    """
    if isinstance(qos, int) and 0 <= qos <= 2:
        return qos
    raise UsageError(f"QoS {qos!r:.100} does not exist; it is 0, 1 or 2")


def checked_properties(properties: object) -> PublishProperties:
    """Give the properties of a message, without what belongs to a connection.

    Raises:
        UsageError: They are of another class, or hold what no message can have and what
            is needed before they are encoded.
    """
    if isinstance(properties, Mapping):
        properties = properties_of(PublishProperties, properties)
    if not isinstance(properties, PublishProperties):
        given = type(properties).__name__
        raise UsageError(f"properties are PublishProperties or a mapping, not {given}")
    expiry_s = properties.message_expiry_s
    if expiry_s is not None and not isinstance(expiry_s, int):
        raise UsageError(f"message_expiry_s is whole seconds, not {expiry_s!r:.100}")
    pairs = properties.user_properties
    if type(pairs) is not tuple:
        properties = replace(properties, user_properties=pairs_of_text(pairs))
    return properties.end_to_end()


def pairs_of(items: Iterable[Any], what: str) -> Iterator[tuple[Any, Any]]:
    """Take pairs one by one.

    Raises:
        UsageError: There is something else among them, or there are none.
    """
    for item in listed(items, f"{what} are pairs in a list"):
        if not isinstance(item, _REPEATED) or len(item) != 2:
            raise UsageError(f"{what} are pairs, not {item!r:.100}")
        yield item[0], item[1]


def listed(items: Any, what: str) -> Iterable[Any]:  # noqa: ANN401 - that is the point
    """Take what is to be a list; a text would be one of its letters.

    Raises:
        UsageError: It is none; the message begins with what it should be.
    """
    if not isinstance(items, Iterable) or isinstance(items, str | bytes | bytearray):
        raise UsageError(f"{what}, not {items!r:.100}")
    return items
