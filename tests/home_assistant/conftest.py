"""One Home Assistant and one broker for all stories; each has devices of its own.

They need PyPI once and some minutes, so they run on request: `nox -s home_assistant`.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests._support.broker_process import BrokerProcess
from tests._support.ports import free_port
from tests.home_assistant.core import HomeAssistant
from tests.home_assistant.environment import hass_program
from tests.home_assistant.story import Story

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Home:
    """A house with Home Assistant and an MQTT broker."""

    assistant: HomeAssistant
    broker: BrokerProcess


@pytest.fixture(scope="session")
def whole_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    program = hass_program()
    broker = BrokerProcess()
    broker.start()
    assistant = HomeAssistant(program, tmp_path_factory.mktemp("hass"), free_port())
    try:
        assistant.start()
        assistant.set_up(broker.port)
        yield Home(assistant, broker)
    finally:
        assistant.stop()
        broker.stop()


@pytest.fixture
def home(whole_home: Home) -> Iterator[Home]:
    """Fail a test after which Home Assistant's log has a warning more."""
    before = len(whole_home.assistant.complaints())
    yield whole_home
    assert whole_home.assistant.complaints()[before:] == []


@pytest.fixture
def serial() -> str:
    """Each story has a strip of its own."""
    return f"SWP60000{next(_numbers):08d}"


@pytest.fixture
async def story(home: Home, tmp_path: Path, serial: str) -> AsyncIterator[Story]:
    async with home.assistant.connected() as api:
        yield Story(home, api, tmp_path, serial)
