"""The clients that the benchmark compares, each with its own runner script."""

from __future__ import annotations
