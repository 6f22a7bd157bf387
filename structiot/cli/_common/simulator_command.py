"""A command that simulates devices, and can say what they may be and get wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import asyncclick as click

__all__ = ["SimulatorCommand"]


class SimulatorCommand(click.Command):
    """The command of a simulator; `structiot sim families` and `faults` list the rest.

    Attributes:
        families: What can be simulated, a row each.
        faults: What simulated devices can get wrong, by the name for `--fault`.
    """

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - those of click.Command
        families: Iterable[Mapping[str, object]] = (),
        faults: Mapping[str, str] | None = None,
        **options: Any,  # noqa: ANN401 - those of click.Command
    ) -> None:
        super().__init__(*args, **options)
        self.families = tuple(families)
        self.faults = dict(faults or {})
