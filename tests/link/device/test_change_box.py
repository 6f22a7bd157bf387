"""What a watcher of changes knows, whatever the polls bring: property tests."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from structiot._device.changes import ChangeBox
from structiot.devices import PowerChanged
from structiot.model import Reading

AT_UTC = datetime(2024, 5, 1, tzinfo=UTC)
PORTS = 3

power_w = st.none() | st.integers(0, 400).map(lambda hundredths: hundredths / 100)
polls = st.lists(
    st.tuples(
        st.tuples(*[st.none() | st.booleans()] * PORTS), st.tuples(*[power_w] * PORTS)
    ),
    max_size=30,
)


@given(polls, st.sampled_from([0, 0.5, 1.0, 2.5]))
def test_who_keeps_what_was_told_knows_every_state_and_power_within_the_threshold(
    brought, min_power_w
):
    box = ChangeBox(10_000, min_power_w=min_power_w, name="changes")
    states: dict[int, bool] = {}
    powers_w: dict[int, float] = {}
    for is_on, power in brought:
        box.see(
            [
                Reading(
                    device="S",
                    channel=port,
                    at_utc=AT_UTC,
                    is_on=is_on[port - 1],
                    power_w=power[port - 1],
                )
                for port in range(1, PORTS + 1)
            ]
        )
        for port in range(1, PORTS + 1):
            # Where it starts from is known to the watcher by other means.
            if (state := is_on[port - 1]) is not None:
                states.setdefault(port, state)
            if (watts := power[port - 1]) is not None:
                powers_w.setdefault(port, watts)
        while len(box):
            change = box.receive_nowait()
            if isinstance(change, PowerChanged):
                assert change.previous_w == powers_w[change.port]
                assert abs(change.power_w - change.previous_w) > min_power_w
                powers_w[change.port] = change.power_w
            else:
                assert change.previous is states[change.port]
                assert change.is_on is not change.previous
                states[change.port] = change.is_on
        for port in range(1, PORTS + 1):
            assert is_on[port - 1] in {None, states.get(port)}
            if (watts := power[port - 1]) is not None:
                assert round(abs(watts - powers_w[port]), 3) <= min_power_w
