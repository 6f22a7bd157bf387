"""Any state of the model in words; the same words everywhere."""

from __future__ import annotations

import pytest

from structiot.model import (
    BinarySensor,
    ClimateState,
    CoverMotion,
    CoverState,
    LightState,
    Number,
    Sensor,
    UpdateState,
)
from structiot.model.text import state_text


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (None, ""),
        (True, "on"),
        (False, "off"),
        (5.2, "5.2"),
        ("eco", "eco"),
        (LightState(is_on=False), "off"),
        (
            LightState(is_on=True, color_temp_k=2700, rgb=(255, 0, 9), effect="fire"),
            "on, color temp 2700 K, rgb 255/0/9, effect fire",
        ),
        (
            CoverState(motion=CoverMotion.OPENING, position_percent=40),
            "opening, position 40 %",
        ),
        (
            ClimateState(mode="heat", target_c=22.0, current_c=20.5, action="heating"),
            "mode heat, target 22 °C, current 20.5 °C, action heating",
        ),
        (UpdateState(installed="1.3", latest="1.4"), "installed 1.3, latest 1.4"),
    ],
)
def test_a_state_is_read_as_it_is_meant(state, text):
    assert state_text(state) == text


@pytest.mark.parametrize(
    ("entity", "state", "text"),
    [
        (Sensor(key="p", unit="W", decimals=1), 5.26, "5.3 W"),
        (Sensor(key="p", unit="W"), 5.26, "5.26 W"),
        (Sensor(key="n"), 3, "3"),
        (Sensor(key="mood", options=("fine",)), "fine", "fine"),
        (Number(key="limit", minimum=0, maximum=9, unit="A"), 6.0, "6 A"),
        (Sensor(key="p", unit="W", decimals=1), 12.34, "12.3 W"),
        (Sensor(key="p", unit="W", decimals=1), 1240.0, "1.24 kW"),
        (Sensor(key="p", unit="W", decimals=1), -1240.0, "-1.24 kW"),
        (Sensor(key="p", unit="W", decimals=1), -0.04, "0.0 W"),
        (Sensor(key="e", unit="kWh", decimals=3), 3.1, "3.100 kWh"),
        (Sensor(key="e", unit="kWh", decimals=3), 12345.678, "12,346 kWh"),
        (Sensor(key="e", unit="Wh", decimals=0), 999.6, "1,000 Wh"),
        (Sensor(key="e", unit="Wh", decimals=0), 3100, "3.10 kWh"),
        (Sensor(key="l", unit="lx"), 1840.04, "1,840 lx"),
        (BinarySensor(key="d", device_class="door"), True, "open"),
        (BinarySensor(key="m", device_class="motion"), False, "clear"),
        (BinarySensor(key="b"), True, "on"),
    ],
)
def test_a_figure_has_the_unit_and_decimals_of_its_entity(entity, state, text):
    assert state_text(state, entity) == text
