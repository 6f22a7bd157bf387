"""How to open the page of a gateway."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import anyio
import anyio.to_thread

from structiot._kit.arguments import check_argument
from structiot._kit.environment import (
    SYSTEM_ENVIRONMENT,
    Environment,
    system_clock,
)
from structiot._kit.flow.tasks import service_group
from structiot._kit.http.server import HttpServer
from structiot._kit.net.network import TcpListener, place
from structiot._kit.net.tls import server_context
from structiot.dashboard.access import EVERY_ANSWER
from structiot.dashboard.assets import Assets
from structiot.dashboard.gate import Gate
from structiot.dashboard.hub import Hub
from structiot.dashboard.page_maker import PageMaker
from structiot.dashboard.sessions import Attempts, Sessions, own_secret
from structiot.dashboard.site import Site
from structiot.dashboard.zones import system_zone
from structiot.errors import ConfigError
from structiot.gateway import Gateway
from structiot.gateway.config import DashboardSection
from structiot.gateway.config.dashboard import dashboard_faults

__all__ = ["Dashboard", "open_dashboard"]

# Twice as many as there may be streams.
_MAX_CONNECTIONS = 512
# All streams may be those of one proxy; others have room all the same.
_PER_ADDRESS = 384
_MAX_BODY_BYTES = 65_536
_REQUEST_S = 10.0
_IDLE_S = 30.0
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """The page of a gateway; made by `open_dashboard`.

    Attributes:
        urls: Where it is, such as `http://127.0.0.1:8321/`.
    """

    urls: tuple[str, ...]


@asynccontextmanager
async def open_dashboard(
    gateway: Gateway,
    section: DashboardSection | None = None,
    *,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> AsyncGenerator[Dashboard]:
    """Serve the page of a gateway for the length of the block.

    Leaving the block closes all connections at once, event streams among them; browsers
    come again by themselves.

    Args:
        gateway: The gateway.
        section: Settings in place of the gateway's own. What `enabled` says is for
            programs that open the page by themselves, and is not looked at.
        environment: Network and clock; the system's by default.

    Yields:
        The page.

    Raises:
        ConnectFailed: An address cannot be bound.
        ConfigError: An address that others can reach without a token, or a certificate
            that cannot be used.
        UsageError: An argument is of another kind.

    Example:
        >>> async with open_gateway("structiot.toml") as gateway:
        ...     async with open_dashboard(gateway) as dashboard:
        ...         print(dashboard.urls[0])
    """
    check_argument("gateway", gateway, Gateway)
    check_argument("section", section, DashboardSection, None)
    check_argument("environment", environment, Environment)
    section = gateway.config.dashboard if section is None else section
    _check(section)
    assets = await anyio.to_thread.run_sync(Assets)
    kept = gateway.state.section("dashboard")
    sessions = Sessions(section.token, own_secret(kept))
    gateway.state.save_soon()
    hub = Hub(gateway, environment.now_utc)
    zone = None
    if environment.clock is system_clock:
        zone = await anyio.to_thread.run_sync(system_zone)
    pages = PageMaker(gateway, assets.urls, environment, zone)
    attempts = Attempts()
    async with AsyncExitStack() as listeners, service_group() as tasks:
        await tasks.start(hub.run, name="structiot.dashboard.hub")
        urls = []
        for uri in section.listen:
            scheme, host, port = _parts(uri)
            listener = await listeners.enter_async_context(
                environment.network.listen_tcp(host, port)
            )
            is_tls = scheme == "https"
            gate = Gate(
                sessions, attempts, host=host, proxied=section.hosts, is_tls=is_tls
            )
            site = Site(gateway, gate, hub, pages, assets)
            context = await _context(section) if is_tls else None
            server = _server(site, context)
            tasks.start_soon(listener.serve, server.serve, name="structiot.dashboard")
            urls.append(_url(scheme, host, listener))
        yield Dashboard(urls=tuple(urls))


def _check(section: DashboardSection) -> None:
    """See that it is fit to be served, wherever it comes from.

    Raises:
        ConfigError: It is not.
    """
    given = {
        name: value
        for name in type(section).model_fields
        if name != "enabled" and (value := getattr(section, name)) is not None
    }
    faults = [
        f"{finding.path[0]} in [dashboard]: {finding.message}"
        for finding in dashboard_faults(given)
    ]
    if faults:
        raise ConfigError("; ".join(faults))


def _parts(uri: str) -> tuple[str, str, int]:
    parts = urlsplit(uri)
    usual = _PORTS[parts.scheme]
    port = usual if parts.port is None else parts.port
    return parts.scheme, parts.hostname or "", port


async def _context(section: DashboardSection) -> ssl.SSLContext:
    cert_file, key_file = section.cert_file or "", section.key_file

    def make() -> ssl.SSLContext:
        return server_context(certfile=cert_file, keyfile=key_file)

    return await anyio.to_thread.run_sync(make)


def _server(site: Site, context: ssl.SSLContext | None) -> HttpServer:
    return HttpServer(
        site.answer,
        ssl_context=context,
        max_connections=_MAX_CONNECTIONS,
        per_address=_PER_ADDRESS,
        max_body_bytes=_MAX_BODY_BYTES,
        request_s=_REQUEST_S,
        idle_s=_IDLE_S,
        headers=EVERY_ANSWER,
    )


def _url(scheme: str, host: str, listener: TcpListener) -> str:
    port = listener.address[1]
    where = host if port == _PORTS[scheme] and ":" not in host else place(host, port)
    return f"{scheme}://{where}/"
