"""The pages about testing say what there is, and their examples pass."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from structiot.testing import plugin

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples" / "testing").glob("*.py"))


def test_every_fixture_has_an_entry_in_the_reference():
    modules = [importlib.import_module(name) for name in plugin.pytest_plugins]
    fixtures = {name for module in modules for name in module.__all__}
    page = (ROOT / "docs" / "reference" / "testing.md").read_text("utf-8")
    assert fixtures == set(re.findall(r"^`(\w+)`$", page, re.MULTILINE))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_passes_on_both_backends(path: Path, pytester: pytest.Pytester):
    pytester.makepyfile(path.read_text("utf-8"))
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-W", "error")
    result.assert_outcomes(passed=6)
