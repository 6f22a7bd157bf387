"""A plug that speaks Tasmota's HTTP: `GET /cm?cmnd=Power%20On` and the like.

Its answers are JSON objects; the commands and their answers are those of Tasmota's
documentation of commands (https://tasmota.github.io/docs/Commands/).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from structiot.devices import (
    SYSTEM_ENVIRONMENT,
    DeviceHttp,
    Environment,
    PolledDevice,
    PollSchedule,
)
from structiot.errors import ProtocolViolation
from structiot.model import Command, DeviceInfo, Reading, Sensor, Switch

__all__ = ["TasmotaPlug", "open_plug"]

_ENTITIES = (
    Switch(key="relay", name="Relay", device_class="outlet"),
    Sensor(
        key="power",
        name="Power",
        device_class="power",
        unit="W",
        state_class="measurement",
    ),
    Sensor(
        key="energy",
        name="Energy",
        device_class="energy",
        unit="kWh",
        state_class="total_increasing",
        decimals=3,
    ),
)


class TasmotaPlug(PolledDevice[DeviceInfo]):
    """An open plug; made by `open_plug`."""

    def __init__(
        self,
        http: DeviceHttp,
        info: DeviceInfo,
        poll_s: float,
        environment: Environment,
    ) -> None:
        schedule = PollSchedule(poll_s=poll_s)
        super().__init__(info, _ENTITIES, schedule=schedule, environment=environment)
        self._http = http

    async def _poll(self) -> None:
        relay = _text(await _ask(self._http, "Power"), "POWER") == "ON"
        sensors = _table(await _ask(self._http, "Status 10"), "StatusSNS")
        meter = _table(sensors, "ENERGY")
        power_w, energy_kwh = _figure(meter, "Power"), _figure(meter, "Total")
        reading = Reading(
            device=self.info.id,
            channel=1,
            at_utc=self._environment.now_utc(),
            is_on=relay,
            power_w=power_w,
            energy_wh=energy_kwh and 1000 * energy_kwh,
        )
        states = {"relay": relay, "power": power_w, "energy": energy_kwh}
        self._tell(states=states, readings=[reading])

    async def _command(self, key: str, command: Command) -> None:
        async with self._commanding():
            reply = await _ask(self._http, f"Power {'On' if command else 'Off'}")
            self._tell(states={key: _text(reply, "POWER") == "ON"})


@asynccontextmanager
async def open_plug(
    host: str,
    *,
    port: int = 80,
    name: str | None = None,
    poll_s: float = 5.0,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> AsyncGenerator[TasmotaPlug]:
    """Open a plug for the length of the block; it is polled while somebody watches.

    Raises:
        ConnectFailed: Nobody answers.
        ProtocolViolation: Something answers that is no Tasmota.
    """
    network = environment.network
    http = DeviceHttp(f"http://{host}:{port}", reply_s=5.0, network=network)
    said = _table(await _ask(http, "Status 5"), "StatusNET")
    mac = _text(said, "Mac").replace(":", "").lower()
    info = DeviceInfo(
        id=mac,
        system="tasmota",
        name=name or _text(said, "Hostname"),
        manufacturer="Tasmota",
        mac=mac,
        url=f"http://{host}:{port}/",
    )
    async with TasmotaPlug(http, info, poll_s, environment) as plug:
        yield plug


async def _ask(http: DeviceHttp, command: str) -> dict[str, Any]:
    reply = await http.request("GET", "/cm", query={"cmnd": command})
    answer = reply.json()
    if reply.status == 200 and isinstance(answer, dict):
        return answer
    message = f"{command} is answered by status {reply.status}, and no Tasmota's answer"
    raise ProtocolViolation(message, data=reply.body)


def _table(answer: dict[str, Any], key: str) -> dict[str, Any]:
    if isinstance(found := answer.get(key), dict):
        return found
    raise ProtocolViolation(f"an answer without {key}")


def _text(answer: dict[str, Any], key: str) -> str:
    if isinstance(found := answer.get(key), str):
        return found
    raise ProtocolViolation(f"an answer without {key}")


def _figure(answer: dict[str, Any], key: str) -> float | None:
    found = answer.get(key)
    return float(found) if isinstance(found, int | float) else None
