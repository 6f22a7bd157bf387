"""The machine that the gateway runs on: its clock, its limits, its ports."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

from structiot._kit.environment import Environment
from structiot.cli.doctor.findings import Finding, bind_advice, fine, wrong
from structiot.errors import ConnectFailed
from structiot.gateway import GatewayConfig

if sys.platform != "win32":
    import resource

__all__ = ["clock_findings", "limit_findings", "port_findings"]

# Nobody has this program who lives before; and a clock far ahead is as wrong.
_EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
_LATEST = datetime(2100, 1, 1, tzinfo=UTC)
_LEAST_FILES = 256
_PORTS = {"http": 80, "https": 443, "mqtt": 1883, "ws": 80}


def clock_findings(environment: Environment) -> Iterator[Finding]:
    """Look whether the clock was ever set."""
    now_utc = environment.now_utc()
    shown = f"{now_utc:%Y-%m-%d %H:%M} UTC"
    if _EARLIEST <= now_utc < _LATEST:
        yield fine("clock", f"it is {shown}")
        return
    advice = (
        "set it (timedatectl set-ntp true): certificates and signatures are refused "
        "until then"
    )
    yield wrong("clock", f"it was never set: it says {shown}", advice)


def limit_findings() -> Iterator[Finding]:
    """Look how many files and connections there may be."""
    if sys.platform == "win32":
        return
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _LEAST_FILES:
        advice = "raise it: ulimit -n 4096, or LimitNOFILE= of the service"
        what = f"only {soft} files and connections may be open at a time"
        yield wrong("limits", what, advice)
    else:
        yield fine("limits", "there may be enough files and connections")


async def port_findings(
    config: GatewayConfig, environment: Environment
) -> list[Finding]:
    """Look whether the page and the embedded broker can listen where they shall."""
    places = []
    if config.dashboard.enabled:
        places += [("[dashboard]", uri) for uri in config.dashboard.listen]
    if config.mqtt.uri is None:
        places += [("[broker]", uri) for uri in config.broker.listen]
    found = []
    for section, uri in places:
        parts = urlsplit(uri)
        port = _PORTS.get(parts.scheme, 0) if parts.port is None else parts.port
        try:
            async with environment.network.listen_tcp(parts.hostname or "", port):
                found.append(fine(f"{section} listen", f"{uri} is free"))
        except ConnectFailed as exc:
            where = f"{section} listen"
            found.append(wrong(where, str(exc), bind_advice(exc, section)))
    return found
