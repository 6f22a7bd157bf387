"""`sim_meross_replay`: a captured device as a simulated one."""

from __future__ import annotations

import stat
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio.to_thread

from structiot._kit.arguments import check_argument
from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.text import path_fault, printable
from structiot.errors import ConfigError, ProtocolViolation
from structiot.meross.wire.capture_file import read_manifest, read_records
from structiot.sim.meross.broker import MerossBroker
from structiot.sim.meross.captured_state import CapturedState
from structiot.sim.meross.device import MerossDeviceSim
from structiot.sim.meross.models.model import MerossModel
from structiot.sim.meross.parts.captured import Captured
from structiot.sim.meross.simulator import (
    MerossSim,
    check_identity,
    check_place,
    sim_meross_device,
)
from structiot.sim.shared.clock import SimClock

__all__ = ["sim_meross_replay"]


@asynccontextmanager
async def sim_meross_replay(
    path: str | Path,
    *,
    host: str = "192.168.1.60",
    http_port: int = 80,
    key: str = MerossDeviceSim.default_key,
    user_id: str = "1000001",
    encrypted: bool | None = None,
    broker: MerossBroker | None = None,
    clock: SimClock | None = None,
    requests_kept: int = 1000,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> AsyncGenerator[MerossSim]:
    """Simulate the device of a capture for the length of the block.

    It has the abilities that were captured and is as it was at the end: it answers for
    all that was asked of it, and what it is told to be it is from then on. What was not
    captured it does not know, and what happens by itself (a door that opens) does not.

    Args:
        path: The capture, such as `structiot meross sniff` writes.
        host: Address it has.
        http_port: TCP port; 0 takes a free one, see `MerossSim.http_port`.
        key: The key that it is set up with; that of the capture is in none.
        user_id: The account that it belongs to.
        encrypted: Whether it is encrypted in the local network; as captured by default.
        broker: Host, port and TLS settings of its broker, these None without TLS; None
            leaves it in the local network alone.
        clock: The clock it lives by; wall time by default.
        requests_kept: How many of the latest requests `MerossSim.requests` holds.
        environment: Where its sockets are, and which time it is; the system's by default.

    Yields:
        The device, as of `sim_meross_device`; it has no loads and no door.

    Raises:
        ConfigError: The file cannot be read.
        ProtocolViolation: It is no capture, a damaged one, or one of absurd size.
        ConnectFailed: The address or the port cannot be bound.
        UsageError: An argument of another class.
    """
    check_argument("path", path, str, Path)
    check_place(host, http_port, clock, requests_kept, environment)
    check_identity(key, user_id, broker, encrypted=encrypted)
    state = await anyio.to_thread.run_sync(_read, Path(path))
    async with sim_meross_device(
        host,
        model=_model_of(state),
        uuid=state.manifest.uuid,
        key=key,
        user_id=user_id,
        encrypted=encrypted,
        broker=broker,
        http_port=http_port,
        clock=clock,
        requests_kept=requests_kept,
        environment=environment,
    ) as sim:
        yield sim


def _read(path: Path) -> CapturedState:
    """Read a capture; it blocks."""
    try:
        # Opening a pipe would wait for somebody to write.
        if not stat.S_ISREG(path.stat().st_mode):
            raise ConfigError(f"{path} is no file")
        with path.open("rb") as file:
            state = CapturedState(read_manifest(file))
            state.take_all(read_records(file))
    except ProtocolViolation as exc:
        message = f"{printable(str(path))}: {exc}"
        raise ProtocolViolation(message, data=exc.data, offset=exc.offset) from exc
    except (OSError, ValueError) as exc:
        if isinstance(exc, ConfigError):
            raise
        message = f"{printable(str(path))} cannot be read: {path_fault(exc)}"
        raise ConfigError(message) from exc
    return state


def _model_of(state: CapturedState) -> MerossModel:
    told = state.manifest
    everything = state.payloads.get("Appliance.System.All", {}).get("all")
    return MerossModel(
        name=told.model,
        about="what was captured of one",
        sub_type=told.sub_type or "",
        hardware=told.hardware or "",
        firmware=told.firmware or "",
        abilities=state.abilities,
        parts=(lambda stage: Captured(stage, state),),
        is_legacy=isinstance(everything, dict) and "control" in everything,
    )
