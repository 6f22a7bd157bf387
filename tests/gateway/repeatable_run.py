"""Ten minutes of a house, seeded, under virtual time: prints all that happens.

python repeatable_run.py BACKEND SEED
"""

from __future__ import annotations

import importlib
import random
import sys
from typing import Any

import anyio

from structiot import Environment, load_config, open_gateway, open_mqttclient
from structiot.gateway import Gateway
from structiot.mqtt import MqttClient
from structiot.sim import MaxSmartSim, sim_maxsmart
from structiot.testing import MemoryNetwork
from structiot.testing.clock import virtual_backend, virtual_clock

HOSTS = ("10.0.0.7", "10.0.0.8", "10.0.0.9")
NAMES = ("Kitchen", "Desk", "Garage")


def seed_trio(seed: int) -> None:
    """Have trio's scheduler make the same choices each time; it shuffles by default."""
    # There is no public name for it.
    scheduler: Any = importlib.import_module("trio._core._run")
    scheduler._ALLOW_DETERMINISTIC_SCHEDULING = True
    scheduler._r = random.Random(seed)


async def print_events(gateway: Gateway) -> None:
    async with gateway.events() as events:
        async for event in events:
            print(f"{anyio.current_time():.6f}", event)


async def print_messages(client: MqttClient) -> None:
    async with client.subscription("#", qos=1) as messages:
        async for message in messages:
            print(f"{anyio.current_time():.6f}", message.topic, message.payload)


async def trouble(sims: list[MaxSmartSim], client: MqttClient) -> None:
    """Switch, lose requests, cut the mains, and have all of it come back."""
    for port in (1, 2, 3):
        await anyio.sleep(20)
        await client.publish(f"structiot/kitchen/port_{port}/set", b"OFF", qos=1)
    sims[1].faults.drop_next(7)
    await sims[2].power_cut(100)


async def main(seed: int) -> None:
    environment = Environment(
        network=MemoryNetwork(), clock=virtual_clock, random=random.Random(seed)
    )
    listed = [{"host": h, "name": n} for h, n in zip(HOSTS, NAMES, strict=True)]
    config = load_config({"maxsmart": {"devices": listed}})
    async with (
        sim_maxsmart(HOSTS[0], seed=1, environment=environment) as one,
        sim_maxsmart(HOSTS[1], seed=2, environment=environment) as two,
        sim_maxsmart(HOSTS[2], seed=3, environment=environment) as three,
        open_gateway(config, environment=environment) as gateway,
        open_mqttclient("mqtt://127.0.0.1/", environment=environment) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(print_events, gateway)
        tasks.start_soon(print_messages, client)
        await trouble([one, two, three], client)
        await anyio.sleep(400)
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    seed_trio(int(sys.argv[2]))
    with virtual_backend(sys.argv[1]) as (backend, options):
        anyio.run(main, int(sys.argv[2]), backend=backend, backend_options=options)
