"""The Meross account as a device: whether it is open, and what its budget is."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Final

import anyio

from structiot._kit.environment import Environment
from structiot._kit.flow.tasks import service_group
from structiot._kit.text import error_text, printable
from structiot.devices import BaseDevice
from structiot.gateway.drivers.driver import Source
from structiot.gateway.drivers.meross.section import MerossSection
from structiot.gateway.drivers.shared_connection import SharedConnection
from structiot.meross import Meross
from structiot.model import DeviceInfo, Sensor, State

__all__ = ["AccountDevice", "account_source"]

_TELL_EVERY_S: Final = 60.0
_LONGEST: Final = 250
_ENTITIES: Final = (
    Sensor(
        key="account",
        name="Account",
        device_class="enum",
        category="diagnostic",
        options=("open", "unreachable", "refused"),
    ),
    Sensor(key="trouble", name="Trouble", category="diagnostic"),
    Sensor(
        key="devices",
        name="Devices",
        category="diagnostic",
        state_class="measurement",
        decimals=0,
    ),
    Sensor(
        key="messages_left",
        name="Messages left this hour",
        category="diagnostic",
        state_class="measurement",
        decimals=0,
    ),
)


class AccountDevice(BaseDevice[DeviceInfo]):
    """What becomes of an account; it is there while the account is refused, too.

    `messages_left` is that of the device that has the least left through the cloud.

    Args:
        email: The account, if it is named; several on one broker are told apart by it.
        connection: The account.
        environment: As the driver's.
    """

    def __init__(
        self,
        email: str | None,
        connection: SharedConnection[Meross],
        environment: Environment,
    ) -> None:
        digest = sha256((email or "").strip().lower().encode()).hexdigest()
        info = DeviceInfo(
            id=f"account_{digest[:12]}" if email else "account",
            system="meross",
            name="Meross account",
            manufacturer="Meross",
        )
        super().__init__(info, _ENTITIES, environment=environment)
        self._connection = connection

    @property
    def _is_metered(self) -> bool:
        return False

    @asynccontextmanager
    async def _running(self) -> AsyncGenerator[None]:
        async with service_group() as tasks:
            self._tell(self._now())
            tasks.start_soon(self._keep_telling, name="structiot.meross account")
            yield

    async def _keep_telling(self) -> None:
        while True:
            with anyio.move_on_after(_TELL_EVERY_S):
                await self._connection.changed()
            self._tell(self._now())

    def _now(self) -> dict[str, State | None]:
        connection = self._connection
        if connection.reason:
            state = "refused" if connection.is_parked else "unreachable"
            reason = printable(connection.reason, most=_LONGEST)
            return {
                "account": state,
                "trouble": reason,
                "devices": None,
                "messages_left": None,
            }
        meross = connection.connection
        left = [meross.budget.of(uuid).left for uuid in meross.devices]
        known = [one for one in left if one is not None]
        error = meross.list_error
        trouble = printable(error_text(error), most=_LONGEST) if error else None
        return {
            "account": "unreachable" if error else "open",
            "trouble": trouble,
            "devices": len(left),
            "messages_left": min(known, default=None),
        }


def account_source(
    section: MerossSection,
    connection: SharedConnection[Meross],
    environment: Environment,
) -> Source:
    """Give the source of the device, which is there as long as the driver runs."""
    return Source(
        key="account",
        # It is open also while the account itself is not.
        label=f"report on the {connection.label}",
        open=lambda: AccountDevice(section.email, connection, environment),
        comes_by_itself=True,
    )
