"""structiot: open is an `async with`, happening is an `async for`."""

from __future__ import annotations
