"""Puts the examination together: one thing after another, as far as it makes sense."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot.cli._common.served_gateway import state_file_of
from structiot.cli.doctor.broker import broker_findings
from structiot.cli.doctor.files import (
    config_findings,
    history_findings,
    state_findings,
)
from structiot.cli.doctor.findings import Finding
from structiot.cli.doctor.machine import (
    clock_findings,
    limit_findings,
    port_findings,
)
from structiot.cli.doctor.trial import tried
from structiot.gateway import GatewayConfig
from structiot.gateway.status import GatewayStatus

__all__ = ["Report", "examine"]

_LOG_LINES = 2_000


@dataclass(slots=True, kw_only=True)
class Report:
    """What an examination has found.

    Attributes:
        path: The configuration's file.
        findings: What was looked at, in this order.
        config: The settings; None if they cannot be used.
        status: How the systems were at the end of the trial; None if there was none.
        log: What was logged meanwhile.
        warnings: What of it was a warning, without the time.
    """

    path: str
    findings: list[Finding] = field(default_factory=list)
    config: GatewayConfig | None = None
    status: GatewayStatus | None = None
    log: deque[str] = field(default_factory=lambda: deque(maxlen=_LOG_LINES))
    warnings: deque[str] = field(default_factory=lambda: deque(maxlen=_LOG_LINES))


async def examine(
    path: str,
    *,
    patience_s: float = 20.0,
    tries_id: bool = False,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> Report:
    """Look at all that the gateway of a configuration needs.

    Args:
        path: The configuration's file.
        patience_s: Longest time for the trial.
        tries_id: Whether the client id may be taken from whoever has it.
        environment: Network, clock and chance.
    """
    report = Report(path=path)
    found = report.findings
    with _logging_into(report):
        found += clock_findings(environment)
        found += limit_findings()
        report.config, about = await config_findings(path)
        found += about
        if report.config is None:
            return report
        is_running, about = await state_findings(path, report.config, environment)
        found += about
        found += await history_findings(path, report.config)
        if not is_running:
            found += await port_findings(report.config, environment)
        found += await broker_findings(
            report.config, environment, is_running=is_running, tries_id=tries_id
        )
        if is_running:
            what = "it runs: its systems are not tried, `structiot top` shows them"
            found.append(Finding(level="note", where="gateway", what=what))
            return report
        report.warnings.clear()
        report.status, about = await tried(
            report.config,
            state_file_of(path, report.config),
            environment,
            patience_s=patience_s,
            warnings=report.warnings,
        )
        found += about
    return report


class _Ring(logging.Handler):
    def __init__(self, report: Report) -> None:
        super().__init__()
        self._report = report
        self.setFormatter(
            logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
        )

    def emit(self, record: logging.LogRecord) -> None:
        self._report.log.append(self.format(record))
        if record.levelno >= logging.WARNING:
            self._report.warnings.append(record.getMessage())


@contextmanager
def _logging_into(report: Report) -> Iterator[None]:
    """Keep the log for the bundle; what matters in it are findings."""
    logger, mqtt = logging.getLogger("structiot"), logging.getLogger("structiot.mqtt")
    before = logger.handlers, logger.level, logger.propagate, mqtt.level
    logger.handlers = [_Ring(report)]
    logger.propagate = False
    logger.setLevel(logging.INFO)
    mqtt.setLevel(logging.NOTSET)
    try:
        yield
    finally:
        logger.handlers, level, logger.propagate, mqtt_level = before
        logger.setLevel(level)
        mqtt.setLevel(mqtt_level)
