"""Configuration files for tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from structiot.gateway import InvalidConfig, load_config


def written(folder: Path, text: str) -> Path:
    file = folder / "structiot.toml"
    file.write_text(text, encoding="utf-8")
    return file


def secret_file(file: Path, content: str | bytes) -> Path:
    """Write a file that its owner alone may read."""
    file.touch(mode=0o600)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def problems_of(folder: Path, text: str) -> list[str]:
    """Give the problems of a text without the folder of the test."""
    file = written(folder, text)
    with pytest.raises(InvalidConfig) as caught:
        load_config(file)
    return [
        str(problem).replace(f"{folder}/", "").replace(str(folder), ".")
        for problem in caught.value.problems
    ]
