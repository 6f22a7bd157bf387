"""The scripted broker of tests/link/mqtt, for these rows as well."""

from __future__ import annotations

from tests.link.mqtt.conftest import broker

__all__ = ["broker"]
