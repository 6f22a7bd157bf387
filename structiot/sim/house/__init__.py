"""A simulated house: rooms full of devices of every system, living through a day.

What the demonstration shows. Each system's part opens its devices by the simulators that
anybody has, and does with them what people and weather do: `strips`, `cloud`, `dialled`.
"""

from __future__ import annotations

__all__: list[str] = []
