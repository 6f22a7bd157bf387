"""Which broker and page a demonstration is on, and how people are told to look at it."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from structiot.errors import ConnectFailed
from structiot.gateway import Gateway, load_config, open_gateway
from structiot.gateway.config import DashboardSection

__all__ = [
    "HOST",
    "USUAL_PAGE_PORT",
    "USUAL_PORT",
    "DemoBroker",
    "open_demo_gateway",
    "open_demo_page",
]

HOST = "127.0.0.1"
USUAL_PORT = 1883
USUAL_PAGE_PORT = 8321


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoBroker:
    """A broker to show things on.

    Attributes:
        uri: Its address; it may hold a password.
        origin: Where it comes from, for people.
    """

    uri: str
    origin: str

    @property
    def host(self) -> str:
        """Its host."""
        return urlsplit(self.uri).hostname or HOST

    @property
    def port(self) -> int:
        """Its port."""
        return urlsplit(self.uri).port or USUAL_PORT

    @property
    def options(self) -> str:
        """What a command-line client needs to find it, with a blank behind."""
        host = "" if self.host in {HOST, "localhost"} else f"-h {self.host} "
        port = "" if self.port == USUAL_PORT else f"-p {self.port} "
        return host + port

    @property
    def hints(self) -> tuple[str, str]:
        """Where it is, and the line that shows all that is on it."""
        filters = "-t 'structiot/#' -t 'homeassistant/#'"
        return (
            f"broker at {self.host}:{self.port}, {self.origin}",
            f"watch it:  {_this_program()} mqtt sub {self.options}-v {filters}",
        )

    def switch_hint(self, device: str, key: str, *, is_on: bool) -> str:
        """Give the line that switches an entity of a device to what it is not."""
        topic, order = f"structiot/{device}/{key}/set", "OFF" if is_on else "ON"
        program = _this_program()
        return f"switch it: {program} mqtt pub {self.options}-t {topic} -m {order}"


@asynccontextmanager
async def open_demo_gateway(
    uri: str | None,
    sections: Mapping[str, object],
    history_file: Path | None = None,
) -> AsyncGenerator[tuple[Gateway, DemoBroker]]:
    """Open a gateway on the broker that is named, or on one of its own.

    Args:
        uri: The broker; if None, one of its own at the usual port, or at a free one if
            that is taken.
        sections: Those of the systems, as in a configuration file.
        history_file: Where the history is; none by default.

    Yields:
        The gateway, and where its broker is.

    Raises:
        ConfigError: The address is none.
    """
    async with AsyncExitStack() as stack:

        async def opened(**broker: object) -> Gateway:
            own = {"gateway": {"id": "demo", "forget_on_exit": True}}
            config = load_config({**broker, **own, **sections})
            return await stack.enter_async_context(
                open_gateway(config, history_file=history_file)
            )

        if uri is not None:
            gateway = await opened(mqtt={"uri": uri})
            yield gateway, DemoBroker(uri=uri, origin="as you named it")
            return
        origin = "started for this demonstration"
        try:
            gateway = await opened(broker=_listening_at(USUAL_PORT))
        except ConnectFailed:
            origin += f"; port {USUAL_PORT} is taken"
            gateway = await opened(broker=_listening_at(0))
        assert gateway.broker is not None  # noqa: S101 - no other is named
        yield gateway, DemoBroker(uri=gateway.broker.uri, origin=origin)


@asynccontextmanager
async def open_demo_page(gateway: Gateway) -> AsyncGenerator[str]:
    """Serve the page at the usual port, or at a free one if that is taken.

    Yields:
        Its address.
    """
    # Who asks for help needs no page.
    from structiot.dashboard import open_dashboard  # noqa: PLC0415

    async with AsyncExitStack() as stack:
        for port in (USUAL_PAGE_PORT, 0):
            section = DashboardSection(listen=(f"http://{HOST}:{port}",))
            try:
                page = await stack.enter_async_context(open_dashboard(gateway, section))
            except ConnectFailed:
                if port == 0:
                    raise
            else:
                yield page.urls[0]
                return


def _listening_at(port: int) -> dict[str, list[str]]:
    return {"listen": [f"mqtt://{HOST}:{port}"]}


def _this_program() -> str:
    """Say how this program is called, so that a line can be pasted."""
    called = Path(sys.argv[0])
    if called.name != "structiot":
        return "python -m structiot"
    is_found = any(Path(folder) == called.parent for folder in os.get_exec_path())
    return called.name if is_found else str(called)
