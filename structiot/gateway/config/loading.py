"""Reads a gateway's configuration and says all that is wrong with it at once."""

from __future__ import annotations

import codecs
import logging
import re
import shlex
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from os import PathLike, fspath
from pathlib import Path as FilePath
from typing import Any, TypeVar
from urllib.parse import urlsplit

import anyio.to_thread
from pydantic import BaseModel, ValidationError

from structiot._kit.arguments import check_argument
from structiot.errors import InternalError
from structiot.gateway.config.assembly import config_model
from structiot.gateway.config.checks import (
    checks_failed,
    cross_field_checks,
    own_login,
)
from structiot.gateway.config.fields import (
    Finding,
    IsSecret,
    bytes_of,
    marked,
    models_in,
)
from structiot.gateway.config.files import with_files
from structiot.gateway.config.positions import (
    Path,
    Positions,
    find_positions,
    position_at,
)
from structiot.gateway.config.problems import findings_of
from structiot.gateway.config.reading import is_open_to_others
from structiot.gateway.config.secret_sources import with_secrets
from structiot.gateway.config.sections import GatewayConfig
from structiot.gateway.config.syntax import syntax_fault
from structiot.gateway.errors import ConfigProblem, InvalidConfig
from structiot.gateway.isolation import called

__all__ = ["configuration_of", "load_config"]

M = TypeVar("M", bound=BaseModel)

_log = logging.getLogger(__name__)

_MAX_DEPTH = 50
_MOST_BYTES = 1 << 22
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_WRITE = "the path of a TOML file, or a mapping such as {'maxsmart': {}}"
# Python takes no longer one from a text.
_INTEGER_BITS = 64
_TOO_MANY_DIGITS = "no number may have so many digits: an integer has 64 bits"
_LONG_NUMBER = re.compile(r"[0-9][0-9_]{4300,}")


def load_config(source: str | PathLike[str] | Mapping[str, Any]) -> GatewayConfig:
    """Read and check the settings of a gateway.

    It reads files: where a loop runs already, call it in a worker thread.

    Args:
        source: Path of a TOML file, or a mapping of what such a file holds.

    Returns:
        The settings; what was not given has its default.

    Raises:
        InvalidConfig: Everything that is wrong: a file that cannot be read or is not
            TOML, unknown keys, wrong types, impossible values. Its `problems` have
            file, line and column. It is a `ConfigError`.
        UsageError: The source is neither a path nor a mapping.
    """
    check_argument("source", source, str, PathLike, Mapping, write=_WRITE)
    if isinstance(source, Mapping):
        return _checked(source, path="", folder=FilePath(), positions=Positions())
    path = str(fspath(source))
    text = _text_of(path)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        place, message = syntax_fault(text, str(exc))
        problem = ConfigProblem(
            path=path, line=place.line, column=place.column, message=message
        )
        raise InvalidConfig([problem]) from exc
    except ValueError as exc:
        raise InvalidConfig([_long_number(path, text)]) from exc
    except RecursionError:
        data = None
    if data is None or _is_deeper_than(_MAX_DEPTH, data):
        message = f"tables and arrays are nested more than {_MAX_DEPTH} deep"
        raise InvalidConfig([_without_place(path, message)])
    config = _checked(
        data, path=path, folder=FilePath(path).parent, positions=find_positions(text)
    )
    if _has_secret(type(config), data) and is_open_to_others(FilePath(path)):
        _log.warning(
            "%s has a secret in it, and others than its owner may read it: chmod 600 %s",
            path,
            shlex.quote(path),
        )
    return config


async def configuration_of(
    config: GatewayConfig | str | PathLike[str] | Mapping[str, Any],
) -> GatewayConfig:
    """Give settings as they are, or those that `load_config` makes of a source.

    Raises:
        InvalidConfig: As `load_config` raises it.
        UsageError: It is nothing of that.
    """
    kinds = (GatewayConfig, str, PathLike, Mapping)
    check_argument("config", config, *kinds, write=_WRITE)
    if isinstance(config, GatewayConfig):
        return config
    return await anyio.to_thread.run_sync(load_config, config, abandon_on_cancel=True)


def _has_secret(model: type[GatewayConfig], data: Mapping[str, Any]) -> bool:
    if any(isinstance(one.value, str) for one in marked(model, data, IsSecret)):
        return True
    uri = data.get("mqtt", {}).get("uri")
    return isinstance(uri, str) and bool(urlsplit(uri).password)


def _is_deeper_than(depth: int, data: object) -> bool:
    level = [data]
    for _ in range(depth):
        level = [
            item
            for one in level
            if isinstance(one, dict | list)
            for item in (one.values() if isinstance(one, dict) else one)
        ]
    return bool(level)


def _without_place(path: str, message: str) -> ConfigProblem:
    return ConfigProblem(path=path, line=None, column=None, message=message)


def _text_of(path: str) -> str:
    try:
        raw = bytes_of(FilePath(path), most_bytes=_MOST_BYTES)
    except ValueError as exc:
        raise InvalidConfig([_without_place(path, str(exc))]) from exc
    try:
        # Notepad begins files with a byte order mark.
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        if raw[:2] in _UTF_16:
            message = (
                "the file is in UTF-16: save it as UTF-8, which TOML is written in"
            )
            raise InvalidConfig([_without_place(path, message)]) from exc
        head = raw[: exc.start].decode()
        place = position_at(head, len(head))
        message = f"byte 0x{raw[exc.start]:02x} is no UTF-8, which TOML is written in"
        raise InvalidConfig(
            [
                ConfigProblem(
                    path=path, line=place.line, column=place.column, message=message
                )
            ]
        ) from exc


def _long_number(path: str, text: str) -> ConfigProblem:
    match = _LONG_NUMBER.search(text)
    place = None if match is None else position_at(text, match.start())
    return ConfigProblem(
        path=path,
        line=place.line if place else None,
        column=place.column if place else None,
        message=_TOO_MANY_DIGITS,
    )


def _too_long(data: object, path: Path) -> Iterator[Finding]:
    """Find integers that are none of TOML's."""
    if isinstance(data, Mapping):
        for key, item in data.items():
            yield from _too_long(item, (*path, key))
    elif isinstance(data, list | tuple):
        for index, item in enumerate(data):
            yield from _too_long(item, (*path, index))
    elif isinstance(data, int) and data.bit_length() >= _INTEGER_BITS:
        yield Finding(path=path, message=_TOO_MANY_DIGITS)


def _checked(
    data: Mapping[str, Any], *, path: str, folder: FilePath, positions: Positions
) -> GatewayConfig:
    if too_long := list(_too_long(data, ())):
        # Nobody could show them.
        raise InvalidConfig(_problems(path, too_long, positions))
    model, findings = config_model(data)
    data, trouble = with_secrets(model, data, folder)
    findings += trouble
    findings += cross_field_checks(model, data)
    written, (data, trouble) = data, with_files(model, data, folder)
    findings += trouble
    config = None
    try:
        config = _validated(model, data, findings)
    except ValidationError as exc:
        everything, _ = config_model(data, is_whole=True)
        findings += findings_of(exc, everything, is_toml=bool(path))
    if config is not None and not findings:
        findings += own_login(config, written)
    if findings or config is None:
        raise InvalidConfig(_problems(path, findings, positions)) from None
    return config


def _validated(
    model: type[GatewayConfig], data: Mapping[str, Any], findings: list[Finding]
) -> GatewayConfig:
    try:
        return _made(model, dict(data))
    # A stranger's validator may fail in any way; it costs its own section.
    except InternalError:
        healthy = dict(data)
        for name, info in model.model_fields.items():
            for section, _ in models_in(info.annotation) if name in healthy else ():
                try:
                    _made(section, data[name])
                except ValidationError:
                    pass
                except InternalError as exc:
                    findings.append(checks_failed(name, exc))
                    healthy.pop(name, None)
        if len(healthy) == len(data):
            raise
        return _made(model, healthy)


def _made(model: type[M], data: object) -> M:
    """Make settings.

    Raises:
        ValidationError: They are wrong.
        InternalError: A check of somebody's has failed itself.
    """

    def make() -> M | ValidationError:
        try:
            return model.model_validate(data)
        except ValidationError as exc:
            # It asks what was raised for its text.
            exc.errors()
            return exc

    made = called(make)
    if isinstance(made, ValidationError):
        raise made
    return made


def _problems(
    path: str, findings: Iterable[Finding], positions: Positions
) -> list[ConfigProblem]:
    problems = []
    for finding in findings:
        find = positions.key if finding.is_about_key else positions.value
        place = find(finding.path)
        problems.append(
            ConfigProblem(
                path=path,
                line=place.line if place else None,
                column=place.column if place else None,
                message=finding.message,
            )
        )
    return sorted(problems, key=lambda p: (p.line or 0, p.column or 0, p.message))
