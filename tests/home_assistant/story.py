"""A strip, the gateways that serve it one after the other, and Home Assistant."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from structiot.gateway import Gateway, load_config, open_gateway
from structiot.sim import sim_maxsmart
from tests.home_assistant.core import Api

if TYPE_CHECKING:
    from tests.home_assistant.conftest import Home

HTTP_PORT, UDP_PORT = 18080, 18888


class Story:
    """In it an entity is given a name of its owner's, which it keeps to the end."""

    def __init__(self, home: Home, api: Api, folder: Path, serial: str) -> None:
        self.home = home
        self.api = api
        self.serial = serial
        self.base = f"story{serial[-4:]}"
        self.state_file = folder / "state.json"
        self.ids: dict[str, str] = {}

    @property
    def unique_ids(self) -> str:
        return f"structiot_maxsmart_{self.serial}_"

    def strip(self, host: str, **more: Any) -> Any:
        options = {"serial": self.serial, **more}
        return sim_maxsmart(host, http_port=HTTP_PORT, udp_port=UDP_PORT, **options)

    def config(self, *devices: dict[str, Any], **more: Any) -> dict[str, Any]:
        mqtt = {"uri": self.home.broker.uri, "base_topic": self.base}
        gateway = {"id": self.base, "retry_max_s": 1.0}
        section = {
            "discover": False,
            "http_port": HTTP_PORT,
            "udp_port": UDP_PORT,
            "poll_s": 0.5,
            "discover_every_s": 5,
            "broadcast": ["127.0.0.21", "127.0.0.22"],
            "devices": list(devices),
        }
        return {
            "mqtt": mqtt | more.pop("mqtt", {}),
            "gateway": gateway | more.pop("gateway", {}),
            "maxsmart": section | more,
        }

    @asynccontextmanager
    async def gateway(
        self, *devices: dict[str, Any], slug: str, **more: Any
    ) -> AsyncIterator[Gateway]:
        """Run a gateway until everything is there as it was, below this level."""
        config = load_config(self.config(*devices, **more))
        async with open_gateway(config, state_file=self.state_file) as gateway:
            await self.until_settled(gateway, slug)
            yield gateway

    async def until_settled(self, gateway: Gateway, slug: str) -> None:
        async def is_announced() -> bool:
            device = gateway.devices.get(slug)
            return device is not None and device.is_available and bool(device.states)

        await self.api.until(is_announced, what=f"{slug} is not there")
        # What Home Assistant is told in order it does in order.
        await anyio.sleep(2)
        await self.same_as_before()

    async def same_as_before(self) -> None:
        ids = await self.api.until_available(self.unique_ids, max(1, len(self.ids)))
        if not self.ids:
            await self.customize(ids)
        else:
            assert ids == self.ids

    async def customize(self, ids: dict[str, str]) -> None:
        """Rename an entity, as its owner does."""
        unique_id = f"{self.unique_ids}port_1"
        own = f"switch.my_own_{self.serial.lower()}"
        await self.api.rename(ids[unique_id], own)
        self.ids = await self.api.until_available(self.unique_ids, len(ids))
        assert self.ids[unique_id] == own
