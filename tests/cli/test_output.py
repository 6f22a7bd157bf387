"""What commands print: whatever a device says, a terminal gets printable text."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import structiot.cli
from structiot.cli._common.output import show_json
from structiot.cli._common.tables import show_pairs, show_rows, show_table

# An escape, the same in one character, a delete, text turned round, beyond 16 bits.
ODD = "a\x1b[2J\x9b1m\x7f\u202eb\U000e0001\n☕"


@pytest.mark.parametrize("indent", [None, 2])
def test_json_holds_what_was_said_and_shows_no_orders(capsys, indent):
    show_json({"name": ODD, ODD: [1]}, indent=indent)
    shown = capsys.readouterr().out
    assert json.loads(shown) == {"name": ODD, ODD: [1]}
    assert "☕" in shown
    assert shown.replace("\n", "").isprintable()


def test_tables_show_no_orders(capsys):
    show_rows([{"name": ODD}], wants_json=False)
    show_pairs({"name": ODD})
    shown = capsys.readouterr().out
    assert shown.replace("\n", "").isprintable()
    assert shown.count("a?[2J?1m??b? ☕") == 2


@pytest.mark.parametrize("terminal", ["", "1"], ids=["pipe", "terminal"])
def test_no_line_of_a_table_ends_with_blanks(capsys, monkeypatch, terminal):
    monkeypatch.setenv("FORCE_COLOR", terminal)
    rows = [
        {"name": "a", "what": "much longer"},
        {"name": "as long as that", "what": "b"},
    ]
    show_rows(rows, wants_json=False)
    show_pairs({"name": "a", "what": "much longer"})
    show_table(("name", ""), [("a", ""), ("bc", None)])
    shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert "much longer" in shown
    assert [line for line in shown.splitlines() if line.endswith(" ")] == []


@pytest.mark.parametrize(
    ("reason", "said"),
    [(None, "fate  reason"), ("it is gone", "fate  reason")],
)
def test_what_is_nowhere_does_not_move_its_column(capsys, reason, said):
    show_table(("fate", "reason"), [("here", None), ("lost", reason)])
    assert capsys.readouterr().out.splitlines()[0] == said


def test_figures_stand_at_the_right_and_what_is_not_known_among_them(capsys):
    show_table(("power", "name"), [("10.5 W", "a"), (None, "b"), ("9.5 W", "c")])
    lines = capsys.readouterr().out.splitlines()
    assert lines == [" power  name", "10.5 W  a", "     -  b", " 9.5 W  c"]


def test_all_tables_of_the_program_are_drawn_by_one_class():
    others = [
        file.name
        for file in (Path(structiot.cli.__path__[0])).rglob("*.py")
        if "rich.table" in file.read_text(encoding="utf-8")
    ]
    assert others == ["tables.py"]
