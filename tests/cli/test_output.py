"""What commands print: whatever a device says, a terminal gets printable text."""

from __future__ import annotations

import json

import pytest

from structiot.cli._common.output import show_json, show_pairs, show_rows

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
