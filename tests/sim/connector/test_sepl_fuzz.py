"""Whatever JSON a client makes up costs the simulated platform an answer, and no more."""

from __future__ import annotations

import json

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from structiot import Environment
from structiot.sim import sim_sepl_platform
from structiot.testing import MemoryNetwork
from structiot.testing.clock import virtual_backend
from tests.sim.connector.raw_gateway import LAMP, gateway

HANDLERS = ["clear", "put", "disconnect", "delete", "commit", "event", "response"]
NAMES = [
    "uri", "name", "iot_type", "tags", "device_uri", "service_uri", "value",
    "device_url", "task_id", "protocol_parts", "handler", "token", "payload",
]  # fmt: skip
ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.sampled_from(["", "dev1", "iot#type-1", "data", "room:kitchen"]),
    st.text(max_size=5),
)
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    ),
    max_leaves=12,
)
MESSAGES = st.one_of(
    VALUES,
    st.fixed_dictionaries(
        {"handler": st.sampled_from(HANDLERS), "token": st.just("t"), "payload": VALUES}
    ),
    st.text(max_size=20),
)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=st.lists(MESSAGES, max_size=6))
def test_each_message_gets_one_answer(backend, messages):
    async def flow() -> None:
        environment = Environment(network=MemoryNetwork())
        async with sim_sepl_platform(environment=environment) as platform:
            async with gateway(platform, has_lamp=True) as raw:
                for index, one in enumerate(messages):
                    if index % 5 == 4:
                        assert await raw.ask("put", LAMP) == (200, "ok")
                    await raw.tell(json.dumps(one))
                    answer = await raw.hear()
                    assert answer["handler"] == "response"
                    assert answer["status"] in {200, 400, 500}
                    assert isinstance(answer["payload"], str)
            await anyio.sleep(1)
            assert platform.log[-1].what == "closed by the client"

    with virtual_backend(backend) as (name, options):
        anyio.run(flow, backend=name, backend_options=options)
