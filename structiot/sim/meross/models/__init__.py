"""The models that can be simulated, as data: one file for each family."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from structiot.errors import UsageError
from structiot.sim.meross.models.appliances import APPLIANCES
from structiot.sim.meross.models.climate import CLIMATE
from structiot.sim.meross.models.doors import DOORS
from structiot.sim.meross.models.hubs import HUBS
from structiot.sim.meross.models.lights import LIGHTS
from structiot.sim.meross.models.model import MerossModel
from structiot.sim.meross.models.plugs import PLUGS

__all__ = ["MEROSS_MODELS", "MerossModel", "model_named"]

MEROSS_MODELS: Mapping[str, MerossModel] = MappingProxyType(
    {
        model.name: model
        for model in (*PLUGS, *LIGHTS, *DOORS, *APPLIANCES, *CLIMATE, *HUBS)
    }
)
"""What can be simulated, by name."""


def model_named(model: MerossModel | str) -> MerossModel:
    """Give a model by its name.

    Raises:
        UsageError: There is none.
    """
    if isinstance(model, MerossModel):
        return model
    if model not in MEROSS_MODELS:
        raise UsageError(f"no model {model!r}; there are {', '.join(MEROSS_MODELS)}")
    return MEROSS_MODELS[model]
