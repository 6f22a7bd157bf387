"""`structiot meross watch`: what happens, as it happens."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import asyncclick as click
from anyio.abc import TaskGroup

from structiot._kit.flow.tasks import service_group
from structiot._kit.text import printable
from structiot.cli._common.device_commands import DeviceTarget
from structiot.cli._common.output import show_json
from structiot.cli._common.signals import run_until_stopped
from structiot.cli.meross.account import account_command
from structiot.cli.meross.complete import complete_device
from structiot.cli.meross.device import DeviceCommand, lan_options, open_lan
from structiot.cli.meross.finding import AnyDevice, device_of
from structiot.meross import (
    AccountEvent,
    DeviceAdded,
    DeviceRemoved,
    DeviceRenamed,
    Meross,
    MerossDevice,
    Notification,
    Stats,
)
from structiot.model import (
    Availability,
    DeviceEvent,
    EntitiesChanged,
    Occurrence,
    StateChange,
)
from structiot.model.text import state_text

__all__ = ["watch"]

Happening: TypeAlias = DeviceEvent | AccountEvent | Notification
Tell: TypeAlias = Callable[[AnyDevice, Happening], None]

_KINDS = {
    "StateChange": "state",
    "Availability": "availability",
    "EntitiesChanged": "entities",
    "Occurrence": "occurrence",
    "DeviceAdded": "added",
    "DeviceRemoved": "removed",
    "DeviceRenamed": "renamed",
    "Notification": "notification",
}
_A_DAY = timedelta(days=1)


@click.command(cls=DeviceCommand, short_help="Show what happens, as it happens.")
@account_command(lan_options, opens=False)
@click.argument("device", required=False, shell_complete=complete_device)
@click.option(
    "--raw", is_flag=True, help="What devices tell through the cloud, as they say it."
)
@click.option(
    "--stats", "wants_stats", is_flag=True, help="Say at the end what was sent."
)
async def watch(
    target: DeviceTarget[Meross],
    *,
    device: str | None,
    raw: bool,
    wants_stats: bool,
    wants_json: bool,
) -> None:
    """Show the events of DEVICE, or of the whole account, until Ctrl-C.

    First comes what is so already, then what changes: states, occurrences, devices that
    come, go, and are away or back. A line each, by --json in JSON.
    """
    options = dict(target.options)
    lan, key = options.pop("lan"), options.pop("key")
    tell = _show_line if wants_json is False else _show_json

    async def show() -> None:
        if lan is not None:
            async with open_lan(lan, key=key, account=options) as one:
                await _follow(one, tell, raw=raw)
            return
        async with target.open_device(**options) as account:
            try:
                if device is not None:
                    await _follow(await device_of(account, device), tell, raw=raw)
                elif raw:
                    await _follow_notes(account, tell)
                else:
                    await _follow_account(account, tell)
            finally:
                if wants_stats:
                    _show_stats(account.stats)

    await run_until_stopped(show)


async def _follow(device: AnyDevice, tell: Tell, *, raw: bool) -> None:
    if raw and isinstance(device, MerossDevice):
        await _follow_notes(device, tell)
        return
    news = _News(device)
    async with device.events() as events:
        async for event in events:
            if news.has(event):
                tell(device, event)


class _News:
    """Knows whether an event says more than that a device is described as it was."""

    def __init__(self, device: AnyDevice) -> None:
        self._device = device
        self._entities = device.entities

    def has(self, event: DeviceEvent) -> bool:
        before, self._entities = self._entities, self._device.entities
        return not isinstance(event, EntitiesChanged) or self._entities != before


async def _follow_notes(source: Meross | MerossDevice, tell: Tell) -> None:
    async with source.notifications() as notes:
        async for note in notes:
            tell(note.device, note)  # type: ignore[arg-type]  # an account has no others


async def _follow_account(account: Meross, tell: Tell) -> None:
    async with service_group() as tasks, account.events() as events:
        followed = _Followed(tell, tasks)
        async for event in events:
            tell(event.device, event)
            if isinstance(event, DeviceAdded):
                followed.add(event.device)


class _Followed:
    """Devices whose events are told, and what hangs on them as it is found."""

    def __init__(self, tell: Tell, tasks: TaskGroup) -> None:
        self._tell = tell
        self._tasks = tasks
        self._devices: set[AnyDevice] = set()

    def add(self, device: AnyDevice) -> None:
        if device not in self._devices:
            self._devices.add(device)
            self._tasks.start_soon(
                self._follow, device, name="structiot.cli.meross.watch"
            )

    async def _follow(self, device: AnyDevice) -> None:
        news = _News(device)
        async with device.events() as events:
            async for event in events:
                if news.has(event):
                    self._tell(device, event)
                if isinstance(device, MerossDevice):
                    for one in device.subdevices.values():
                        self.add(one)
        self._devices.discard(device)


def _show_json(device: AnyDevice, event: Happening) -> None:
    told = {
        name: value
        for name, value in ((n, getattr(event, n)) for n in event.__dataclass_fields__)
        if name != "device"
    }
    kind = _KINDS.get(type(event).__name__, type(event).__name__)
    info = device.info
    show_json({"event": kind, "device": info.id, "name": info.name, **told})


def _show_line(device: AnyDevice, event: Happening) -> None:
    at_utc = getattr(event, "at_utc", None) or datetime.now(UTC)
    name = printable(device.info.name)
    text = printable(_words(device, event), most=2000)
    click.echo(f"{at_utc.astimezone():%H:%M:%S}  {name}  {text}")


def _words(device: AnyDevice, event: Happening) -> str:
    text = f"has {', '.join(one.key for one in device.entities) or 'nothing'}"
    match event:
        case StateChange(key=key, state=state):
            entity = next((one for one in device.entities if one.key == key), None)
            text = f"{key}  {state_text(state, entity) or '-'}"
        case Availability():
            text = "online" if event.is_available else f"away: {event.reason}"
        case Occurrence(key=key, event_type=event_type):
            text = f"{key}  {event_type}"
        case Notification(namespace=namespace, data=data):
            text = f"{namespace}  {json.dumps(data, ensure_ascii=False)}"
        case DeviceRenamed(before=before):
            text = f"was called {before}"
        case DeviceAdded():
            text = "is there"
        case DeviceRemoved():
            text = "is gone"
    return text


def _show_stats(stats: Stats) -> None:
    """Say on standard error what was sent, and what came of it."""
    counted = stats(_A_DAY)
    for name in ("performed", "delayed", "dropped", "timed_out"):
        counts = getattr(counted, name)
        by = {**counts.by_transport, **counts.by_namespace}
        parts = ", ".join(f"{what} {number}" for what, number in by.items())
        text = f"{name.replace('_', ' ')}: {counts.total}"
        click.echo(printable(f"{text} ({parts})" if parts else text), err=True)
