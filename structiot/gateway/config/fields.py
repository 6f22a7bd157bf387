"""Types of settings that the sections of all systems are made of.

    class PlugSection(SystemSection):
        host: Host
        name: DeviceName | None = None
        poll_s: Annotated[float, seconds(0.5, 3600)] = 5.0
        key_file: Annotated[str | None, NamedFile(secret_in, into="key")] = None
        key: Hidden | None = None

A field's name, type, range and default are all that the reader and the documentation
know of it. What stands in files is marked, at any depth, and read by `files.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Annotated, ClassVar, TypeAlias, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.fields import FieldInfo

from structiot._kit.redact import Secret
from structiot.gateway.config.positions import Path
from structiot.gateway.config.values import (
    check_any_listen_uri,
    check_base_topic,
    check_gateway_id,
    check_host,
    check_listen_uri,
    check_name,
)

__all__ = [
    "DeviceId",
    "DeviceName",
    "Finding",
    "Hidden",
    "Host",
    "Hosts",
    "Listen",
    "NamedFile",
    "Port",
    "Section",
    "SystemSection",
    "Topic",
    "beside_config",
    "fields_given",
    "is_device_name",
    "models_in",
    "readable",
    "seconds",
    "secret_in",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One problem, before its place in the text is known.

    Attributes:
        path: Where in the settings it is.
        message: What is wrong and what would be right.
        is_about_key: Whether the key is the problem, not its value.
    """

    path: Path
    message: str
    is_about_key: bool = False

    def below(self, *path: str | int) -> Finding:
        """Give the same as found in a part of larger settings."""
        return Finding(
            path=(*path, *self.path),
            message=self.message,
            is_about_key=self.is_about_key,
        )


class Section(BaseModel):
    """One table of a configuration."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        arbitrary_types_allowed=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        strict=True,
    )


class SystemSection(Section):
    """The section of a system; its class lives beside the system's driver."""

    @classmethod
    def cross_checks(cls, table: Mapping[str, object]) -> Iterable[Finding]:  # noqa: ARG003 - of the others
        """Find settings that contradict each other, in the section as it was written.

        It is called whatever else is wrong, so types are not to be trusted. Paths are
        relative to the section.
        """
        return ()


# ---------------------------------------------------------------- files


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A mark on a field that names a file, relative to the configuration file.

    Attributes:
        read: Gives the value that the settings shall have; a `ValueError` says what is
            wrong with the file, to stand behind the key.
        into: The field that takes this value; the field itself if None.
    """

    read: Callable[[FilePath], object]
    into: str | None = None


def secret_in(file: FilePath) -> Secret:
    """Read a secret: the file's first line."""
    try:
        first_line = _bytes_of(file).decode().partition("\n")[0].rstrip("\r")
    except UnicodeDecodeError:
        raise ValueError("cannot be read: it is not text") from None
    if not first_line:
        raise ValueError("has an empty first line")
    return Secret(first_line)


def readable(file: FilePath) -> str:
    """See that a file, which is read later, can be read now."""
    _bytes_of(file)
    return str(file)


def beside_config(file: FilePath) -> str:
    """Name a file that may not exist yet so that it is found from anywhere."""
    return str(file)


def _bytes_of(file: FilePath) -> bytes:
    try:
        return file.read_bytes()
    except OSError as exc:
        raise ValueError(
            f"cannot be read: {(exc.strerror or str(exc)).lower()}"
        ) from exc


# ---------------------------------------------------------------- values


def _hidden(value: object) -> object:
    return Secret(value) if isinstance(value, str) else value


def seconds(low: float, high: float) -> object:
    """Bound a time, both ends included."""
    return Field(ge=low, le=high, allow_inf_nan=False)


class _NamesADevice:
    """Marks the name of a device, which no other may have."""


Port: TypeAlias = Annotated[int, Field(ge=1, le=65535)]
Host: TypeAlias = Annotated[str, AfterValidator(check_host)]
# TOML has lists, frozen settings have tuples; the items stay strict.
Hosts: TypeAlias = Annotated[tuple[Host, ...], Field(strict=False)]
Listen: TypeAlias = Annotated[
    tuple[Annotated[str, AfterValidator(check_listen_uri)], ...],
    AfterValidator(check_any_listen_uri),
    Field(strict=False),
]
Topic: TypeAlias = Annotated[str, AfterValidator(check_base_topic)]
Hidden: TypeAlias = Annotated[Secret, BeforeValidator(_hidden)]
DeviceName: TypeAlias = Annotated[str, AfterValidator(check_name), _NamesADevice()]
DeviceId: TypeAlias = Annotated[str, AfterValidator(check_gateway_id)]


# ---------------------------------------------------------------- looking through


def fields_given(
    model: type[BaseModel], table: Mapping[str, object], path: Path = ()
) -> Iterator[tuple[Path, FieldInfo, object]]:
    """Give every setting that was written, at any depth, with what is known of it."""
    for key, info in model.model_fields.items():
        if key not in table:
            continue
        value = table[key]
        yield (*path, key), info, value
        for inner, is_item in models_in(info.annotation):
            items = enumerate(value) if isinstance(value, list | tuple) else ()
            below = items if is_item else [(None, value)]
            for index, item in below:
                if isinstance(item, Mapping):
                    place = (*path, key) if index is None else (*path, key, index)
                    yield from fields_given(inner, item, place)


def is_device_name(info: FieldInfo) -> bool:
    """Tell whether a field is the name of a device."""
    return _has_mark(info.annotation) or _mark_in(info.metadata)


def _has_mark(annotation: object) -> bool:
    if get_origin(annotation) is Annotated:
        return _mark_in(get_args(annotation)[1:])
    return any(_has_mark(part) for part in get_args(annotation))


def _mark_in(marks: Iterable[object]) -> bool:
    return any(isinstance(mark, _NamesADevice) for mark in marks)


def models_in(annotation: object) -> Iterator[tuple[type[BaseModel], bool]]:
    """Give the tables that a setting may be, and whether it is an array of them."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        if issubclass(annotation, BaseModel):
            yield annotation, False
        return
    is_array = get_origin(annotation) is tuple
    for part in get_args(annotation):
        for inner, is_item in models_in(part):
            yield inner, is_item or is_array
