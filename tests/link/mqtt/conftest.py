"""A scripted broker for every test that asks for one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests._support.fake_broker import FakeBroker, fake_broker


@pytest.fixture
async def broker(anyio_backend: object) -> AsyncIterator[FakeBroker]:
    async with fake_broker() as made:
        yield made
