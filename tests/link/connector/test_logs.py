"""Logging as `[LOGGER]` asks for it, and as long as the block lasts."""

from __future__ import annotations

import logging
import re
from logging.handlers import TimedRotatingFileHandler
from pathlib import Path

import pytest

from structiot.connector import DevicePool, LogConfig, connector_logging
from structiot.errors import ConfigError, UsageError

LOGGER = logging.getLogger("structiot.connector")
LINE = re.compile(
    r"\d{4}-\d\d-\d\d .* - WARNING: \[structiot\.connector\] no device dev1 to be removed\n"
)


def test_lines_go_to_standard_error(capsys: pytest.CaptureFixture[str]):
    with connector_logging(LogConfig(level="warning")):
        DevicePool().remove("dev1")
        LOGGER.info("not this")
    DevicePool().remove("dev1")
    assert LINE.fullmatch(capsys.readouterr().err)


def test_a_file_without_logger_is_as_one_with_the_defaults():
    with connector_logging(None) as handler:
        assert LOGGER.level == logging.INFO
        assert type(handler) is logging.StreamHandler
    with (
        pytest.raises(UsageError, match="config is LogConfig or None, not str"),
        connector_logging("info"),  # type: ignore[arg-type]
    ):
        pass


def test_lines_go_to_a_file_that_is_put_aside_each_midnight(tmp_path: Path):
    config = LogConfig(level="debug", rotating_log=True, rotating_log_backup_count=3)
    own = logging.getLogger("program of mine")
    with connector_logging(config, folder=tmp_path / "logs") as handler:
        DevicePool().remove("dev1")
        own.addHandler(handler)
        own.error("and mine")
        own.removeHandler(handler)
        assert isinstance(handler, TimedRotatingFileHandler)
        assert (handler.when, handler.backupCount) == ("MIDNIGHT", 3)
    lines = (tmp_path / "logs" / "connector-client.log").read_text().splitlines(True)
    assert LINE.fullmatch(lines[0])
    assert "ERROR: [program of mine] and mine" in lines[1]


def test_the_logger_is_as_before_when_the_block_ends(caplog: pytest.LogCaptureFixture):
    before = LOGGER.level, LOGGER.propagate, [*LOGGER.handlers]
    with pytest.raises(KeyError), connector_logging(LogConfig(level="error")):
        assert LOGGER.getEffectiveLevel() == logging.ERROR
        raise KeyError
    assert (LOGGER.level, LOGGER.propagate, LOGGER.handlers) == before
    DevicePool().remove("dev1")
    assert "no device dev1" in caplog.text


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path):
    (tmp_path / "logs").write_text("")
    with (
        pytest.raises(ConfigError, match="cannot log to"),
        connector_logging(LogConfig(rotating_log=True), folder=tmp_path / "logs"),
    ):
        pass
    assert LOGGER.handlers == []
