"""What benchmarks/meross_commands.py runs in processes of their own."""

from __future__ import annotations
