"""What is different in another configuration, and what of it has to wait. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from structiot.errors import InternalError
from structiot.gateway.config import GatewayConfig, HistorySection, MqttSection
from structiot.gateway.config.links import TOPICS_SYSTEM
from structiot.gateway.isolation import called

__all__ = ["ConfigChange", "change_between"]

# All topics hang on what is left out here, or sockets that others are connected to.
_AT_ONCE = {
    "mqtt": MqttSection.model_fields.keys()
    - {"base_topic", "discovery", "discovery_prefix"},
    "broker": set[str](),
    "dashboard": set[str](),
    "history": HistorySection.model_fields.keys() - {"enabled", "path"},
    "gateway": {"command_s", "goodbye_s", "retry_max_s", "forget_on_exit"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigChange:
    """The way from one configuration to another.

    Attributes:
        config: What is in force afterwards.
        sections: The sections that differ.
        systems: Those of them that are a system's and are there in both.
        at_restart: What keeps its value until the next restart, such as
            `"listen in [broker]"`.
    """

    config: GatewayConfig
    sections: tuple[str, ...]
    systems: tuple[str, ...]
    at_restart: tuple[str, ...]


def change_between(before: GatewayConfig, after: GatewayConfig) -> ConfigChange:
    """Compare the configuration in force with another one."""
    kept: dict[str, dict[str, object]] = {name: {} for name in _AT_ONCE}
    for name, at_once in _AT_ONCE.items():
        old, new = getattr(before, name), getattr(after, name)
        for key in type(old).model_fields:
            if key not in at_once and getattr(old, key) != getattr(new, key):
                kept[name][key] = getattr(old, key)
    if (before.mqtt.uri is None) != (after.mqtt.uri is None):
        kept["mqtt"]["uri"] = before.mqtt.uri
    own = {
        name: getattr(after, name).model_copy(update=values)
        for name, values in kept.items()
    }
    old_systems, new_systems = before.systems, after.systems
    systems = [
        name
        for name in old_systems.keys() & new_systems.keys()
        if _differ(old_systems[name], new_systems[name])
    ]
    differing = {
        *(name for name in _AT_ONCE if getattr(before, name) != getattr(after, name)),
        *systems,
        *(old_systems.keys() ^ new_systems.keys()),
        *(["devices"] if before.devices != after.devices else []),
    }
    # They have no section of their own.
    differing.discard(TOPICS_SYSTEM)
    if before.mqtt != after.mqtt:
        differing.add("mqtt")
    if before.links != after.links:
        differing.add("links")
    return ConfigChange(
        config=after.model_copy(update=own),
        sections=tuple(sorted(differing)),
        systems=tuple(sorted(systems)),
        at_restart=tuple(
            f"{key} in [{name}]" for name, values in kept.items() for key in values
        ),
    )


def _differ(old: object, new: object) -> bool:
    try:
        return called(lambda: bool(old != new))
    except InternalError:
        # Somebody else's class that cannot tell: it is taken up.
        return True
