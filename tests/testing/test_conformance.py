"""The conformance suite: drivers as they should be pass, and each fault fails its test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from structiot.gateway.drivers import with_driver
from structiot.gateway.drivers.maxsmart import MaxSmartDriver
from structiot.sim import sim_maxsmart
from structiot.testing import DriverConformance
from tests.testing.faulty import FAULTY
from tests.testing.toy import ToyDriver

# The driver imports it when it simulates, in the event loop, where nothing may block.
LOADED = (sim_maxsmart,)

# The class itself is found by entry point, or not: there is no wrong way to be found.
TESTS = {name for name in dir(DriverConformance) if name.startswith("test_")}
NEEDS_NO_FAULT = {"test_it_is_found_by_its_entry_point"}


class TestToyDriver(DriverConformance):
    driver = ToyDriver

    @pytest.fixture(autouse=True)
    def installed(self) -> Iterator[None]:
        with with_driver("toy", ToyDriver):
            yield


def test_there_is_a_fault_for_every_test():
    assert set(FAULTY) == TESTS - NEEDS_NO_FAULT


@pytest.mark.parametrize("test", FAULTY)
def test_a_fault_fails_its_test(test: str, pytester: pytest.Pytester):
    pytester.makepyfile(f"""
        import pytest
        from structiot.gateway.drivers import with_driver
        from structiot.testing import DriverConformance
        from tests.testing.faulty import FAULTY

        class TestFaultyDriver(DriverConformance):
            driver = FAULTY["{test}"]

            @pytest.fixture(autouse=True)
            def installed(self):
                with with_driver("toy", self.driver):
                    yield
    """)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-k", test)
    result.assert_outcomes(failed=2, deselected=2 * len(TESTS) - 2)


def test_a_driver_that_is_not_installed_is_told_so(pytester: pytest.Pytester):
    pytester.makepyfile("""
        from structiot.testing import DriverConformance
        from tests.testing.toy import ToyDriver

        class TestToyDriver(DriverConformance):
            driver = ToyDriver
    """)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-k", "found_by")
    result.assert_outcomes(failed=2, deselected=2 * len(TESTS) - 2)
    result.stdout.fnmatch_lines(["*no driver for 'toy' is installed*"])


class TestMaxSmartDriver(DriverConformance):
    driver = MaxSmartDriver
