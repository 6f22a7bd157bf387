"""`structiot meross watch`: what happens, until a signal."""

from __future__ import annotations

import json
import select
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests._support.interpreter import PYTHON

pytestmark = pytest.mark.e2e

Lines = Callable[[Callable[[str], bool]], str]


@pytest.fixture
def watching(backend: str):
    """Watch in a process of its own; gives what reads until a line fits, and the end."""

    @contextmanager
    def start(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], Lines]]:
        command = [*PYTHON, "-m", "structiot", "meross", "watch", *arguments]
        process = subprocess.Popen(
            [*command, "--backend", backend],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

        def until(fits: Callable[[str], bool]) -> str:
            assert process.stdout is not None
            return next(line for line in process.stdout if fits(line))

        try:
            yield process, until
        finally:
            process.kill()
            process.communicate()

    return start


def end(process: subprocess.Popen[str], number: signal.Signals) -> str:
    process.send_signal(number)
    _, said = process.communicate(timeout=15)
    assert process.returncode == 0, said
    return said


def test_the_states_of_a_device_are_lines(house, watching):
    lamp = house.add("msl120")
    with watching(*house.where(lamp)) as (process, until):
        assert "on, brightness 100 %" in until(lambda line: "  light  " in line)
        assert end(process, signal.SIGTERM) == ""


def test_what_happens_in_the_account_is_json(house, sign_in, watching):
    plug = house.add(name="Lamp")
    sign_in()
    with watching("--json", "--stats") as (process, until):

        def until_state(is_on: bool) -> dict[str, object]:
            def fits(line: str) -> bool:
                told = json.loads(line)
                return told.get("key") == "switch" and told["state"] is is_on

            return dict(json.loads(until(fits)))

        first = json.loads(until(lambda _: True))
        assert first == {"event": "added", "device": plug.device.uuid, "name": "Lamp"}
        assert until_state(True)["event"] == "state"
        house.portal.call(plug.press)
        assert until_state(False)["name"] == "Lamp"
        house.portal.call(house.cloud.unbind, plug.device.uuid)
        until(lambda line: json.loads(line)["event"] == "removed")
        said = end(process, signal.SIGINT)
    assert "performed: " in said
    assert "Appliance.System.All" in said
    assert "dropped: 0" in said


def test_what_hangs_on_a_hub_is_watched_as_well(house, sign_in, watching):
    hub = house.add("msh300", name="Hub")
    sign_in()
    with watching("--json") as (process, until):
        line = until(lambda line: json.loads(line).get("key") == "temperature")
        assert json.loads(line)["device"].startswith(f"{hub.device.uuid}_")
        end(process, signal.SIGTERM)


def test_what_a_device_says_is_shown_as_it_says_it(house, sign_in, watching):
    plug = house.add(name="Lamp")
    sign_in()
    with watching("Lamp", "--raw", "--policy", "cloud_only") as (process, until):
        # It listens when it knows the device: what is pressed before goes unheard.
        while not select.select([process.stdout], [], [], 1.0)[0]:
            house.portal.call(plug.press)
        assert "  Lamp  Appliance.Control.ToggleX  {" in until(lambda _: True)
        assert end(process, signal.SIGINT) == ""


def test_what_a_device_has_is_said_once(house, sign_in, watching):
    plug = house.add(name="Lamp", loads=[40.0])
    sign_in()
    seen: list[str] = []

    def is_power(line: str) -> bool:
        seen.append(line)
        return "  power_w  " in line

    with watching("--policy", "cloud_only") as (process, until):
        until(is_power)
        house.portal.call(house.cloud.rename, plug.device.uuid, "Light")
        # The list is looked at when a device comes.
        house.add("msl120", name="Other")
        until(lambda line: is_power(line) or "  Other  has " in line)
        end(process, signal.SIGTERM)
    assert any("was called Lamp" in line for line in seen)
    told = [line for line in seen if "  has switch, power_w" in line]
    assert len(told) == 1, seen
    assert "has switch, power_w, " in told[0]
