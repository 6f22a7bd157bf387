"""Drives the original `maxsmart` package; runs in an environment that has only that.

One JSON object a line comes in on standard input, one goes out on standard output:

    {"do": "discover", "ip": "127.0.0.2"}
    {"result": [...], "seconds": 0.02}           or  {"error": "DiscoveryError", "text": "..."}

Everything of the package is used as published; only the classes' documented
attributes are set.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
import time
from importlib.metadata import version
from typing import Any

from maxsmart import MaxSmartDevice, MaxSmartDiscovery


class Driver:
    """Holds the device that is being driven and what its callbacks were told."""

    def __init__(self) -> None:
        self.device: Any = None
        self.told: list[Any] = []

    async def version(self) -> str:
        return version("maxsmart")

    async def discover(self, **arguments: Any) -> Any:
        return await MaxSmartDiscovery.discover_maxsmart(**arguments)

    async def new(self, ip: str, **arguments: Any) -> None:
        """Make a device without a word to it."""
        if self.device is not None:
            await self.device.close()
        self.device = MaxSmartDevice(ip, **arguments)

    async def set(self, **attributes: Any) -> None:
        for name, value in attributes.items():
            setattr(self.device, name, value)

    async def get(self, *names: str) -> dict[str, Any]:
        return {name: getattr(self.device, name, "no such attribute") for name in names}

    async def call(self, method: str, *arguments: Any) -> Any:
        result = getattr(self.device, method)(*arguments)
        return await result if inspect.isawaitable(result) else result

    async def poll(self, seconds: float, burst_after_s: float) -> list[list[Any]]:
        """Poll adaptively and say when each poll came and how it was labelled."""
        started = time.monotonic()
        polls: list[list[Any]] = []
        self.device.register_poll_callback(
            "driver",
            lambda poll: polls.append([time.monotonic() - started, poll["mode"]]),
        )
        await self.device.start_adaptive_polling()
        await asyncio.sleep(burst_after_s)
        self.device.trigger_burst_mode()
        await asyncio.sleep(seconds - burst_after_s)
        await self.device.stop_adaptive_polling()
        self.device.unregister_poll_callback("driver")
        return polls

    async def monitor(self, interval_s: float) -> None:
        """Note changes from now on; `changes` gives them."""
        self.device.NORMAL_INTERVAL = interval_s
        now = await self.device.get_data()
        await self.device.setup_realtime_monitoring_with_baseline(
            consumption_callback=lambda change: self.told.append(["power", change]),
            state_callback=lambda change: self.told.append(["state", change]),
            initial_watt=now["watt"],
            initial_switch=now["switch"],
        )
        if not self.device.is_polling:
            await self.device.start_adaptive_polling()

    async def changes(self, wait_s: float) -> list[Any]:
        await asyncio.sleep(wait_s)
        told, self.told = self.told, []
        return told

    async def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        method = getattr(self, request.pop("do"))
        started = time.monotonic()
        try:
            result = await method(*request.pop("args", ()), **request)
        except Exception as exc:
            answer = {"error": type(exc).__name__, "text": str(exc)}
        else:
            answer = {"result": result}
        return {**answer, "seconds": time.monotonic() - started}


async def main() -> None:
    driver = Driver()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        answer = await driver.answer(json.loads(line))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    if driver.device is not None:
        await driver.device.close()


if __name__ == "__main__":
    asyncio.run(main())
