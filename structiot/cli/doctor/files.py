"""The files of a gateway: its configuration, what outlasts a restart, its history."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import anyio.to_thread

from structiot._kit.environment import Environment
from structiot._kit.regular_file import read_regular
from structiot.cli._common.served_gateway import history_file_of, state_file_of
from structiot.cli.doctor.findings import Finding, fine, heading_of, wrong
from structiot.errors import ConfigError
from structiot.gateway import GatewayConfig, InvalidConfig, load_config
from structiot.gateway.errors import ConfigProblem
from structiot.gateway.state_file import StateFile

__all__ = ["config_findings", "history_findings", "state_findings"]

_PROBE_BYTES = 262_144
_QUICK_S = 5.0
_STEPS = 100_000
_MOST_STATE_BYTES = 1 << 28


async def config_findings(path: str) -> tuple[GatewayConfig | None, list[Finding]]:
    """Read the configuration; None with what is wrong if it cannot be used."""
    try:
        config = await anyio.to_thread.run_sync(load_config, path)
    except InvalidConfig as exc:
        return None, [_of_problem(one) for one in exc.problems]
    except ConfigError as exc:
        return None, [_of_config(path, str(exc), "")]
    if not config.systems:
        advice = "name a system, such as [maxsmart]; `structiot config init` writes one"
        what = "no system is configured: there is nothing to serve"
        return config, [Finding(level="note", where=path, what=what, advice=advice)]
    names = ", ".join(sorted(heading_of(one).strip("[]") for one in config.systems))
    return config, [fine(path, f"it is right, and has {names}")]


def _of_config(where: str, what: str, advice: str) -> Finding:
    return Finding(
        level="wrong", where=where, what=what, advice=advice, is_about_config=True
    )


def _of_problem(problem: ConfigProblem) -> Finding:
    message = problem.message
    place = problem.path
    if problem.line is not None:
        place = f"{place}:{problem.line}:{problem.column}"
    is_of_another_file = problem.line is not None
    if "no such file" in message and is_of_another_file:
        advice = (
            "see that the file is there, or correct its name, which is relative to the "
            "configuration's folder"
        )
    elif "no such file" in message:
        advice = "name the file by -c FILE, or write one"
    elif "permission" in message:
        advice = "give the user that runs it the right to read it (chown, chmod 0600)"
    elif "not valid TOML" in message:
        advice = "correct the text there; a value is a number, true, or in quotes"
    elif "unknown key" in message:
        advice = "correct the name, or leave it out"
    else:
        advice = "correct it; docs/reference/configuration.md describes each key"
    return _of_config(place, message, advice)


# ---------------------------------------------------------------- state


async def state_findings(
    path: str, config: GatewayConfig, environment: Environment
) -> tuple[bool, list[Finding]]:
    """Look at the state file; tell as well whether a gateway uses it, and so runs."""
    file = state_file_of(path, config)
    if file is None:
        what = "no place for it is known: nothing outlasts a restart"
        advice = "set state_file in [gateway], or $STATE_DIRECTORY"
        found = Finding(level="note", where="state file", what=what, advice=advice)
        return False, [found]
    trouble = await anyio.to_thread.run_sync(_state_trouble, file)
    if trouble is not None:
        return False, [trouble]
    try:
        state = await StateFile.open(file, environment=environment)
    except ConfigError as exc:
        if "in use" in str(exc):
            what = f"{file} is in use: a gateway runs with it already"
            advice = (
                "stop that before you start another, or give one its own state_file"
            )
            found = Finding(level="note", where="state file", what=what, advice=advice)
            return True, [found]
        advice = "set state_file in [gateway] to another file, or move this one away"
        return False, [wrong("state file", str(exc), advice)]
    state.close()
    return False, [fine("state file", f"{file} can be used")]


def _state_trouble(file: Path) -> Finding | None:
    """See that there can be one; to open one that is damaged would set it aside."""
    folder = _existing(file.parent)
    if (trouble := _write_trouble(folder)) is not None:
        return trouble
    if folder != file.parent:
        return fine("state file", f"{file} will be made")
    try:
        json.loads(read_regular(file, most_bytes=_MOST_STATE_BYTES) or b"{}")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is no JSON any more"
        advice = (
            "nothing: at the next start it is set aside as .bad and a new one begun; a "
            "copy of before may take its place while the gateway is stopped"
        )
        return wrong("state file", f"{file} is damaged: {reason}", advice)
    return None


def _existing(folder: Path) -> Path:
    """Give the nearest folder that is there."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _write_trouble(folder: Path) -> Finding | None:
    """Write something there for a moment."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".structiot-") as probe:
            probe.write(bytes(_PROBE_BYTES))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as exc:
        if exc.errno in {errno.ENOSPC, errno.EDQUOT}:
            what, advice = (
                "the disk is full",
                "make room there (df -h shows how much is left)",
            )
        elif exc.errno == errno.EFBIG:
            what, advice = "files there may not grow", "raise ulimit -f"
        else:
            reason = (exc.strerror or str(exc)).lower()
            what = f"nothing can be written there: {reason}"
            advice = "give the user that runs it the right to, or name another folder"
        return wrong(f"folder {folder}", what, advice)
    return None


# ---------------------------------------------------------------- history


async def history_findings(path: str, config: GatewayConfig) -> list[Finding]:
    """Look at the history's file."""
    file = history_file_of(path, config)
    if not config.history.enabled or file is None:
        return []
    return list(await anyio.to_thread.run_sync(lambda: list(_of_history(file))))


def _of_history(file: Path) -> Iterator[Finding]:
    if not file.exists():
        folder = _existing(file.parent)
        yield _write_trouble(folder) or fine("history", f"{file} will be made")
        return
    try:
        verdict = _verdict_on(file)
    except (sqlite3.Error, OSError) as exc:
        verdict = str(exc)
    if verdict in {"ok", ""}:
        yield fine("history", f"{file} is sound")
        return
    advice = (
        "nothing: at the next start it is set aside as .damaged and a new one begun; a copy "
        "of before may take its place while the gateway is stopped"
    )
    yield wrong("history", f"{file} is damaged: {verdict}", advice)


def _verdict_on(file: Path) -> str:
    """Check it, for a few seconds at most: empty if that was not enough."""
    uri = f"file:{quote(str(file))}?mode=ro"
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return steps > _STEPS

    with closing(sqlite3.connect(uri, uri=True, timeout=_QUICK_S)) as connection:
        connection.set_progress_handler(count, 1_000)
        try:
            row = connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.OperationalError as exc:
            if "interrupted" in str(exc) or "locked" in str(exc):
                return ""
            raise
    return str(row[0]).partition("\n")[0]
