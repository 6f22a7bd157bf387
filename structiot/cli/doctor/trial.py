"""A trial: all systems of a configuration for a short time, with a broker of their own.

What is wrong with a strip, an account or a platform is said by whoever speaks to it, in the
words of the log; here is nothing that knows better. State and names are those of the
gateway, by a copy of its state file, so that nobody takes it for another.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from structiot._kit.environment import Environment
from structiot._kit.text import counted
from structiot.cli.doctor.findings import Finding, advice_for, fine, heading_of, wrong
from structiot.errors import StructiotError
from structiot.gateway import GatewayConfig, open_gateway, status_of
from structiot.gateway.config import BrokerSection, DashboardSection
from structiot.gateway.drivers.connector import ConnectorSection
from structiot.gateway.drivers.connector.kept import KeptDevices
from structiot.gateway.state_file import StateFile
from structiot.gateway.status import GatewayStatus, TaskStatus

__all__ = ["tried"]

_LEAST_S = 2.0
# Connections that do not stand by then, will not at once.
_LINKS_S = 8.0
_MOST_NOTES = 20
_MISTAKEN = re.compile(r"is \S+, not \S+, which")
_LOOK_S = 0.25
_WELL = {"running", "absent", "ended", "removed"}
_SETTLED = {*_WELL, "failing", "parked"}


async def tried(
    config: GatewayConfig,
    state_file: Path | None,
    environment: Environment,
    *,
    patience_s: float,
    warnings: Iterable[str] = (),
) -> tuple[GatewayStatus | None, list[Finding]]:
    """Run the systems until it is known how they are, or the time is over.

    Args:
        config: The settings.
        state_file: The gateway's.
        environment: Network, clock and chance.
        patience_s: Longest time for it.
        warnings: What is warned of meanwhile.
    """
    if not config.systems:
        return None, []
    notes: list[Finding] = []
    try:
        async with AsyncExitStack() as stack:
            copy = await stack.enter_async_context(_copy_of(state_file))
            config = _for_trial(config)
            if "connector" in config.systems and not await _has_gid(config, copy):
                config = config.model_copy(update={"connector": None})
                what = (
                    "it is not tried: the platform would make a gateway for each trial"
                )
                notes.append(Finding(level="note", where="[connector]", what=what))
            gateway = await stack.enter_async_context(
                open_gateway(config, state_file=copy, environment=environment)
            )
            links_by_s = anyio.current_time() + _LINKS_S
            with anyio.move_on_after(patience_s):
                await anyio.sleep(_LEAST_S)
                while not _is_settled(status_of(gateway), links_by_s):  # noqa: ASYNC110 - nothing tells of it
                    await anyio.sleep(_LOOK_S)
            status = status_of(gateway)
    except StructiotError as exc:
        return None, [*notes, wrong("gateway", str(exc))]
    found = [one for task in _systems_in(status) for one in _of_system(task)]
    found += _of_links(status, found)
    found += _warned(warnings, found)
    return status, [*notes, *await _with_networks(found, environment)]


def _warned(warnings: Iterable[str], found: list[Finding]) -> Iterator[Finding]:
    """Give what was said meanwhile, and is no finding yet."""
    known = [one.what for one in found if one.level == "wrong"]
    for text in list(dict.fromkeys(warnings))[:_MOST_NOTES]:
        if any(one in text for one in known):
            continue
        if _MISTAKEN.search(text):
            yield wrong("gateway", text)
        else:
            advice = advice_for(text)
            yield Finding(level="note", where="log", what=text, advice=advice)


async def _has_gid(config: GatewayConfig, state_file: Path) -> bool:
    """Tell whether the platform knows this gateway already."""
    state = await StateFile.open(state_file)
    kept = KeptDevices(state)
    section: ConnectorSection = config.systems["connector"]  # type: ignore[assignment]
    gid = kept.gid(section.place)
    state.close()
    return bool((await anyio.to_thread.run_sync(section.config, gid)).gid)


def _for_trial(config: GatewayConfig) -> GatewayConfig:
    """Give settings that disturb nobody."""
    mqtt = config.mqtt.model_copy(update={"uri": None, "discovery": False})
    changes: dict[str, Any] = {
        "mqtt": mqtt,
        "broker": BrokerSection(listen=("mqtt://127.0.0.1:0",)),
        "dashboard": DashboardSection(enabled=False),
        "gateway": config.gateway.model_copy(update={"state_file": None}),
        "history": config.history.model_copy(update={"enabled": False}),
        # Nothing says on the broker of a trial whether a device is there.
        "links": tuple(
            one.model_copy(update={"availability": None}) for one in config.links
        ),
    }
    return config.model_copy(update=changes)


@asynccontextmanager
async def _copy_of(file: Path | None) -> AsyncIterator[Path]:
    folder = await anyio.to_thread.run_sync(tempfile.mkdtemp, None, "structiot-doctor-")
    copy = Path(folder) / "state.json"
    try:
        if file is not None and await anyio.to_thread.run_sync(file.is_file):
            await anyio.to_thread.run_sync(shutil.copyfile, file, copy)
        yield copy
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(
                lambda: shutil.rmtree(folder, ignore_errors=True)
            )


# ---------------------------------------------------------------- what it comes to


def _systems_in(status: GatewayStatus) -> Iterator[TaskStatus]:
    for root in status.tasks:
        for task in root.children:
            if task.name not in {"broker connection", "history", "links"}:
                yield task


def _all_in(task: TaskStatus) -> Iterator[TaskStatus]:
    yield task
    for child in task.children:
        yield from _all_in(child)


def _is_settled(status: GatewayStatus, links_by_s: float) -> bool:
    are_up = all(one.is_up for one in status.links)
    return (are_up or anyio.current_time() > links_by_s) and all(
        one.state in _SETTLED for task in _systems_in(status) for one in _all_in(task)
    )


def _of_system(task: TaskStatus) -> Iterator[Finding]:
    where = heading_of(task.name)
    parts = [one for child in task.children for one in _all_in(child)]
    bad = [one for one in parts if one.state not in _WELL]
    # A connection that is down is the reason for the driver and for its devices.
    reasons = {one.reason for one in bad}
    if task.state not in _WELL and not any(
        one in task.reason for one in reasons if one
    ):
        what = task.reason or f"it is {task.state} still"
        yield wrong(where, what)
    for one in bad:
        is_inherited = any(
            other is not one
            and other.reason
            and one.reason.endswith(f": {other.reason}")
            for other in bad
        )
        if not is_inherited:
            what = one.reason or f"it is {one.state} still"
            yield wrong(f"{where} {one.name}", what)
    well = sum(one.state == "running" for one in parts)
    if not bad and task.state in _WELL:
        about = counted(well, "device or connection", "devices and connections")
        yield fine(where, f"it runs, with {about}")


def _of_links(status: GatewayStatus, found: list[Finding]) -> Iterator[Finding]:
    """Give the connections that do not stand, where nothing else has said why."""
    known = [one.what for one in found]
    for link in status.links:
        if not (link.is_up or any(link.reason in one for one in known)):
            yield wrong(link.name, link.reason)


async def _with_networks(
    found: list[Finding], environment: Environment
) -> list[Finding]:
    """Say of what cannot be reached in no network of this machine, that this is so."""
    networks = [one.network for one in await environment.host_network.interfaces()]
    if not networks:
        return found
    return [_with_network(one, networks) for one in found]


def _with_network(finding: Finding, networks: list[Any]) -> Finding:
    words = f"{finding.where} {finding.what}".replace(":", " ").split()
    for word in words if finding.level == "wrong" else ():
        try:
            address = ip_address(word.strip("()[],;"))
        except ValueError:
            continue
        if address.version == 4 and not any(address in one for one in networks):
            shown = ", ".join(str(one) for one in networks if not one.is_loopback)
            what = (
                f"{finding.what}; {address} is in none of this machine's networks"
                f"{f' ({shown})' if shown else ''}"
            )
            advice = "put both into one network, or see that the router leads there"
            usual = advice_for(finding.what)
            is_away = "switched on" in usual or "route" in usual or "listens" in usual
            return wrong(finding.where, what, advice) if is_away else finding
    return finding
