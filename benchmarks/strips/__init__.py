"""What benchmarks/maxsmart_polling.py runs in processes of their own."""

from __future__ import annotations
