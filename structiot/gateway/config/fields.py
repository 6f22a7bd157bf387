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

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import (
    Annotated,
    Any,
    ClassVar,
    Final,
    Generic,
    TypeAlias,
    TypeGuard,
    TypeVar,
    get_args,
    get_origin,
)

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)

from structiot._kit.redact import Secret, hide_credentials
from structiot.gateway.config.positions import Path
from structiot.gateway.config.reading import (
    NamedFile,
    beside_config,
    bytes_of,
    private_bytes_of,
    readable,
    secret_in,
)
from structiot.gateway.config.values import (
    check_any_listen_uri,
    check_base_topic,
    check_gateway_id,
    check_host,
    check_listen_uri,
    check_name,
    check_origin,
)

__all__ = [
    "ANY_NAME",
    "SECRET_SOURCES",
    "DeviceId",
    "DeviceName",
    "Finding",
    "Hidden",
    "Host",
    "Hosts",
    "IsSecret",
    "Listen",
    "Listening",
    "NamedFile",
    "NamesADevice",
    "Origin",
    "Port",
    "Section",
    "SystemSection",
    "Topic",
    "beside_config",
    "bytes_of",
    "marked",
    "models_in",
    "private_bytes_of",
    "readable",
    "seconds",
    "secret_in",
]

ANY_NAME: Final = "NAME"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """A place that a section would have the gateway listen at.

    Attributes:
        path: Where in the settings it is said.
        host: The address; that of all interfaces counts as each of them.
        port: The port; 0 for any.
        is_written: Whether it is said at all, and is no default.
    """

    path: Path
    host: str
    port: int
    is_written: bool = True

    def below(self, *path: str | int) -> Listening:
        """Give the same as found in a part of larger settings."""
        return replace(self, path=(*path, *self.path))


class Section(BaseModel):
    """One table of a configuration."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        arbitrary_types_allowed=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        strict=True,
    )
    # What somebody may write here, and the key that it is said by.
    also_called: ClassVar[Mapping[str, str]] = {}
    # What a new file begins with, where the defaults alone are not enough.
    starts_with: ClassVar[Mapping[str, object]] = {}

    def __repr_args__(self) -> Iterable[tuple[str | None, object]]:
        """Show an address without its credentials."""
        for name, value in super().__repr_args__():
            yield name, hide_credentials(value) if isinstance(value, str) else value


class SystemSection(Section):
    """The section of a system; its class lives beside the system's driver."""

    @classmethod
    def cross_checks(cls, table: Mapping[str, object]) -> Iterable[Finding]:  # noqa: ARG003 - of the others
        """Find settings that contradict each other, in the section as it was written.

        It is called whatever else is wrong, so types are not to be trusted. Paths are
        relative to the section.
        """
        return ()

    @classmethod
    def listens_at(cls, table: Mapping[str, object]) -> Iterable[Listening]:  # noqa: ARG003 - of the others
        """Give the places that the section would listen at, as it was written."""
        return ()


# ---------------------------------------------------------------- values

SECRET_SOURCES: Final[Mapping[str, str]] = {
    "env": "Name of the environment variable that holds it.",
    "file": "File whose first line it is, which nobody else may read.",
    "keyring": "Where it is in the keyring: service/user.",
    "credential": "Name of the systemd credential that it is.",
}
_SECRET_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {
                name: {"type": "string", "description": about}
                for name, about in SECRET_SOURCES.items()
            },
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
        },
    ]
}


def _hidden(value: object) -> object:
    return Secret(value) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class IsSecret:
    """Marks a secret, which may stand elsewhere; see `secret_sources.py`."""


def seconds(low: float, high: float) -> object:
    """Bound a time, both ends included."""
    return Field(ge=low, le=high, allow_inf_nan=False)


class NamesADevice:
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
Origin: TypeAlias = Annotated[str, AfterValidator(check_origin)]
Topic: TypeAlias = Annotated[str, AfterValidator(check_base_topic)]
Hidden: TypeAlias = Annotated[
    Secret, BeforeValidator(_hidden), IsSecret(), WithJsonSchema(_SECRET_SCHEMA)
]
DeviceName: TypeAlias = Annotated[
    str, AfterValidator(check_name), NamesADevice(), Field(examples=["Kitchen"])
]
DeviceId: TypeAlias = Annotated[
    str, AfterValidator(check_gateway_id), Field(examples=["kitchen_strip"])
]


# ---------------------------------------------------------------- looking through


MarkT = TypeVar("MarkT")


@dataclass(frozen=True, slots=True)
class Marked(Generic[MarkT]):
    """A setting that was written and has a mark, with the table that it stands in."""

    path: Path
    mark: MarkT
    value: object
    table: Mapping[str, object]


def marked(
    model: type[BaseModel], table: Mapping[str, object], kind: type[MarkT]
) -> Iterator[Marked[MarkT]]:
    """Give every setting with a mark of this kind, at any depth, each once."""
    seen: set[Path] = set()
    for path, marks, value, around in _of_table(model, table, ()):
        for mark in marks:
            if isinstance(mark, kind) and path not in seen:
                seen.add(path)
                yield Marked(path, mark, value, around)


_Given: TypeAlias = tuple[Path, Iterable[object], object, Mapping[str, object]]


def _of_table(
    model: type[BaseModel], table: Mapping[str, object], path: Path
) -> Iterator[_Given]:
    for key, info in model.model_fields.items():
        if key in table:
            yield (*path, key), info.metadata, table[key], table
            yield from _of_value(info.annotation, table[key], (*path, key), table)


def _of_value(
    annotation: object, value: object, path: Path, table: Mapping[str, object]
) -> Iterator[_Given]:
    if _is_model(annotation):
        if isinstance(value, Mapping):
            yield from _of_table(annotation, value, path)
        return
    origin, parts = get_origin(annotation), get_args(annotation)
    step = _step_into(origin)
    if origin is Annotated:
        yield path, parts[1:], value, table
        yield from _of_value(parts[0], value, path, table)
    elif step is None:
        for part in parts:
            yield from _of_value(part, value, path, table)
    elif step == ANY_NAME:
        for key, item in value.items() if isinstance(value, Mapping) else ():
            yield from _of_value(parts[-1], item, (*path, key), table)
    else:
        items = value if isinstance(value, list | tuple) else ()
        for (index, item), part in product(enumerate(items), parts):
            yield from _of_value(part, item, (*path, index), table)


def models_in(annotation: object) -> Iterator[tuple[type[BaseModel], Path]]:
    """Give the tables that a setting may be or hold, and the way down to each.

    On it 0 stands for any item of an array, and `ANY_NAME` for any key of a table.
    """
    if _is_model(annotation):
        yield annotation, ()
        return
    step = _step_into(get_origin(annotation))
    for part in get_args(annotation):
        for inner, way in models_in(part):
            yield inner, way if step is None else (step, *way)


def _is_model(annotation: object) -> TypeGuard[type[BaseModel]]:
    if not isinstance(annotation, type) or get_origin(annotation) is not None:
        return False
    return issubclass(annotation, BaseModel)


def _step_into(origin: object) -> str | int | None:
    if not isinstance(origin, type):
        return None
    if issubclass(origin, Mapping):
        return ANY_NAME
    return 0 if issubclass(origin, Collection) else None
