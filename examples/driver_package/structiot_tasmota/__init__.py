"""Plugs with Tasmota's firmware, in a program or in structiot's gateway.

async with open_plug("192.168.1.50") as plug:
await plug.command("relay", True)
"""

from __future__ import annotations

from structiot_tasmota.plug import TasmotaPlug, open_plug

__all__ = ["TasmotaPlug", "open_plug"]
