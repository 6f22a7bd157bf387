"""Faults as text, whatever simulator they are meant for."""

from __future__ import annotations

from structiot.errors import UsageError
from structiot.sim.connector.sepl_faults import NAMED_SEPL_FAULTS
from structiot.sim.maxsmart.named_faults import NAMED_FAULTS
from structiot.sim.meross.cloud_faults import NAMED_CLOUD_FAULTS
from structiot.sim.meross.named_faults import NAMED_FAULTS as MEROSS_FAULTS
from structiot.sim.shared.fault_names import NamedFault

__all__ = ["parse_fault"]


def parse_fault(text: str) -> NamedFault:
    """Read a fault of any simulator, such as `watt_null@511*3`, `stuck` or `cloud:ban+60`.

    Raises:
        UsageError: No simulator has such a fault, or it is not written like this.
    """
    tables = [NAMED_FAULTS, MEROSS_FAULTS, NAMED_SEPL_FAULTS]
    if text.startswith(NAMED_CLOUD_FAULTS.prefix):
        tables = [NAMED_CLOUD_FAULTS]
    refused: list[UsageError] = []
    for names in tables:
        try:
            return names.parse(text)
        except UsageError as exc:
            refused.append(exc)
    # A name that one of them has says more than that others do not have it.
    raise max(refused, key=lambda exc: not str(exc).startswith("no fault "))
