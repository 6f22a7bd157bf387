"""The driver of devices that are made of topics of others."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import ClassVar

from structiot._kit.environment import Environment
from structiot.gateway.config.fields import SystemSection
from structiot.gateway.config.links import TOPICS_SYSTEM, LinkSection, TopicsSection
from structiot.gateway.drivers.driver import DeviceRegistry, Source
from structiot.gateway.drivers.topics.topic_device import TopicDevice
from structiot.model import Device

__all__ = ["TopicDriver"]


class TopicDriver:
    """Names the devices that `[[links]]` make of topics; there is no section of its own."""

    system: ClassVar[str] = TOPICS_SYSTEM
    section: ClassVar[type[SystemSection]] = TopicsSection
    finds_more = False

    def __init__(self, section: TopicsSection, environment: Environment) -> None:
        self._section = section
        self._environment = environment

    async def run(self, registry: DeviceRegistry) -> None:
        """Name the devices, which stay."""
        for name, links in self._section.devices.items():
            source = Source(
                key=links[0].target.level,
                label=f"topics of {name}",
                open=partial(self._opened, registry, name, links),
                name=name,
                settings=links,
            )
            registry.add(source)
        registry.started()

    @asynccontextmanager
    async def _opened(
        self, registry: DeviceRegistry, name: str, links: tuple[LinkSection, ...]
    ) -> AsyncGenerator[Device]:
        topics = registry.gateway.foreign_topics
        async with TopicDevice(name, links, topics, self._environment) as device:
            yield device
