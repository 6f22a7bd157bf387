"""A plug that is not there, with a load in it, for tests and the demonstration."""

from __future__ import annotations

from typing import Any

from structiot.devices import SYSTEM_ENVIRONMENT, Environment
from structiot.sim import (
    HttpFaults,
    HttpReply,
    HttpRequest,
    HttpServer,
    Outlet,
    SimHost,
    Sockets,
    faulty,
)

__all__ = ["TasmotaSim"]


class TasmotaSim(SimHost[HttpFaults]):
    """Answers as the firmware does; an `async with` puts it on the network."""

    def __init__(
        self,
        host: str,
        *,
        number: int = 1,
        load_w: float = 40.0,
        environment: Environment = SYSTEM_ENVIRONMENT,
    ) -> None:
        super().__init__(host, HttpFaults(), environment=environment)
        self.number = number
        self.http_port = 0
        self.outlet = Outlet(load_w, self.clock)
        self._server = HttpServer(faulty(self._answer, self.faults))

    async def start(self, sockets: Sockets) -> None:
        """Listen; the port is kept over the time that it is unplugged."""
        self.http_port = await sockets.listen(self.http_port, self._server.serve)

    def set_mains(self, *, is_on: bool) -> None:
        """What is plugged in draws nothing without mains."""
        self.outlet.set_mains(is_on=is_on)

    async def _answer(self, request: HttpRequest) -> HttpReply:
        if request.path != "/cm":
            return HttpReply(status=404)
        return HttpReply.of_json(self._said(request.query.get("cmnd", "")))

    def _said(self, command: str) -> dict[str, Any]:
        match command.lower().split():
            case ["power", *wanted]:
                if wanted:
                    self.outlet.switch(is_on=wanted == ["on"])
                return {"POWER": "ON" if self.outlet.is_on else "OFF"}
            case ["status", "5"]:
                mac = f"02:00:00:00:00:{self.number:02X}"
                return {"StatusNET": {"Hostname": f"plug-{self.number}", "Mac": mac}}
            case ["status", "10"]:
                total_kwh = round(self.outlet.energy_wh / 1000, 3)
                power_w = round(self.outlet.power_w)
                meter = {"Total": total_kwh, "Power": power_w}
                return {"StatusSNS": {"ENERGY": meter}}
        return {"Command": "Unknown"}
