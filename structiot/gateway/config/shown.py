"""The settings in force, for people and for programs; secrets are `***`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from structiot._kit.redact import Secret, hide_credentials
from structiot.gateway.config.sections import GatewayConfig
from structiot.gateway.config.toml_text import toml_key, toml_value

__all__ = ["as_data", "as_toml", "defaults_of"]


def as_toml(config: GatewayConfig) -> str:
    """Write the settings as TOML, those that were not given marked as defaults."""
    lines: list[str] = []
    for name in type(config).model_fields:
        value = getattr(config, name)
        if value is None:
            lines += ["", f"# [{name}] is not given: it is not served"]
        else:
            lines += _of_value(toml_key(name), value)
    return "\n".join(lines).strip("\n") + "\n"


def _of_value(header: str, value: object) -> Iterator[str]:
    if isinstance(value, BaseModel):
        yield from ("", f"[{header}]", *_of_section(header, value))
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _of_value(f"{header}.{toml_key(name)}", item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from ("", f"[[{header}]]", *_of_section(header, item))


def _of_section(header: str, section: BaseModel) -> Iterator[str]:
    tables = []
    for name, info in type(section).model_fields.items():
        key, value = info.alias or name, getattr(section, name)
        mark = "" if name in section.model_fields_set else "  # default"
        if value is None:
            yield f"# {toml_key(key)} is not given"
        elif _has_sections(value):
            tables.append((f"{header}.{toml_key(key)}", value))
        else:
            yield f"{toml_key(key)} = {toml_value(value)}{mark}"
    for below, value in tables:
        yield from _of_value(below, value)


def _has_sections(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_sections, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_has_sections, value))
    return isinstance(value, BaseModel)


def as_data(value: object) -> object:
    """Give settings as data that JSON can have."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields.items()
        return {
            info.alias or name: as_data(getattr(value, name)) for name, info in fields
        }
    if isinstance(value, Mapping):
        return {str(key): as_data(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_data(item) for item in value]
    if isinstance(value, Secret):
        return str(value)
    return hide_credentials(value) if isinstance(value, str) else value


def defaults_of(value: object, path: str = "") -> Iterator[str]:
    """Name the settings that were not given, such as `mqtt.base_topic`."""
    if isinstance(value, BaseModel):
        for name, info in type(value).model_fields.items():
            key, item = info.alias or name, getattr(value, name)
            below = f"{path}.{key}" if path else key
            if not _has_sections(item) and name not in value.model_fields_set:
                yield below
            yield from defaults_of(item, below)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from defaults_of(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from defaults_of(item, f"{path}[{index}]")
