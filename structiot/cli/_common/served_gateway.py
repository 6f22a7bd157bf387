"""A gateway that goes by a file: read at the start, and at each SIGHUP."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

import anyio
import anyio.to_thread

from structiot._kit.private_file import default_state_file
from structiot._kit.text import counted, fault_text, printable
from structiot.errors import ConfigError, ConnectFailed
from structiot.gateway import (
    Gateway,
    GatewayConfig,
    InvalidConfig,
    load_config,
    open_gateway,
    status_of,
)

__all__ = ["ServedGateway", "history_file_of", "served", "state_file_of"]

_LONGEST = 2000

Load: TypeAlias = Callable[[str], GatewayConfig]

_log = logging.getLogger(__name__)


def served(path: str, load: Load = load_config) -> ServedGateway:
    """Read a configuration, and make the gateway that goes by it; blocks.

    Args:
        path: Its file.
        load: Reads it, now and each time that it is read again.

    Raises:
        ConfigError: It cannot be read, or something is wrong in it.
    """
    return ServedGateway(path, load(path), _state_file_of(path), load)


def _state_file_of(path: str) -> Path | None:
    """Name the state file of a configuration: no two of them share one."""
    file = Path(path).resolve()
    digest = sha256(bytes(file)).hexdigest()[:8]
    return default_state_file(f"{file.stem}-{digest}")


def state_file_of(path: str, config: GatewayConfig) -> Path | None:
    """Name the state file of a configuration: its own, or one that is made up for it."""
    given = config.gateway.state_file
    return _state_file_of(path) if given is None else Path(given)


def history_file_of(path: str, config: GatewayConfig) -> Path | None:
    """Name the file of a configuration's history: its own, or that beside the state."""
    if config.history.path is not None:
        return Path(config.history.path)
    state = state_file_of(path, config)
    return None if state is None else state.with_suffix(".history.sqlite")


@asynccontextmanager
async def _page_of(gateway: Gateway) -> AsyncGenerator[None]:
    """Serve the page of a gateway, if it is to have one."""
    # What renders pages is loaded where there are some.
    from structiot.dashboard import open_dashboard  # noqa: PLC0415

    config = gateway.config
    if not config.dashboard.enabled:
        yield
        return
    async with AsyncExitStack() as stack:
        try:
            page = await stack.enter_async_context(open_dashboard(gateway))
        except ConnectFailed as exc:
            # Nobody has asked for it in words.
            if "dashboard" in config.model_fields_set:
                raise
            _log.warning("there is no page: %s; [dashboard] listen places it", exc)
        else:
            _log.info("the page is at %s", ", ".join(page.urls))
        yield


class ServedGateway:
    """A gateway, and the file that it goes by."""

    def __init__(
        self, path: str, config: GatewayConfig, state_file: Path | None, load: Load
    ) -> None:
        self._load = load
        self._path = path
        self._config = config
        self._state_file = state_file
        self._is_open = anyio.Event()
        self._gateway: Gateway | None = None

    async def opened(self) -> None:
        """Wait until it serves."""
        await self._is_open.wait()

    def status(self) -> str:
        """Say in a line how it is, of what it says of itself."""
        if self._gateway is None:
            return "starting"
        devices = self._gateway.devices.values()
        there = sum(one.is_available for one in devices)
        status = status_of(self._gateway)
        down = [f"{one.name}: {one.reason}" for one in status.links if not one.is_up]
        words = f"{there} of {counted(len(devices), 'device')} available"
        return "; ".join([words, *down])

    async def run(self) -> None:
        """Serve until cancelled."""
        history = history_file_of(self._path, self._config)
        opened = open_gateway(
            self._config, state_file=self._state_file, history_file=history
        )
        async with opened as self._gateway, _page_of(self._gateway):
            self._gateway.reads_again = self._take_up
            self._is_open.set()
            await anyio.sleep_forever()

    async def reload(self) -> None:
        """Read the file again, and take up what it says if nothing is wrong with it."""
        await self._is_open.wait()
        try:
            await self._take_up()
        except InvalidConfig as exc:
            self._refuse(exc.problems)
        except ConfigError as exc:
            self._refuse([printable(str(exc), most=_LONGEST)])
        # Nothing in a file is worth the devices that are served.
        except Exception as exc:  # noqa: BLE001
            _log.debug("a reload has failed", exc_info=True)
            self._refuse([f"internal error: {fault_text(exc)}"])

    async def _take_up(self) -> tuple[str, ...]:
        config = await anyio.to_thread.run_sync(
            self._read_again, abandon_on_cancel=True
        )
        if self._gateway is None:
            return ()
        at_restart = await self._gateway.reload(config)
        self._config = config
        return at_restart

    def _read_again(self) -> GatewayConfig:
        config = self._load(self._path)
        if self._config.model_fields_set and not config.model_fields_set:
            # It would take every device off the broker.
            text = "it is empty, as an editor leaves a file on a full disk"
            raise ConfigError(f"{self._path}: {text}: the configuration is kept")
        return config

    def _refuse(self, problems: Iterable[object]) -> None:
        for problem in problems:
            _log.error("%s", problem)
        _log.error("%s is not taken up: all goes on as it was", self._path)
