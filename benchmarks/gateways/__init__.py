"""What benchmarks/connector.py runs in processes of their own."""

from __future__ import annotations
