"""From views to HTML: what the page's contract fixes, and nothing that a device says as markup."""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import replace

import pytest

from structiot.dashboard.pages import (
    index_parts,
    render_device,
    render_gateway,
    render_index,
    render_login,
    render_missing,
)
from structiot.dashboard.views import (
    GatewayView,
    LoginView,
    MissingView,
    SeriesView,
    SpanView,
    SparklineView,
)
from structiot.gateway.status import (
    BudgetStatus,
    GatewayStatus,
    LinkStatus,
    MailboxStatus,
    StoreStatus,
    TaskStatus,
)
from structiot.gateway.values import UNKNOWN_TEXT, ValueState
from structiot.model import BinarySensor, Sensor
from tests._support.entity_kinds import entity_kinds
from tests.dashboard import views
from tests.dashboard.reader import Reader
from tests.dashboard.views import KINDS, NOW, STATIC, card, device, house, index, page

EVIL = """<script>alert("1")</script>'"&"""
OWN_SCRIPT_BYTES = 30_000
OWN_STYLE_BYTES = 12_000


def read_card(kind: str, told: ValueState = "live") -> Reader:
    return Reader(render_index(index(card(kind, told=told))))


def test_the_house_of_these_tests_has_each_kind_of_entity():
    assert {type(one) for kind in KINDS.values() for one, _ in kind} == entity_kinds()


def test_a_value_has_its_machine_value_key_state_and_time():
    value = read_card("strip").one(tag="data", data_key="it/total_power")
    assert value.text == "1.24 kW"
    assert value["value"] == "1240"
    assert value["data-state"] == "live"
    assert value["data-at"] == str(int(NOW.timestamp() - 180))


def test_what_was_never_told_reads_as_unknown():
    value = read_card("strip", "unknown").one(tag="data", data_key="it/total_power")
    assert value.text == UNKNOWN_TEXT
    assert (value["role"], value["aria-label"]) == ("img", "unknown")
    assert value["value"] == ""


def test_what_is_stale_says_since_when():
    html = render_index(index(card("strip", told="stale")))
    assert '<small class="age"' in html
    assert "3 min ago" in html


def test_what_is_away_says_why_and_its_switches_are_disabled_and_focusable():
    read = read_card("strip", "unavailable")
    switch = read.one(role="switch", data_key="it/port_1")
    assert switch["aria-disabled"] == "true"
    assert "disabled" not in switch.given
    assert switch.text == "unavailable"
    assert "it does not answer" in read.one(tag="article").text


def test_a_switch_is_named_by_device_and_entity_and_says_its_state():
    switch = read_card("strip").one(role="switch", data_key="it/port_1")
    assert switch["aria-label"] == "It Port 1"
    assert switch["aria-checked"] == "true"
    assert switch.text == "on"
    assert read_card("lamp").one(role="switch")["aria-label"] == "It"


@pytest.mark.parametrize(
    ("kind", "label", "field", "value"),
    [
        ("lamp", "It brightness", "brightness", "40"),
        ("lamp", "It colour temperature", "color_temp", "2700"),
        ("valve", "It target", "target_c", "21"),
        ("fan", "It speed", "speed_percent", "50"),
        ("siren", "It volume", "volume_level", "30"),
        ("blind", "It position", None, "60"),
        ("box", "It Level", None, "4"),
    ],
)
def test_sliders_are_named_by_what_they_set(
    kind: str, label: str, field: str | None, value: str
):
    slider = read_card(kind).one(type="range", aria_label=label)
    assert slider.given.get("data-field") == field
    assert slider["value"] == value
    assert slider["aria-valuetext"].startswith(value if value != "2700" else "2,700")


def test_a_cover_has_buttons_and_a_lock_is_a_switch_with_its_word():
    acts = [one.text for one in read_card("blind").find(tag="button", class_="act")]
    assert acts == ["Open", "Stop", "Close"]
    lock = read_card("door").one(role="switch")
    assert (lock.text, lock["aria-checked"]) == ("locked", "true")


def test_a_select_has_its_options_and_an_event_its_time():
    read = read_card("box")
    assert read.one(tag="select", aria_label="It Mode")["data-state"] == "live"
    assert [one.text for one in read.find(tag="option", selected="")] == ["eco"]
    bell = read_card("bell").one(tag="data", data_key="it/bell")
    assert bell["data-event"] == "1"


def test_what_others_need_not_see_is_on_the_device_s_page_alone():
    read = Reader(render_device(device(card("strip"))))
    assert [one.text for one in read.find(tag="h3", class_="part")] == ["Diagnostics"]
    regions = [one.text for one in read.find(tag="h2") if one.given["id"] != "ask"]
    assert regions == ["Now", "History", "Statistics", "Events", "Details"]


def test_a_chart_says_what_it_is_about():
    read = Reader(render_device(device(card("strip"))))
    figure = read.one(tag="figure")
    assert figure["data-key"] == "it/total_power"
    assert float(figure["data-to"]) - float(figure["data-from"]) == 86_400
    assert figure["data-resolution"] == "300"
    caption = read.one(tag="figcaption").text
    assert caption == (
        "Total power of It, day: latest 12.30 W, lowest 0, highest 1,840, average 11.15"
    )
    rows = [one.text for one in read.find(tag="tr")]
    assert sum("no data" in row for row in rows) == 1


def test_states_and_energy_are_told_in_their_own_words():
    relay = SeriesView(
        key="it/port_1",
        name="Port 1",
        unit="",
        is_step=True,
        is_energy=False,
        is_selected=True,
    )
    now = NOW.timestamp()
    spans = (
        SpanView(from_s=now - 120, until_s=now - 60),
        SpanView(from_s=now - 60, until_s=now, text="on"),
        SpanView(from_s=now, until_s=now, note="it began anew"),
    )
    view = device(card("strip"), series=(relay,), points=(), spans=spans)
    assert "Port 1 of It, day: latest on" in render_device(view)
    rows = [one.text.strip() for one in Reader(render_device(view)).find(tag="tr")]
    assert rows == [
        "From (UTC)UntilState",
        "11:58:0011:59:00no data",
        "11:59:0012:00:00on",
        "12:00:00it began anew",
    ]
    energy = replace(relay, unit="kWh", is_step=False, is_energy=True)
    assert "day: 96 W average" in render_device(replace(view, series=(energy,)))
    nothing = replace(view, spans=())
    assert "no data" in Reader(render_device(nothing)).find(tag="tr")[1].text
    assert "Port 1 of It, day: no data" in render_device(nothing)


def test_without_a_history_the_page_says_so_and_loads_no_chart():
    html = render_device(device(card("strip"), has_history=False, series=()))
    assert "No history is kept" in html
    assert "uPlot" not in html
    assert "uPlot" not in render_index(index(card("strip")))


def test_no_text_of_a_device_becomes_markup():
    entity = Sensor(key="s", name=EVIL, unit=EVIL)
    row = views.entity_view("it", EVIL, entity, EVIL)
    one = card("strip", name=EVIL, rows=(row,), model=EVIL, room=EVIL, reason=EVIL)
    away = replace(one, is_available=False)
    shown = device(
        away,
        details=((EVIL, EVIL),),
        topics=((EVIL, EVIL),),
        links=((EVIL, "/api"),),
    )
    pages = [
        render_index(index(one, away)),
        render_device(shown),
        render_missing(MissingView(page=page(EVIL), heading=EVIL, message=EVIL)),
        render_login(LoginView(page=page(), message=EVIL, next_path=EVIL)),
    ]
    for html in pages:
        scripts = Reader(html).find(tag="script")
        assert all(one["src"] and not one.text for one in scripts)
        assert "alert(" in html
        assert "<script>" not in html


def test_there_is_no_inline_script_or_style():
    for html in (render_index(house(20)), render_device(device(card("strip")))):
        read = Reader(html)
        assert read.find(tag="style") == []
        for one in read.all:
            bad = [n for n in one.given if n == "style" or n.startswith("on")]
            assert bad == []


def test_a_secret_is_shown_nowhere():
    for html in (
        render_index(index(card("box"))),
        render_device(device(card("box"))),
    ):
        assert "4711-secret" not in html
        assert Reader(html).one(aria_label="It Pin")["type"] == "password"


def test_every_page_has_the_frame_that_the_contract_fixes():
    for html in (
        render_index(index(card("lamp"))),
        render_device(device(card("lamp"))),
        render_gateway(GatewayView(page=page(), status=STATUS)),
    ):
        read = Reader(html)
        assert len(read.find(tag="h1")) == 1
        assert read.one(tag="nav")["aria-label"] == "Main"
        assert [one.text for one in read.find(tag="a", class_="skip")] == [
            "Skip to content"
        ]
        assert read.one(role="radiogroup", aria_label="Theme").text.split() == [
            "System",
            "Light",
            "Dark",
        ]
        for name in ("Connection", "Messages"):
            assert len(read.find(role="status", aria_label=name)) == 1
        assert read.one(name="csrf-token")["content"] == "a-token"


STATUS = GatewayStatus(
    started_utc=NOW,
    tasks=(
        TaskStatus(
            name="maxsmart",
            state="running",
            children=(
                TaskStatus(name="strip", state="failing", reason="gone", restarts=2),
            ),
        ),
    ),
    links=(LinkStatus(name="mqtt://broker", is_up=False, reason="refused"),),
    budgets=(BudgetStatus(name="Meross", left=120, most=150, unit="messages"),),
    mailboxes=(MailboxStatus(name="events", waiting=3, most=1000, dropped=12),),
    store=StoreStatus(
        is_writing=True,
        reason="",
        path="history.sqlite",
        size_bytes=48_200_000,
        rows=1_200_000,
        oldest_utc=None,
        committed_utc=None,
        waiting=0,
        lost=0,
    ),
)


def test_the_gateway_s_page_tells_all_of_its_status():
    read = Reader(render_gateway(GatewayView(page=page(), status=STATUS)))
    text = read.one(tag="main").text
    for told in (
        "maxsmart", "2 restarts", "gone", "refused", "120 of 150 messages left",
        "48.2 MB", "1,200,000", "never",
    ):  # fmt: skip
        assert told in text
    assert len(read.find(tag="details")) == 1
    empty = replace(STATUS, tasks=(), links=(), budgets=(), mailboxes=(), store=None)
    html = render_gateway(GatewayView(page=page(), status=empty))
    assert "No history is kept" in html


def test_the_form_that_asks_for_the_token():
    bare = replace(page(), stream="", csrf_token="")
    login = LoginView(page=bare, message="", next_path="/gateway")
    read = Reader(render_login(login))
    assert read.one(tag="form", action="/login")["method"] == "post"
    assert read.one(id="token")["type"] == "password"
    assert read.one(name="next")["value"] == "/gateway"
    assert read.find(role="alert") == []


def test_a_sparkline_is_hidden_from_readers_and_open_at_gaps():
    read = Reader(render_index(index(card("strip", sparkline=views.sparkline("it")))))
    drawn = read.one(tag="svg", class_="spark")
    assert drawn["aria-hidden"] == "true"
    (path,) = [one["d"] for one in read.find(tag="path") if "M" in one["d"]][-1:]
    assert path.count("M") == 2


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ([], ""),
        ([None, None], ""),
        ([None, 5.0, None], "M80 20h0"),
        ([0.0, 0.0, 0.0], "M0 38h80h80"),
        ([1.0, None, 3.0], "M0 38h0M160 2h0"),
    ],
)
def test_lines_are_drawn_from_what_was_heard_alone(
    values: list[float | None], path: str
):
    line = SparklineView(
        key="it/power",
        points=tuple((float(i), value) for i, value in enumerate(values)),
        from_s=0.0,
        to_s=3.0,
    )
    read = Reader(render_index(index(card("strip", sparkline=line))))
    assert read.find(tag="path")[-1]["d"] == path


def test_many_figures_of_numbered_parts_share_rows():
    rows = tuple(
        views.entity_view(
            "it", "It", Sensor(key=f"c{i}_{j}", name=f"Switch {i} {j}"), 1.0
        )
        for i in (1, 2)
        for j in ("power", "voltage", "current", "factor")
    )
    read = Reader(render_index(index(card("strip", rows=rows))))
    assert [one.text for one in read.find(class_="name")] == ["Switch 1", "Switch 2"]
    assert len(read.find(tag="data")) == 8
    lone = views.entity_view("it", "It", Sensor(key="c3", name="Switch 3 power"), 1.0)
    more = Reader(render_index(index(card("strip", rows=(*rows, lone)))))
    assert len(more.find(class_="name")) == 2
    assert [one.text for one in more.find(class_="label")] == ["Switch 3 power"]
    few = Reader(render_index(index(card("strip", rows=rows[:3]))))
    assert few.find(class_="name") == []


def test_300_devices_are_rendered_in_small_pieces_and_few_bytes():
    view = house(300)
    pieces = list(index_parts(view))
    html = "".join(pieces)
    assert html == render_index(view)
    assert max(map(len, pieces)) < 10_000
    assert len(gzip.compress(html.encode())) < 60_000
    assert len(re.findall("<article", html)) == 300


def test_own_scripts_and_styles_are_within_their_budgets():
    own = [one for one in STATIC.iterdir() if not one.name.startswith("uPlot")]
    scripts = [one.stat().st_size for one in own if one.suffix == ".js"]
    styles = [one.stat().st_size for one in own if one.suffix == ".css"]
    assert sum(scripts) <= OWN_SCRIPT_BYTES
    assert sum(styles) <= OWN_STYLE_BYTES


def test_what_is_not_ours_is_as_it_was_published():
    lines = (STATIC / "uPlot.sha256").read_text("utf-8").splitlines()
    assert len(lines) == 3
    for line in lines:
        digest, name = line.split()
        assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == digest
    assert "MIT License" in (STATIC / "uPlot.LICENSE.txt").read_text("utf-8")


def test_a_sensor_without_a_name_is_called_by_its_class():
    for kind, name in (("moisture", "Moisture"), (None, "State")):
        entity = BinarySensor(key="leak", device_class=kind)
        row = views.entity_view("it", "It", entity, True)
        html = render_index(index(card("strip", rows=(row,))))
        assert f'<span class="label">{name}</span>' in html
