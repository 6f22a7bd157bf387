"""What was: readings in a file, their course by five minutes and hours, energy.

    history = gateway.history
    course = await history.series("kitchen/power", from_utc, to_utc)

`recorded.py` says what of an entity is kept. The `Recorder` follows the gateway and puts
what is told into a `Backlog`, which the `Store` writes, `rollups.py` makes hours of it,
`courses.py` and `bars.py` read it, and the `History` is what everybody asks.
"""

from __future__ import annotations

from structiot.gateway.history.answers import (
    EnergyBar,
    EnergyHistory,
    Happened,
    Kind,
    Period,
    RecordedSeries,
    Series,
)
from structiot.gateway.history.history import History
from structiot.gateway.history.recorded import recorded_of

__all__ = [
    "EnergyBar",
    "EnergyHistory",
    "Happened",
    "History",
    "Kind",
    "Period",
    "RecordedSeries",
    "Series",
    "recorded_of",
]
