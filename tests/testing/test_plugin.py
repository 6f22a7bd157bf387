"""The plugin in the test suites of others: whatever they are like, it fits in."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable

import pytest
import trio.testing

from structiot import maxsmart_device
from structiot.mqtt import open_broker, open_mqttclient
from structiot.sim import fault_proxy, sim_maxsmart

# A run in a process of its own imports everything anew.
pytestmark = pytest.mark.timeout(60)

RunFile = Callable[..., pytest.RunResult]

# A run inside this process forgets the modules that it is the first to load. They would
# come to life twice, with classes that are not the same.
LOADED = (
    fault_proxy,
    maxsmart_device,
    open_broker,
    open_mqttclient,
    sim_maxsmart,
    trio.testing,
)


@pytest.fixture
def run_file(pytester: pytest.Pytester) -> RunFile:
    """Run pytest on a user's file of tests, in this process or in one of its own."""

    def run(text: str, *options: str, own_process: bool = False) -> pytest.RunResult:
        pytester.makepyfile(text)
        # Or that of a project would count, in a folder of which the test may run.
        pytester.makeini("[pytest]\n")
        arguments = ("-p", "no:cacheprovider", "-W", "error", "-v", *options)
        if own_process:
            return pytester.runpytest_subprocess(
                "-p", "no:hypothesispytest", *arguments
            )
        return pytester.runpytest_inprocess(*arguments)

    return run


EVERY_STYLE = """
    import anyio
    import pytest
    from structiot import maxsmart_device, open_mqttclient

    async def test_by_the_fixtures_alone(virtual_time, maxsmart_sim, environment):
        async with maxsmart_device(maxsmart_sim.host, environment=environment) as strip:
            await strip.turn_off(1)
        await anyio.sleep(3600)
        assert anyio.current_time() >= 3600

    @pytest.mark.anyio
    async def test_marked(mqtt_broker):
        async with open_mqttclient(mqtt_broker.uri) as client:
            await client.publish("home/lamp", b"on", qos=1)

    @pytest.mark.anyio
    async def test_that_uses_nothing():
        await anyio.sleep(0)

    @pytest.mark.usefixtures("virtual_time")
    class TestClass:
        @pytest.fixture
        async def started_at(self, anyio_backend):
            await anyio.sleep(60)
            yield anyio.current_time()
            assert anyio.current_time() == 3660

        async def test_time(self, started_at):
            assert started_at == 60
            await anyio.sleep(3600)

    @pytest.fixture
    async def slept(anyio_backend):
        await anyio.sleep(3600)

    async def test_the_order_of_fixtures_does_not_matter(slept, virtual_time):
        assert anyio.current_time() == 3600

    async def test_the_next_one_begins_at_zero(slept, virtual_time):
        assert anyio.current_time() == 3600

    def test_that_is_synchronous():
        pass
"""


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_each_style_runs_on_both_backends(run_file: RunFile, mode: str):
    # As a setting: the option came later than the oldest anyio that we accept.
    result = run_file(EVERY_STYLE, "-o", f"anyio_mode={mode}")
    result.assert_outcomes(passed=13)


OWN_BACKEND = """
    import anyio
    import pytest

    @pytest.fixture(scope={scope!r})
    def anyio_backend():
        return {backend!r}

    async def test_virtual(virtual_time, mqtt_broker, anyio_backend_name):
        assert anyio_backend_name in {backend!r}
        await anyio.sleep(3600)
        assert anyio.current_time() == 3600

    async def test_real(mqtt_broker, anyio_backend_name):
        assert anyio_backend_name in {backend!r}
        with anyio.move_on_after(0.01):
            await anyio.sleep(1)

    async def test_virtual_again(virtual_time, mqtt_broker):
        assert anyio.current_time() == 0
"""


def test_a_backend_that_the_user_has_chosen_is_kept(
    run_file: RunFile, pytester: pytest.Pytester
):
    number = itertools.count()
    for scope in ("function", "module", "session"):
        for backend in ("asyncio", "trio", ("asyncio", {"use_uvloop": True})):
            text = OWN_BACKEND.format(scope=scope, backend=backend)
            pytester.makepyfile(**{f"test_backend_{next(number)}": text})
    run_file("").assert_outcomes(passed=27)


def test_the_loop_of_a_wider_fixture_cannot_be_made_virtual(run_file: RunFile):
    result = run_file("""
        import anyio
        import pytest

        @pytest.fixture(scope="module")
        async def of_the_module(anyio_backend):
            yield anyio.current_time()

        async def test_virtual(virtual_time, of_the_module):
            pass

        async def test_real(of_the_module, mqtt_broker):
            pass
    """)
    result.assert_outcomes(errors=2, passed=2)
    result.stdout.fnmatch_lines(
        ["*fixture of a wider scope than the test*in real time"]
    )


def test_a_test_that_another_plugin_runs_is_told_so(run_file: RunFile):
    result = run_file(
        """
        import pytest

        @pytest.mark.asyncio
        async def test_broker(mqtt_broker):
            pass
        """,
        "-o",
        "markers=asyncio: run by pytest-asyncio",
    )
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*mark this one with anyio instead of asyncio*"])


def test_nothing_is_left_when_a_test_fails(run_file: RunFile):
    result = run_file("""
        import anyio
        import pytest
        from structiot.testing.leaks import leftovers_now, settled_leftovers

        @pytest.fixture
        async def leftovers(anyio_backend):
            before = leftovers_now()
            yield
            assert await settled_leftovers(before) == []

        @pytest.mark.parametrize("time", ["virtual", "real"])
        async def test_that_fails(request, leftovers, environment, mqtt_broker, time):
            raise LookupError

        async def test_virtual(leftovers, virtual_time, maxsmart_sim, mqtt_broker):
            raise LookupError
    """)
    result.assert_outcomes(failed=6)


def test_hypothesis_runs_its_examples_under_virtual_time(run_file: RunFile):
    result = run_file("""
        import anyio
        from hypothesis import HealthCheck, given, settings, strategies

        @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
        @given(hours=strategies.integers(1, 5))
        async def test_hours(virtual_time, hours):
            started_at = anyio.current_time()
            await anyio.sleep(3600 * hours)
            assert anyio.current_time() == started_at + 3600 * hours
    """)
    result.assert_outcomes(passed=2)


SMALL = "async def test_small(virtual_time, mqtt_broker, maxsmart_sim): pass"


def test_it_may_be_named_on_the_command_line(run_file: RunFile):
    result = run_file(SMALL, "-p", "structiot", own_process=True)
    result.assert_outcomes(passed=2)


def test_it_is_found_by_its_name_where_nothing_loads_by_itself(
    run_file: RunFile, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    result = run_file(SMALL, "-p", "anyio", "-p", "structiot", own_process=True)
    result.assert_outcomes(passed=2)


def test_it_can_be_left_out(run_file: RunFile):
    run_file(SMALL, "-p", "no:structiot").assert_outcomes(errors=1)


def test_it_does_without_the_plugin_of_anyio_where_nobody_needs_it(run_file: RunFile):
    run_file("def test_sync(): pass", "-p", "no:anyio").assert_outcomes(passed=1)


def test_it_costs_next_to_nothing_where_it_is_not_used():
    program = "import sys, pytest; old = set(sys.modules); "
    program += "import structiot.testing.plugin as plugin\n"
    program += "for name in plugin.pytest_plugins: __import__(name)\n"
    program += "print(*sorted(set(sys.modules) - old))"
    run = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    loaded = set(run.stdout.split())
    ours = {name for name in loaded if name.partition(".")[0] == "structiot"}
    assert {name.rpartition(".")[0] for name in ours} <= {
        "",
        "structiot",
        "structiot._kit",
        "structiot.testing",
        "structiot.testing.fixtures",
    }
    assert not ours & {"structiot._kit.net", "structiot.mqtt", "structiot.sim"}
    assert loaded - ours <= {"pkgutil"}
