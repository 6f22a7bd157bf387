"""A strip in another thread, and a configuration that offers it to a platform."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from anyio.from_thread import start_blocking_portal

from structiot.sim import MaxSmartSim, sim_maxsmart

Call: TypeAlias = Callable[..., str]
Write: TypeAlias = Callable[[Mapping[str, Any], MaxSmartSim], None]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


@pytest.fixture
def strip() -> Iterator[MaxSmartSim]:
    with start_blocking_portal("asyncio") as portal:
        simulated = sim_maxsmart(http_port=0, udp_port=0)
        with portal.wrap_async_context_manager(simulated) as sim:
            yield sim


@pytest.fixture
def write(in_a_folder_of_its_own: Path) -> Write:
    """Write a configuration with one strip that is offered to a platform."""

    def write_it(platform: Mapping[str, Any], strip: MaxSmartSim) -> None:
        lines = [
            "[maxsmart]",
            "discover = false",
            "poll_s = 1",
            "[[maxsmart.devices]]",
            f'host = "{strip.host}"',
            f"http_port = {strip.http_port}",
            f"udp_port = {strip.udp_port}",
            'name = "kitchen"',
            "[connector]",
            f'host = "{platform["host"]}"',
            f"port = {platform['port']}",
            f'user = "{platform["user"]}"',
            f'password = "{platform["password"]}"',
            "[[links]]",
            'from = ["*/port_?", "*/total_*"]',
            'to = "platform"',
            'type = "iot#strip"',
        ]
        path = in_a_folder_of_its_own / "structiot.toml"
        path.write_text("\n".join([*lines, ""]))
        # It has a password in it.
        path.chmod(0o600)

    return write_it


@pytest.fixture
def call(call_of: Callable[[str], Call]) -> Call:
    return call_of("connector")
