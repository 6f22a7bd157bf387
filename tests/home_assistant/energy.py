"""What Home Assistant's energy dashboard says of meters."""

from __future__ import annotations

import itertools
from typing import Any

from tests.home_assistant.core import Api


async def energy_is_valid(api: Api, meters: list[str]) -> None:
    """See that the energy dashboard and the statistics have nothing to say of meters."""
    devices = [{"stat_consumption": one} for one in meters]
    source = {
        "type": "grid",
        "flow_from": [
            {
                "stat_energy_from": meters[0],
                "stat_cost": None,
                "entity_energy_price": None,
                "number_energy_price": None,
            }
        ],
        "flow_to": [],
        "cost_adjustment_day": 0.0,
    }
    await api.ask(
        "energy/save_prefs", energy_sources=[source], device_consumption=devices
    )

    async def issues() -> list[Any]:
        found = await api.ask("energy/validate")
        return [
            *itertools.chain(*found["energy_sources"], *found["device_consumption"])
        ]

    async def has_statistics() -> bool:
        return "statistics_not_defined" not in [one["type"] for one in await issues()]

    # They are compiled every five minutes.
    await api.until(has_statistics, within_s=400, what="there are no statistics")
    assert await issues() == []
    wrong = await api.ask("recorder/validate_statistics")
    assert set(wrong) & set(meters) == set()
