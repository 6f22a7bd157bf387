"""A lamp that is asked over TCP, line by line, as a stranger writes it, and one simulated."""

from __future__ import annotations

import anyio
from anyio.abc import ByteStream

from structiot.devices import SYSTEM_ENVIRONMENT, Environment, PolledDevice
from structiot.errors import LinkLost, TransportError
from structiot.model import Command, DeviceInfo, Switch
from structiot.sim import Faults, SimHost, Sockets


class Lamp(PolledDevice[DeviceInfo]):
    def __init__(
        self, host: str, port: int, environment: Environment = SYSTEM_ENVIRONMENT
    ) -> None:
        info = DeviceInfo(id=f"lamp {host}", system="lamp", name="Lamp")
        super().__init__(info, [Switch(key="light")], environment=environment)
        self._host, self._port = host, port

    async def _ask(self, question: bytes) -> bytes:
        network = self._environment.network
        try:
            async with await network.connect_tcp(self._host, self._port) as stream:
                await stream.send(question + b"\n")
                return (await stream.receive(100)).strip()
        except TransportError:  # ConnectFailed says more than what is caught next
            raise
        except (anyio.EndOfStream, anyio.BrokenResourceError, OSError) as exc:
            raise LinkLost(f"the lamp at {self._host} hung up") from exc

    async def _poll(self) -> None:
        self._tell({"light": await self._ask(b"?") == b"on"})

    async def _command(self, key: str, command: Command) -> None:
        async with self._commanding():
            await self._ask(b"on" if command else b"off")
            await self._refresh()


class LampSim(SimHost[Faults]):
    def __init__(self, host: str, environment: Environment) -> None:
        super().__init__(host, Faults(), environment=environment)
        self.is_on = False

    async def start(self, sockets: Sockets) -> None:
        await sockets.listen(7070, self._serve)

    async def _serve(self, stream: ByteStream) -> None:
        while True:  # until the client hangs up, which `receive` raises
            question = (await stream.receive(100)).strip()
            if question != b"?":
                self.is_on = question == b"on"
            await stream.send(b"on\n" if self.is_on else b"off\n")
