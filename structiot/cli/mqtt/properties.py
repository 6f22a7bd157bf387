"""`-D PACKET NAME VALUE`: properties of MQTT 5.0, by the words of mosquitto_pub(1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

import asyncclick as click

__all__ = ["PropertyCommand", "properties_of", "property_option"]

Property: TypeAlias = tuple[str, Callable[[str], object]]

_USER = "user-property"
# A pair travels through the parser as one word; no property may hold this.
_JOINT = "\0"

_ANY_MESSAGE: Mapping[str, Property] = {
    "content-type": ("content_type", str),
    "correlation-data": ("correlation_data", str.encode),
    "message-expiry-interval": ("message_expiry_s", int),
    "payload-format-indicator": ("payload_format", int),
    "response-topic": ("response_topic", str),
    _USER: ("user_properties", str),
}
# Into the fields of `PublishProperties`, `WillProperties` and `MqttConfig`.
_PACKETS: Mapping[str, Mapping[str, Property]] = MappingProxyType(
    {
        "connect": {
            "maximum-packet-size": ("max_packet_bytes", int),
            "receive-maximum": ("receive_maximum", int),
            "session-expiry-interval": ("session_expiry_s", int),
            "topic-alias-maximum": ("topic_alias_maximum", int),
            _USER: ("user_properties", str),
        },
        "publish": _ANY_MESSAGE,
        "will": {**_ANY_MESSAGE, "will-delay-interval": ("will_delay_s", int)},
    }
)

property_option: Callable[[Any], Any] = click.option(
    "-D",
    "--property",
    "properties",
    nargs=3,
    multiple=True,
    metavar="PACKET NAME VALUE",
    help="Property of connect, publish or will (5.0), as in mosquitto_pub(1).",
)


class PropertyCommand(click.Command):
    """A command whose `-D` takes one word more after `user-property`."""

    async def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments, each user property as one word."""
        return await super().parse_args(ctx, _joined(args))


def _joined(args: Sequence[str]) -> list[str]:
    words, joined = list(args), []
    while words:
        word = words.pop(0)
        joined.append(word)
        if word in {"-D", "--property"} and len(words) > 3 and words[1] == _USER:
            joined += [*words[:2], _JOINT.join(words[2:4])]
            del words[:4]
    return joined


def properties_of(
    given: Sequence[tuple[str, str, str]], *, publishes: bool
) -> dict[str, dict[str, Any]]:
    """Sort properties by packet, under the names that our classes have for them.

    Args:
        given: The values of `-D`.
        publishes: Whether the command sends messages.

    Raises:
        click.UsageError: No such packet or property, or a value that it cannot have.
    """
    found: dict[str, dict[str, Any]] = {packet: {} for packet in _PACKETS}
    packets = [one for one in _PACKETS if publishes or one != "publish"]
    for packet, name, text in given:
        known = _PACKETS.get(packet.lower(), {})
        if packet.lower() not in packets:
            message = f"-D is for {', '.join(packets)} here, not {packet!r}"
            raise click.UsageError(message)
        if name not in known:
            message = f"-D {packet} knows {', '.join(known)}, not {name!r}"
            raise click.UsageError(message)
        field, convert = known[name]
        fields = found[packet.lower()]
        if name == _USER:
            fields[field] = (*fields.get(field, ()), _pair(text))
            continue
        try:
            fields[field] = convert(text)
        except ValueError as exc:
            message = f"-D {packet} {name} is a number, not {text!r}"
            raise click.UsageError(message) from exc
    return found


def _pair(text: str) -> tuple[str, str]:
    name, joint, value = text.partition(_JOINT)
    if not joint:
        raise click.UsageError(f"-D ... {_USER} takes NAME VALUE")
    return name, value
