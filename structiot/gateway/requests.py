"""What the gateway itself is asked on the broker, and its answers.

<base>/gateway/request/device/reopen    {"device": "kitchen", "transaction": 7}
<base>/gateway/response/device/reopen   {"status": "ok", "data": {}, "transaction": 7}
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from itertools import islice
from typing import NamedTuple

import anyio

from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.json_text import parse_json
from structiot._kit.text import did_you_mean, error_text, printable
from structiot.errors import ProtocolViolation, UsageError
from structiot.gateway.asking import Asked
from structiot.gateway.context import GatewayContext
from structiot.gateway.directory import DeviceDirectory
from structiot.gateway.entities.commands import MAX_COMMAND_BYTES
from structiot.gateway.entities.topics import is_level
from structiot.gateway.isolation import failure_of
from structiot.gateway.reports import GatewayReports
from structiot.mqtt import Message

__all__ = ["GatewayRequests"]

Given = Mapping[str, object]
_MAX_RELOADS = 8
# Whoever asks all the time wears out no device, and no account with a limit.
_RELOADED_S = 1.0
_AGAIN_S = 5.0
_NAMED = 20

_log = logging.getLogger(__name__)


class _Kind(NamedTuple):
    """A request: which members it has, and what gives the data of its answer."""

    members: tuple[str, ...]
    answer: Callable[[Given], Mapping[str, object] | None]


class _Reload(NamedTuple):
    asked: Asked
    what: str
    transaction: object


class GatewayRequests:
    """Answers what the gateway is asked.

    Args:
        context: The gateway's.
        directory: Its devices.
        reports: What it tells of itself.
        restart: Starts the driver of a system anew.
        reload: Reads the configuration again; gives what that leaves for a restart.
    """

    def __init__(
        self,
        context: GatewayContext,
        directory: DeviceDirectory,
        reports: GatewayReports,
        *,
        restart: Callable[[str], None],
        reload: Callable[[], Awaitable[tuple[str, ...]]],
    ) -> None:
        self._context = context
        self._directory = directory
        self._reports = reports
        self._restart_driver = restart
        self._reload = reload
        self._reloads: Mailbox[_Reload] = Mailbox(
            _MAX_RELOADS, policy="drop_newest", name="requests to reload"
        )
        self._done_at: dict[tuple[str, str], float] = {}
        self._kinds = {
            "ping": _Kind((), lambda _: {}),
            "health": _Kind((), lambda _: reports.health()),
            "info": _Kind((), lambda _: reports.info()),
            "devices": _Kind(("page",), self._devices),
            "device/reopen": _Kind(("device",), self._reopen),
            "driver/restart": _Kind(("system",), self._restart),
            # Answered when it is done.
            "reload": _Kind((), lambda _: None),
        }

    def take(self, message: Message) -> None:
        """Take whatever somebody has published on a topic of requests."""
        what = self._context.topics.request_of(message.topic)
        if what is None:
            return
        asked = Asked.of(message, self._context)
        given: Given = {}
        if message.retain:
            self._refuse(asked, what, None, "a retained request is not obeyed")
            return
        try:
            given = _given(message.payload)
            data = self._kind(what, given).answer(given)
        except UsageError as exc:
            self._refuse(asked, what, given.get("transaction"), error_text(exc))
            return
        transaction = given.get("transaction")
        if data is not None:
            self._answer(asked, what, transaction, data)
        elif not self._reloads.put(_Reload(asked, what, transaction)):
            why = f"{_MAX_RELOADS} reloads wait already"
            self._refuse(asked, what, transaction, why)

    def _kind(self, what: str, given: Given) -> _Kind:
        kind = self._kinds.get(what)
        if kind is None:
            known, shown = ", ".join(self._kinds), printable(what, most=40)
            raise UsageError(f"there is no request {shown!r}; there are {known}")
        for member in given:
            if member not in (*kind.members, "transaction"):
                shown = printable(member, most=40)
                known = ", ".join((*kind.members, "transaction"))
                meant = did_you_mean(shown, kind.members)
                raise UsageError(f"{what} has {known}, and no {shown!r}{meant}")
        return kind

    async def run(self) -> None:
        """Reload when that is asked, until cancelled."""
        async for first in self._reloads:
            waiting = [first]
            while self._reloads:
                waiting.append(self._reloads.receive_nowait())
            data: dict[str, object] = {}

            async def reload(data: dict[str, object] = data) -> None:
                data["at_restart"] = await self._reload()

            error = await failure_of(reload)
            for one in waiting:
                if error is None:
                    self._answer(*one, data)
                else:
                    self._refuse(*one, error_text(error))
            await anyio.sleep(_RELOADED_S)

    # ------------------------------------------------------------ what can be asked

    def _devices(self, given: Given) -> Mapping[str, object]:
        number = given.get("page", 1)
        found = self._reports.page(number) if type(number) is int else None
        if found is None:
            raise UsageError("page is the number of a page of the devices, from 1")
        return found

    def _reopen(self, given: Given) -> Mapping[str, object]:
        slug, devices = given.get("device"), self._directory.by_slug
        device = devices.get(slug) if isinstance(slug, str) else None
        if device is None:
            known = ", ".join(islice(devices, _NAMED)) or "none yet"
            more = ", ..." if len(devices) > _NAMED else ""
            raise UsageError(f"device is the level of one in topics: {known}{more}")
        self._do("device/reopen", device.slug or "", device.reopen)
        return {}

    def _restart(self, given: Given) -> Mapping[str, object]:
        system = given.get("system")
        name = system if isinstance(system, str) else ""
        self._do("driver/restart", name, partial(self._restart_driver, name))
        return {}

    def _do(self, what: str, name: str, act: Callable[[], None]) -> None:
        """Do what was asked, unless it was done a moment ago.

        Raises:
            UsageError: It was, or it cannot be done.
        """
        now = anyio.current_time()
        self._done_at = {
            k: at for k, at in self._done_at.items() if now - at < _AGAIN_S
        }
        if (what, name) in self._done_at:
            raise UsageError(
                f"{what} of {printable(name, most=40)} was done a moment ago, and is "
                f"done once in {_AGAIN_S:g} s"
            )
        act()
        self._done_at[what, name] = now

    # ------------------------------------------------------------ answers

    def _answer(
        self, asked: Asked, what: str, transaction: object, data: Mapping[str, object]
    ) -> None:
        self._tell(asked, what, transaction, {"status": "ok", "data": data})

    def _refuse(self, asked: Asked, what: str, transaction: object, why: str) -> None:
        _log.warning("request %s refused: %s", printable(what, most=100), why)
        self._tell(asked, what, transaction, {"status": "error", "error": why})

    def _tell(
        self, asked: Asked, what: str, transaction: object, told: dict[str, object]
    ) -> None:
        if transaction is not None:
            told["transaction"] = transaction
        levels = what.split("/")
        is_topic = len(levels) <= 2 and all(map(is_level, levels))
        topic = self._context.topics.response(what) if is_topic else ""
        asked.answer(self._context, told, topic=topic)


def _given(payload: bytes) -> Given:
    """Read a request: a JSON object, or nothing.

    Raises:
        UsageError: It is neither.
    """
    if len(payload) > MAX_COMMAND_BYTES:
        raise UsageError(f"a request has {MAX_COMMAND_BYTES} bytes at most")
    if not payload.strip():
        return {}
    try:
        given = parse_json(payload, "a request")
    except ProtocolViolation as exc:
        raise UsageError(error_text(exc)) from None
    if not isinstance(given, dict):
        raise UsageError('a request is a JSON object such as {"transaction": 1}')
    return given
