"""The file `connector.conf`: read, made to be filled in, and the gateway written to it.

It is that of the original client, with sections `[CONNECTOR]` and `[LOGGER]`. A `%`
means nothing in it. A TOML file has tables `[connector]` and `[logger]` instead. All of
it is for worker threads.
"""

from __future__ import annotations

import configparser
import json
import logging
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from structiot._kit.private_file import replace_file
from structiot._kit.text import did_you_mean, path_fault, printable
from structiot.errors import ConfigError

__all__ = ["read_config_file", "section_names", "write_gid"]

_MAX_BYTES: Final = 65_536
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_SECTIONS: Final = ("CONNECTOR", "LOGGER")
_HEADER: Final = re.compile(r"\ufeff?\s*\[([^\]]*)\]")
_GID: Final = re.compile(r"(?i)gid\s*[=:]")
_BLANK: Final = """\
[CONNECTOR]
# Whether the platform speaks TLS: yes or no.
encryption = no
# With encryption: a file of authorities to be trusted in place of the system's.
cafile =
host =
port =
user =
password =
# Written here when the platform has given it.
gid =

[LOGGER]
# debug, info, warning, error or critical
level = info
rotating_log = no
rotating_log_backup_count = 14
"""

_log: Final = logging.getLogger("structiot.connector")


def read_config_file(path: Path) -> dict[str, Any]:
    """Read what a file says, as the attributes of a `ConnectorConfig` are called.

    One that others can read is closed to them, with a line in the log.

    Raises:
        ConfigError: There is none (a `connector.conf` has been made then), or it cannot
            be read.
    """
    try:
        data = _bytes_of(path)
    except FileNotFoundError:
        if _is_toml(path):
            raise _fault(path, "there is none") from None
        raise _made(path) from None
    except ConfigError:
        # It is a ValueError, and has the path already.
        raise
    except (OSError, ValueError) as exc:
        raise _fault(path, path_fault(exc)) from None
    return _told_in(path, data)


def section_names(path: Path) -> tuple[str, str]:
    """Say where the keys of the connector stand, and those of its log."""
    if _is_toml(path):
        return "[connector]", "[logger]"
    return "[CONNECTOR]", "[LOGGER]"


def write_gid(path: Path, gid: str) -> None:
    """Write a gateway to the file, and leave all else in it as it is.

    Raises:
        ConfigError: The file cannot be read or written, or is none any more.
    """
    # A link is another name of the same file, not a file to take the place of.
    file = Path(os.path.realpath(path))
    try:
        data = _bytes_of(file)
        told = _told_in(path, data)
        if told.get("gid", "") == gid:
            return
        changed = _with_gid(data.decode(), gid, is_toml=_is_toml(path)).encode()
        if _told_in(path, changed) != {**told, "gid": gid}:
            why = "there is no place in it for the gateway id"
            raise _fault(path, f"{why}: write gid = {gid} yourself", "written")
        beside = file.with_name(f".{file.name}.{os.getpid()}.new")
        replace_file(file, changed, beside=beside)
    except OSError as exc:
        raise _fault(path, path_fault(exc), "written") from None


def _is_toml(path: Path) -> bool:
    return path.suffix.lower() == ".toml"


def _fault(path: Path, why: str, done: str = "read") -> ConfigError:
    return ConfigError(f"{printable(str(path))} cannot be {done}: {why}")


def _made(path: Path) -> ConfigError:
    """Make a file to be filled in, and the error that says so."""
    try:
        # Not written over one that somebody else makes just now.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
            file.write(_BLANK.encode())
    except OSError as exc:
        return _fault(path, f"there is none, and none can be made: {path_fault(exc)}")
    message = (
        f"{printable(str(path))} was not there and has been made: fill in host, port, "
        "user and password"
    )
    return ConfigError(message)


def _bytes_of(path: Path) -> bytes:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        # A pipe would be read without end.
        raise _fault(path, "it is no file")
    with path.open("rb") as file:
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise _fault(path, f"it is longer than {_MAX_BYTES} bytes")
    if os.name == "posix" and status.st_mode & _OTHERS:
        try:
            path.chmod(0o600)
        except OSError:
            _log.warning("others can read %s, which has a password", path)
        else:
            mode = stat.S_IMODE(status.st_mode)
            text = "others could read %s; its mode was changed from %04o to 0600"
            _log.warning(text, path, mode)
    return data


def _told_in(path: Path, data: bytes) -> dict[str, Any]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _fault(path, "it is no text in UTF-8") from None
    is_toml = _is_toml(path)
    tables = _tables(path, text) if is_toml else _sections(path, text)
    found = {}
    for name, table in tables.items():
        section = name.upper()
        if section in _SECTIONS and isinstance(table, dict):
            found[section] = table
        elif not is_toml:
            hint = did_you_mean(section, _SECTIONS)
            shown = printable(name, most=64)
            raise _fault(path, f"there is no section [{shown}]{hint}")
    if "CONNECTOR" not in found:
        raise _fault(path, f"it has no {section_names(path)[0]}")
    logger = {"logger": found["LOGGER"]} if "LOGGER" in found else {}
    return {**found["CONNECTOR"], **logger}


def _sections(path: Path, text: str) -> dict[str, Mapping[str, Any]]:
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        parser.read_string(text)
    except configparser.Error as exc:
        # Its own words show the line, which may be that of the password.
        lines = getattr(exc, "errors", None) or [[getattr(exc, "lineno", None)]]
        if isinstance(exc, configparser.MissingSectionHeaderError):
            what = "is above the first section, [CONNECTOR]"
        elif "Duplicate" in type(exc).__name__:
            what = "is there twice"
        else:
            what = "is no setting"
        raise _fault(path, f"line {lines[0][0]} {what}") from None
    return {name: dict(parser[name]) for name in parser.sections()}


def _tables(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as exc:
        # As above.
        found = re.search(r"line \d+", str(exc))
        where = f": {found[0]}" if found else ""
        raise _fault(path, f"it is no TOML{where}") from None


def _with_gid(text: str, gid: str, *, is_toml: bool) -> str:
    """Give the lines of a file with another gateway in its section."""
    lines = text.splitlines(keepends=True)
    end = "\r\n" if "\r\n" in text else "\n"
    entry = f"gid = {json.dumps(gid, ensure_ascii=False) if is_toml else gid}{end}"
    at = None
    is_ours = False
    for number, line in enumerate(lines):
        if header := _HEADER.match(line):
            is_ours = header[1].strip().upper() == "CONNECTOR"
            at = number if is_ours else at
        elif is_ours and _GID.match(line):
            lines[number] = entry
            return "".join(lines)
    if at is not None:
        if not lines[at].endswith("\n"):
            lines[at] += end
        lines.insert(at + 1, entry)
    return "".join(lines)
