"""The brokers of benchmarks/mqtt_broker.py, and the load that they are put under."""

from __future__ import annotations
