"""How a connector is configured: by arguments, by a mapping, or by a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from os import PathLike
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, cast

from structiot._kit.redact import Secret, redact
from structiot._kit.text import did_you_mean, printable
from structiot.connector.config_file import read_config_file, section_names, write_gid
from structiot.errors import ConfigError

__all__ = ["ConnectorConfig", "LogConfig", "LogLevel", "PlatformChoice"]

PlatformChoice = Literal["sepl", "senergy"]
LogLevel = Literal["debug", "info", "warning", "error", "critical"]

_LEVELS: Final = ("debug", "info", "warning", "error", "critical")
_FLAGS: Final = {"yes": True, "no": False}
_SCHEMES: Final = ("https://", "http://")
_EMPTY: Final = ("", 0, Secret(""))
_MQTT_PORTS: Final[dict[bool | None, int]] = {True: 8883, False: 1883}
_HIGHEST_PORT: Final = 65_535
_ConfigT = TypeVar("_ConfigT", "ConnectorConfig", "LogConfig")

_PATHS: Final = ("cafile", "path")
_TEXTS: Final = (
    "host", "user", "gid", "api_url", "token_url", "client_id", "hub_name",
)  # fmt: skip
_NEEDED: Final = {
    "sepl": ("host", "port", "user", "password"),
    "senergy": ("host", "user", "password", "api_url", "token_url", "client_id"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """What `[LOGGER]` says; `connector_logging` does it.

    Attributes:
        level: The least that is logged: `debug`, `info`, `warning`, `error`, `critical`.
        rotating_log: Whether it goes to a file, with a new one each midnight.
        rotating_log_backup_count: How many of the old ones are kept.

    Raises:
        ConfigError: Something cannot be; the message names all of it.
    """

    level: LogLevel = "info"
    rotating_log: bool = False
    rotating_log_backup_count: int = 14

    def __post_init__(self) -> None:
        faults = []
        level = str(self.level).lower()
        if level not in _LEVELS:
            faults.append(f"level is one of {', '.join(_LEVELS)}")
        is_rotating = _flag(self.rotating_log)
        if is_rotating is None:
            faults.append("rotating_log is yes or no")
        count = _number(self.rotating_log_backup_count)
        if count is None:
            faults.append("rotating_log_backup_count is a number of files")
        if faults:
            raise ConfigError("; ".join(faults))
        object.__setattr__(self, "level", level)
        object.__setattr__(self, "rotating_log", is_rotating)
        object.__setattr__(self, "rotating_log_backup_count", count)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ConnectorConfig:
    """Where the platform is, and who we are there.

    Attributes:
        host: Name or address of the platform: of its websocket (`sepl`) or its broker
            (`senergy`).
        port: Its TCP port; for `senergy` that of MQTT by default, 8883 or 1883.
        user: Name of the user.
        password: The user's password, also given as a text; never shown.
        encryption: Whether TLS is spoken, also given as `yes` or `no`; by default with
            `senergy` only.
        cafile: File of the authorities that are trusted in place of the system's; in a
            file relative to that.
        gid: The gateway that we are there; empty until the platform has given one. With
            `senergy` it is the hub.
        platform: `sepl`, the websocket platform, or `senergy`, which took its place.
        api_url: Where devices and hubs are managed (`senergy`).
        token_url: Where tokens are given (`senergy`).
        client_id: As what tokens are asked for (`senergy`).
        hub_name: What a new hub is called (`senergy`).
        logger: What is to be logged; None if nobody has said.
        path: The file that it is from, and that keeps the gateway; None if none.

    Raises:
        ConfigError: Something cannot be; the message names all of it.
    """

    host: str = ""
    port: int = 0
    user: str = ""
    password: Secret = field(default_factory=lambda: Secret(""))
    encryption: bool = cast("bool", None)
    cafile: Path | None = None
    gid: str = ""
    platform: PlatformChoice = "sepl"
    api_url: str = ""
    token_url: str = ""
    client_id: str = ""
    hub_name: str = "structiot"
    logger: LogConfig | None = None
    path: Path | None = None

    def __post_init__(self) -> None:
        given: dict[str, Any] = {
            one.name: getattr(self, one.name) for one in fields(self)
        }
        is_mqtt = given["platform"] == "senergy"
        said, password = given["encryption"], given["password"]
        encryption = _flag(is_mqtt if said in (None, "") else said)
        usual = _MQTT_PORTS.get(encryption, 0) if is_mqtt else 0
        given["encryption"] = encryption
        given["port"] = _number(given["port"] or usual)
        given["password"] = Secret(password) if isinstance(password, str) else password
        for name in _PATHS:
            if isinstance(given[name], str):
                # What is left blank in a file is nothing.
                given[name] = Path(given[name]) if given[name] else None
        for name in ("encryption", "port", "password", *_PATHS):
            object.__setattr__(self, name, given[name])
        faults = [*_text_faults(given), *_faults(given)]
        if self.cafile is not None and not self.has_tls:
            faults.append("cafile goes with encryption = yes")
        if faults:
            raise ConfigError("; ".join(faults))

    @property
    def has_tls(self) -> bool:
        """Whether TLS is spoken, be it by HTTP alone."""
        urls = (self.api_url, self.token_url)
        return self.encryption or any(str(one).startswith("https:") for one in urls)

    def __repr__(self) -> str:
        """Show what is set, without the password."""
        given = {item.name: getattr(self, item.name) for item in fields(self)}
        shown = cast("dict[str, object]", redact(given))
        told = [f"{name}={value!r}" for name, value in shown.items() if value]
        return f"ConnectorConfig({', '.join(told)})"

    @classmethod
    def of(
        cls,
        config: ConnectorConfig | Mapping[str, Any] | str | PathLike[str],
        platform: PlatformChoice | None = None,
    ) -> ConnectorConfig:
        """Read a configuration; blocks for a file.

        Args:
            config: A path to a `connector.conf` (or to a TOML file with a table
                `[connector]`), a mapping with the attributes' names, or one that is
                made already. A `connector.conf` that is missing is made, to be filled
                in.
            platform: Which platform it is whatever the configuration says.

        Raises:
            ConfigError: It is none, or cannot be; no message shows a password.
        """
        if isinstance(config, ConnectorConfig):
            return config if platform is None else replace(config, platform=platform)
        given: object = config
        if not isinstance(given, str | PathLike | Mapping):
            kind = type(given).__name__
            text = f"config is a path, a mapping or a ConnectorConfig, not a {kind}"
            raise ConfigError(text)
        path = None if isinstance(config, Mapping) else Path(config)
        told: Any = config if path is None else _told_at(path)
        if platform is not None:
            told = {**told, "platform": platform}
        where, of_logger = ("", "logger") if path is None else section_names(path)
        faults: list[str] = []
        if isinstance(logger := told.get("logger"), Mapping):
            # What is left blank is as by default.
            given = {name: value for name, value in logger.items() if value != ""}
            told = {**told, "logger": _made(LogConfig, given, of_logger, faults)}
        made = _made(cls, told, where, faults)
        if made is None or faults:
            shown = f"{printable(str(path))}: " if path else ""
            raise ConfigError(f"{shown}{'; '.join(faults)}")
        return made

    def with_gid(self, gid: str) -> ConnectorConfig:
        """Copy it with another gateway, which its file keeps from now on; blocks.

        All else in the file stays as it is, and who is killed leaves the old one or the
        new one.

        Raises:
            ConfigError: No such gateway can be, or the file cannot be written; it is
                left as it was.
        """
        changed = replace(self, gid=gid)
        if self.path is not None:
            write_gid(self.path, gid)
        return changed


def _told_at(path: Path) -> dict[str, Any]:
    told = {**read_config_file(path), "path": path}
    if told.get("cafile") and isinstance(told["cafile"], str):
        told["cafile"] = path.parent / told["cafile"]
    return told


def _made(
    kind: type[_ConfigT], told: Mapping[str, Any], where: str, faults: list[str]
) -> _ConfigT | None:
    """Make settings of what was told; all that is wrong goes to `faults`."""
    known = [item.name for item in fields(kind)]
    for name in told:
        if name not in known:
            shown, place = printable(str(name), most=64), where and f" in {where}"
            hint = did_you_mean(shown, known)
            faults.append(f"unknown key {shown!r}{place}{hint}")
    try:
        return kind(**{name: told[name] for name in known if name in told})
    except ConfigError as exc:
        faults.append(f"{exc}")
        return None


def _text_faults(given: Mapping[str, Any]) -> Iterator[str]:
    for name in _TEXTS:
        value = given[name]
        if not isinstance(value, str) or not value.isprintable():
            yield f"{name} is a text of one line"
        elif name == "host" and set("/@ ") & set(value):
            yield "host is a name or an address, without ws:// or a path"
        elif name.endswith("_url") and value and not value.startswith(_SCHEMES):
            yield f"{name} begins with https:// or http://"
    password = given["password"]
    if not isinstance(password, Secret):
        yield "password is a text"
    elif any("\ud800" <= one <= "\udfff" for one in password.reveal()):
        yield "password has half a character"


def _faults(given: Mapping[str, Any]) -> Iterator[str]:
    if given["platform"] not in ("sepl", "senergy"):
        yield "platform is sepl or senergy"
    if given["encryption"] is None:
        yield "encryption is yes or no"
    if given["port"] is None or given["port"] > _HIGHEST_PORT:
        yield f"port is a number from 1 to {_HIGHEST_PORT}"
    for name in _PATHS:
        if not isinstance(given[name], Path | None):
            yield f"{name} is that of a file"
    if not isinstance(given["logger"], LogConfig | None):
        yield "logger is a mapping"
    needed = _NEEDED["senergy" if given["platform"] == "senergy" else "sepl"]
    missing = [name for name in needed if given[name] in _EMPTY]
    if missing:
        yield f"{', '.join(missing)}: to be filled in"


def _flag(value: object) -> bool | None:
    if isinstance(value, str):
        return _FLAGS.get(value.strip().lower())
    return value if isinstance(value, bool) else None


def _number(value: object) -> int | None:
    """Read a number of at most nine digits, also in a text; None for anything else."""
    if isinstance(value, str):
        text = value.strip()
        return (
            int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
        )
    return value if type(value) is int and value >= 0 else None
