"""Devices on paper, for the tests of their features."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from structiot._device.commands import check_command
from structiot.meross.features.feature import About, Feature
from structiot.meross.wire.device_list import Channel
from structiot.meross.wire.envelope import Method
from structiot.meross.wire.system import SystemAll
from structiot.model import Command

NOW = datetime(2023, 11, 14, 12, 0, tzinfo=UTC)
UUID = "2401010000000000000048e1e9aabbcc"


def about(
    *abilities: str,
    model="mss310",
    digest=None,
    channels=(),
    firmware="6.3.22",
    timezone="Europe/Rome",
    attributes=None,
) -> About:
    """A device with these abilities, without `Appliance.` before them."""
    attributes = attributes or {}
    return About(
        device=UUID,
        model=model,
        system=SystemAll(
            uuid=UUID,
            model=model,
            firmware=firmware,
            timezone=timezone,
            digest=digest or {},
        ),
        abilities={f"Appliance.{one}": attributes.get(one, {}) for one in abilities},
        channels=tuple(Channel(number=n, name=name) for n, name in enumerate(channels)),
    )


def take(feature: Feature, namespace: str, payload, at_s: float = 0.0) -> Any:
    """Let it read a GETACK or PUSH."""
    return feature.take(
        f"Appliance.{namespace}", payload, NOW + timedelta(seconds=at_s)
    )


def command(feature: Feature, key: str, value: Command) -> list[tuple[str, object]]:
    """Check a command as a device does, and give namespace and payload of its SETs."""
    check_command(feature.entities, key, value, device="it")
    requests = feature.command(key, value, NOW)
    assert all(request.method is Method.SET for request in requests)
    return [(r.namespace.removeprefix("Appliance."), dict(r.payload)) for r in requests]


def acknowledge(
    feature: Feature, key: str, value: Command, payload=None, at_s: float = 0.0
) -> Any:
    """Carry out the only request of a command, and let its SETACK be read."""
    (request,) = feature.command(key, value, NOW)
    at_utc = NOW + timedelta(seconds=at_s)
    return feature.acknowledged(request, payload or {}, at_utc)


def questions(feature: Feature) -> list[tuple[str, str, object, str]]:
    """What it wants to be asked: method, namespace, payload and pace."""
    return [
        (
            str(poll.request.method),
            poll.request.namespace.removeprefix("Appliance."),
            dict(poll.request.payload),
            poll.pace,
        )
        for poll in feature.polls
    ]


def keys(feature: Feature) -> list[str]:
    """The keys of its entities."""
    return [entity.key for entity in feature.entities]


def entity(feature: Feature, key: str) -> Any:
    """One entity of it."""
    return next(one for one in feature.entities if one.key == key)


__all__ = [
    "NOW",
    "UUID",
    "about",
    "acknowledge",
    "command",
    "entity",
    "keys",
    "questions",
    "take",
]
