"""What is different in another configuration, and what of it has to wait. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from structiot.gateway.config import GatewayConfig

__all__ = ["ConfigChange", "change_between"]

# All topics hang on these, or sockets that others are connected to.
_AT_RESTART = {
    "mqtt": ("base_topic", "discovery", "discovery_prefix"),
    "broker": ("listen", "password_file", "store"),
    "gateway": ("id",),
}
_OWN = ("mqtt", "broker", "gateway")


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
    kept: dict[str, dict[str, object]] = {name: {} for name in _OWN}
    for name, keys in _AT_RESTART.items():
        for key in keys:
            old = getattr(getattr(before, name), key)
            if old != getattr(getattr(after, name), key):
                kept[name][key] = old
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
        if old_systems[name] != new_systems[name]
    ]
    differing = {
        *(name for name in _OWN if getattr(before, name) != getattr(after, name)),
        *systems,
        *(old_systems.keys() ^ new_systems.keys()),
    }
    return ConfigChange(
        config=after.model_copy(update=own),
        sections=tuple(sorted(differing)),
        systems=tuple(sorted(systems)),
        at_restart=tuple(
            f"{key} in [{name}]" for name, values in kept.items() for key in values
        ),
    )
