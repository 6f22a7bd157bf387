"""The guide for distmqtt's users names each limit's test, and each test is named."""

from __future__ import annotations

import ast
import re

from tests._support.examples import ROOT

GUIDE = ROOT / "docs" / "how_to" / "from_distmqtt.md"
LIMITS = ROOT / "tests" / "engines" / "test_distmqtt_limits.py"
# It shows what works in spite of the package, not what does not.
NO_LIMIT = {"test_a_reset_connection_is_one_of_many"}


def test_every_limit_in_the_guide_is_shown_by_a_test_and_the_other_way_round():
    rows = re.findall(r"\| `(test_\w+)` \|$", GUIDE.read_text("utf-8"), re.MULTILINE)
    functions = {
        node.name
        for node in ast.parse(LIMITS.read_text("utf-8")).body
        if isinstance(node, ast.AsyncFunctionDef) and node.name.startswith("test_")
    }
    assert set(rows) == functions - NO_LIMIT
