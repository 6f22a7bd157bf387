"""A part of pytest: xdist's workers are as strict as the Python that starts them."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from tests._support.interpreter import PYTHON

if TYPE_CHECKING:
    from execnet.xspec import XSpec


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(specs: list[XSpec]) -> None:
    for spec in specs:
        if spec.popen and not spec.python:
            spec.python = shlex.join(PYTHON)
