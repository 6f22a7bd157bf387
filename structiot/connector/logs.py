"""What `[LOGGER]` asks for, by the standard library's logging; nothing by itself."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from logging.handlers import TimedRotatingFileHandler
from os import PathLike
from pathlib import Path

from structiot._kit.arguments import check_argument
from structiot._kit.text import path_fault, printable
from structiot.connector.config import LogConfig
from structiot.errors import ConfigError

__all__ = ["connector_logging"]


@contextmanager
def connector_logging(
    config: LogConfig | None, *, folder: str | PathLike[str] = "logs"
) -> Generator[logging.Handler]:
    """Log what a connector says for the length of the block, as `[LOGGER]` has it.

    It goes to standard error or, with `rotating_log`, to `connector-client.log`, which is
    put aside each midnight; to other handlers it does not go then. Without this the
    logger `structiot.connector` is the program's, as any other.

    Args:
        config: What is to be logged, and where; None, as of a file without `[LOGGER]`, is
            `LogConfig()`.
        folder: Where the file is; made if it is missing.

    Yields:
        The handler, for loggers of your own whose lines are to stand between these.

    Raises:
        ConfigError: The file cannot be written.
        UsageError: No such configuration.
    """
    check_argument("config", config, LogConfig, None)
    config = config or LogConfig()
    handler = _handler(config, Path(folder) / "connector-client.log")
    handler.setFormatter(
        logging.Formatter("%(asctime)s - %(levelname)s: [%(name)s] %(message)s")
    )
    logger = logging.getLogger("structiot.connector")
    level, propagate = logger.level, logger.propagate
    logger.setLevel(config.level.upper())
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
        handler.close()


def _handler(config: LogConfig, path: Path) -> logging.Handler:
    if not config.rotating_log:
        return logging.StreamHandler()
    kept = config.rotating_log_backup_count
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return TimedRotatingFileHandler(
            path, when="midnight", backupCount=kept, encoding="utf-8"
        )
    except (OSError, ValueError) as exc:
        shown = printable(str(path))
        raise ConfigError(f"cannot log to {shown}: {path_fault(exc)}") from None
