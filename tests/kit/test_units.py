"""Conversions between the wire's units and SI are exact where the wire is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structiot.units import (
    from_deci,
    from_milli,
    kelvin_from_mired,
    mired_from_kelvin,
    percent_from_range,
    to_milli,
)

wire_integers = st.integers(-(2**40), 2**40)


@pytest.mark.parametrize(
    ("wire", "si"),
    [(3300, 3.3), (1234, 1.234), (-5, -0.005), (0, 0.0), (5251.0, 5.251)],
)
def test_milli_quantities_become_si(wire: float, si: float):
    assert from_milli(wire) == si


@pytest.mark.parametrize(("wire", "si"), [(2304, 230.4), (-15, -1.5), (0, 0.0)])
def test_tenths_become_si(wire: int, si: float):
    assert from_deci(wire) == si


def test_not_reported_passes_through():
    assert from_milli(None) is None
    assert from_deci(None) is None


@given(wire_integers)
def test_milli_and_back_is_the_same_integer(wire: int):
    assert to_milli(from_milli(wire)) == wire


@given(wire_integers)
def test_a_converted_figure_prints_with_the_decimals_of_the_wire(wire: int):
    assert len(repr(from_milli(wire)).partition(".")[2]) <= 3
    assert len(repr(from_deci(wire)).partition(".")[2]) <= 1


def test_to_milli_rounds_to_an_integer():
    assert to_milli(0.0014) == 1
    assert to_milli(-2.0006) == -2001
    assert isinstance(to_milli(5.0), int)


@pytest.mark.parametrize(
    ("value", "percent"), [(0, 0), (255, 100), (51, 20), (-3, 0), (300, 100)]
)
def test_a_place_in_a_range_in_percent_is_clamped(value: float, percent: float):
    assert percent_from_range(value, 0, 255) == pytest.approx(percent)


@given(
    st.floats(-1e9, 1e9), st.floats(-1e9, 1e9), st.floats(min_value=1e-3, max_value=1e9)
)
def test_percent_stays_within_0_and_100(value: float, low: float, width: float):
    assert 0 <= percent_from_range(value, low, low + width) <= 100


@pytest.mark.parametrize(("low", "high"), [(1, 1), (2, 1)])
def test_an_empty_range_is_refused(low: float, high: float):
    with pytest.raises(ValueError, match="an empty range"):
        percent_from_range(1, low, high)


@pytest.mark.parametrize(("mired", "kelvin"), [(153, 6536), (370, 2703), (250, 4000)])
def test_mired_and_kelvin_are_each_others_reciprocal(mired: int, kelvin: int):
    assert kelvin_from_mired(mired) == kelvin
    assert mired_from_kelvin(kelvin) == mired


@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_a_colour_temperature_is_above_zero(value: float):
    with pytest.raises(ValueError, match="above 0"):
        kelvin_from_mired(value)
    with pytest.raises(ValueError, match="above 0"):
        mired_from_kelvin(value)
