"""Golden files are read as written."""

from __future__ import annotations

import pytest

from tests._support.golden import golden_files, parse_hex


def test_comments_and_blanks_are_for_the_reader():
    assert parse_hex("30 0a  # PUBLISH\n\n# nothing here\nff00") == b"\x30\x0a\xff\x00"


def test_a_system_without_golden_files_is_an_error():
    with pytest.raises(FileNotFoundError, match="nowhere"):
        golden_files("nowhere", ".hex")
