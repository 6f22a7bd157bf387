"""How the log of a command looks on standard error: lines for people, or JSON.

The same line comes five times a minute at most, and says the next time how often it was
meanwhile; with `-vv` all of them come. For the journal of systemd a line has its priority in front, and no
time, as that has its own.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from structiot._kit.rare_lines import Repeats, more_of
from structiot._kit.text import error_text, fault_text, printable, with_names

__all__ = ["log_handler"]

_A_MINUTE = 5
_MOST_KINDS = 2_000
_LONGEST = 10_000
# As syslog has them.
_PRIORITIES = {
    logging.DEBUG: "<7>",
    logging.INFO: "<6>",
    logging.WARNING: "<4>",
    logging.ERROR: "<3>",
    logging.CRITICAL: "<2>",
}


class _Lines(logging.Formatter):
    """One line a message; tracebacks only where they are wanted."""

    def __init__(
        self,
        names: Mapping[str, str],
        *,
        with_traceback: bool,
        with_name: bool,
        is_journal: bool = False,
    ) -> None:
        name = " %(name)s" if with_name else ""
        head = "%(asctime)s %(levelname)s"
        if is_journal:
            head, name = "", name.lstrip()
        super().__init__(f"{head}{name}: %(message)s".removeprefix(": "))
        self.datefmt = "%H:%M:%S"
        self._names = names
        self._with_traceback = with_traceback
        self._is_journal = is_journal

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's
        """Write a message; arguments of the library are called as the options are."""
        cause = "" if self._with_traceback else _cause(record)
        # What other libraries log may have a stranger's words in it, as they are.
        message = printable(with_names(record.message, self._names), most=_LONGEST)
        record.message = message + cause + _more(record)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: ANN401, N802 - logging's
        """Write the traceback, where it is wanted."""
        return super().formatException(ei) if self._with_traceback else ""

    def format(self, record: logging.LogRecord) -> str:
        """Write a message on one line."""
        text = super().format(record)
        text = text if self._with_traceback else text.rstrip("\n")
        if not self._is_journal:
            return text
        priority = _PRIORITIES.get(record.levelno, "<5>")
        return "\n".join(f"{priority}{line}" for line in text.splitlines())


class _Json(logging.Formatter):
    """One JSON object a message, in ASCII."""

    def __init__(self, names: Mapping[str, str], *, with_traceback: bool) -> None:
        super().__init__()
        self._names = names
        self._with_traceback = with_traceback

    def format(self, record: logging.LogRecord) -> str:
        """Write it."""
        at = datetime.fromtimestamp(record.created, UTC)
        told: dict[str, object] = {
            "time": at.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": with_names(record.getMessage(), self._names),
        }
        if unsaid := getattr(record, "unsaid", 0):
            told["repeats"] = unsaid
        if record.exc_info and self._with_traceback:
            told["traceback"] = self.formatException(record.exc_info)
        elif cause := _cause(record):
            told["message"] = f"{told['message']}{cause}"
        return json.dumps(told)


def _cause(record: logging.LogRecord) -> str:
    """Say of what is told with a traceback what it was, unless the message does."""
    error = record.exc_info[1] if record.exc_info else None
    if error is None or error_text(error) in record.getMessage():
        return ""
    return f": {fault_text(error)}"


def _more(record: logging.LogRecord) -> str:
    return more_of(getattr(record, "unsaid", 0))


class _Seldom(logging.Filter):
    """Lets the same line through a few times a minute."""

    def __init__(self) -> None:
        super().__init__()
        self._repeats = Repeats(time.monotonic, most=_A_MINUTE, most_kinds=_MOST_KINDS)

    def filter(self, record: logging.LogRecord) -> bool:
        """Count it if it is one too many."""
        rough = record.name, record.levelno, str(record.msg)
        unsaid = self._repeats.passed((*rough, hash(record.getMessage())), rough)
        record.unsaid = unsaid or 0
        return unsaid is not None


def log_handler(
    names: Mapping[str, str],
    *,
    log_format: str,
    with_traceback: bool,
    with_name: bool,
    repeats: bool,
) -> logging.Handler:
    """Make what writes to standard error.

    Args:
        names: What arguments of the library are called as options.
        log_format: `"text"` or `"json"`.
        with_traceback: Whether tracebacks are wanted.
        with_name: Whether a line of text says which part it is of.
        repeats: Whether the same line may come again and again.
    """
    handler = logging.StreamHandler(sys.stderr)
    if log_format == "json":
        handler.setFormatter(_Json(names, with_traceback=with_traceback))
    else:
        lines = _Lines(
            names,
            with_traceback=with_traceback,
            with_name=with_name,
            is_journal=_is_journal(),
        )
        handler.setFormatter(lines)
    if not repeats:
        handler.addFilter(_Seldom())
    return handler


def _is_journal() -> bool:
    """Tell whether standard error is the journal's, as sd_journal_stream_fd(3) says."""
    device, _, number = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        found = os.fstat(sys.stderr.fileno())
        return (found.st_dev, found.st_ino) == (int(device), int(number))
    except (OSError, ValueError):
        return False
