"""A simulated plug with a relay and a meter that is asked by HTTP, as a user writes one."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from structiot.sim import (
    HOST_FAULTS,
    HTTP_FRAMES,
    JSON_LIES,
    REQUEST_FAULTS,
    FaultKind,
    FaultNames,
    HostFault,
    HttpFaults,
    HttpReply,
    HttpRequest,
    HttpServer,
    Load,
    Outlet,
    SimHost,
    Sockets,
    faulty,
    request_faults,
)

STATES: Mapping[str, bool] = MappingProxyType({"on": True, "off": False})


def read_load(name: str, text: str | None) -> float:
    return float(text or 0)


class PlugSim(SimHost[HttpFaults]):
    named_faults: ClassVar[FaultNames] = FaultNames(
        {
            **REQUEST_FAULTS,
            **HOST_FAULTS,
            **request_faults("odd frame", HTTP_FRAMES, kind=FaultKind.FRAME),
            **request_faults("wrong content", JSON_LIES),
            "load": HostFault("draws so many watts", read_load, lambda s, w: s.plug(w)),
        }
    )

    def __init__(self, host: str, load: Load | float = 60.0, **options) -> None:
        super().__init__(host, HttpFaults(), **options)
        self.http_port = 0
        self.outlet = Outlet(load, self.clock)
        self._http = HttpServer(faulty(self._answer, self.faults, words=self._words))

    async def start(self, sockets: Sockets) -> None:
        self.http_port = await sockets.listen(self.http_port, self._http.serve)

    def set_mains(self, *, is_on: bool) -> None:
        self.outlet.set_mains(is_on=is_on)

    def plug(self, load: Load | float) -> None:
        self.outlet.plug(load)

    def _words(self, request: HttpRequest) -> set[str]:
        return {"http", *request.query.get("cmnd", "").lower().split()[:1]}

    async def _answer(self, request: HttpRequest) -> HttpReply | None:
        if request.path != "/cm":
            return HttpReply(status=404)
        match request.query.get("cmnd", "").lower().split():
            case ["power", *state]:
                for word in state:
                    self.outlet.switch(is_on=STATES[word])
                return HttpReply.of_json(
                    {"POWER": "ON" if self.outlet.is_on else "OFF"}
                )
            case ["status", "10"]:
                energy = {
                    "Total": round(self.outlet.energy_wh / 1000, 3),
                    "Power": round(self.outlet.power_w),
                }
                return HttpReply.of_json({"StatusSNS": {"ENERGY": energy}})
            case _:
                return HttpReply.of_json({"Command": "Unknown"})
