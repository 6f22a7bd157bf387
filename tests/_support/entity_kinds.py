"""Every kind of entity that the model has, so that a test can miss none."""

from __future__ import annotations

from structiot import model
from structiot.model import Entity


def entity_kinds() -> set[type[Entity]]:
    """Give the classes that are derived from `Entity`."""
    names = {
        kind.__name__
        for kind in Entity.__subclasses__()
        if kind.__module__.startswith(f"{model.__name__}.")
    }
    return {getattr(model, name) for name in names}
