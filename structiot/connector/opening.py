"""Opening a connector: `open_connector`."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from os import PathLike
from typing import Any, Final

import anyio
import anyio.to_thread

from structiot._kit.arguments import check_argument, check_context
from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.flow.tasks import service_group
from structiot._kit.net.tls import client_context
from structiot._kit.text import counted, error_text
from structiot.connector.config import ConnectorConfig, PlatformChoice
from structiot.connector.connector import Connector
from structiot.connector.device_manager import DeviceManager, ManagedDevices
from structiot.connector.offered import OfferedDevices
from structiot.connector.outbox import Outbox
from structiot.connector.platform import Platform
from structiot.connector.platform_link import PlatformLink
from structiot.errors import ConfigError, UsageError

__all__ = ["open_connector"]

# What is waiting to be sent when the block is left may still go.
_GOODBYE_S: Final = 2.0

_log: Final = logging.getLogger("structiot.connector")


@asynccontextmanager
async def open_connector(
    config: ConnectorConfig | Mapping[str, Any] | str | PathLike[str],
    devices: DeviceManager | type,
    *,
    platform: PlatformChoice | None = None,
    wait_ready: bool = False,
    outbox_items: int = 1000,
    ssl_context: ssl.SSLContext | None = None,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> AsyncGenerator[Connector]:
    """Offer devices to a SEPL or SENERGY platform for the length of the block.

    It connects, says who it is, tells the platform of the devices where it does not know
    them already, and begins again whenever the connection is lost: after 0.2 s, then ever
    more rarely. The block is entered at once, whether the platform is there or not;
    `state` and `states()` of the connector tell. What waits to be sent when it is left has
    2 s to go.

    Args:
        config: A `connector.conf` or TOML file, by its path; a mapping with the same keys;
            or a `ConnectorConfig`. Where a file is given, the id of the gateway is written
            to it once the platform has made one.
        devices: What keeps the devices: `DevicePool()`, `DeviceStore(path)`, or anything
            that is a `DeviceManager`.
        platform: `"sepl"` or `"senergy"`, if the configuration does not say it.
        wait_ready: Enter the block when the devices are offered; a deadline is the
            caller's.
        outbox_items: How many events are kept while there is no connection, 16 MB at most;
            of more the oldest are dropped and counted. With 0 none is, and `event` raises
            `LinkLost` instead.
        ssl_context: Whom to trust, and the certificate that is shown, in place of the
            configuration's `cafile`; with `encryption`.
        environment: Network, clock and chance; the system's by default.

    Yields:
        The connector.

    Raises:
        ConfigError: Settings that cannot be, a file of authorities or a device store that
            cannot be used.
        AuthRefused: The platform refuses user or password, or the token that it has given
            for them. SEPL's does so without a word: it hangs up, and after the third time
            in a row that is taken for it. It may come at any time, and ends the block.
        CertificateRefused: The platform's certificate is not one that we accept.
        UsageError: An argument of another class.
        Exception: What the device manager raises when it is asked for its devices at
            first. Later on that is logged, and what it had before is offered.
    """
    check_argument("outbox_items", outbox_items, int)
    check_argument("wait_ready", wait_ready, bool)
    check_argument("platform", platform, str, None)
    check_context("ssl_context", ssl_context, is_server=False)
    if outbox_items < 0:
        raise UsageError(f"outbox_items is 0 or more, not {outbox_items}")
    offered = OfferedDevices(ManagedDevices(devices), environment.random)
    run_sync = anyio.to_thread.run_sync
    read = await run_sync(ConnectorConfig.of, config, platform, abandon_on_cancel=True)
    outbox = Outbox(outbox_items)
    # It imports what it needs, for which the loop need not wait.
    there = await run_sync(
        _platform, read, environment, ssl_context, abandon_on_cancel=True
    )
    link = PlatformLink(there, offered, outbox, environment.random)
    await offered.read()
    connector = Connector(link)
    async with service_group() as tg:
        tg.start_soon(link.run, name="structiot.connector link")
        try:
            if wait_ready:
                await connector.wait_ready()
            yield connector
        finally:
            if link.is_ready:
                with anyio.move_on_after(_GOODBYE_S, shield=True):
                    await outbox.drained()
            link.end(UsageError("the block of open_connector has ended"))
            if len(outbox):
                lost = counted(len(outbox), "event")
                _log.warning("%s could not be sent before the end", lost)


def _platform(
    config: ConnectorConfig, environment: Environment, tls: ssl.SSLContext | None
) -> Platform:
    if tls is not None and not config.has_tls:
        raise ConfigError("ssl_context goes with encryption = yes")
    # Before the first attempt: a file that cannot be read is no lost platform.
    if tls is None and config.cafile is not None:
        tls = client_context(cafile=config.cafile)

    async def save_gid(gid: str) -> None:
        try:
            await anyio.to_thread.run_sync(config.with_gid, gid)
        except ConfigError as exc:
            text = (
                "the gateway id is not kept, so that the next start makes another: %s"
            )
            _log.warning(text, error_text(exc))

    if config.platform == "senergy":
        from structiot.connector.link.senergy import (  # noqa: PLC0415 - brings in MQTT
            SenergyPlatform,
        )

        return SenergyPlatform(config, environment, save_gid, tls)
    from structiot.connector.link.sepl import SeplPlatform  # noqa: PLC0415

    return SeplPlatform(config, environment, save_gid, tls)
