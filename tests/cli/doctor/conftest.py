"""Somebody to be examined, on the real system or in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from structiot import Environment
from tests.cli.doctor.house import Patient


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    return Patient(tmp_path, Environment())
