"""Files that somebody names: what could wait, or not end, is not read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from structiot._kit.regular_file import read_regular


def test_a_file_is_read_as_far_as_it_may_be_long(tmp_path: Path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_regular(path, most_bytes=5) == b"12345"
    with pytest.raises(ValueError, match="longer than 4 bytes"):
        read_regular(path, most_bytes=4)


def test_a_pipe_or_a_device_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), Path("/dev/null")):
        with pytest.raises(ValueError, match="no regular file"):
            read_regular(path, most_bytes=5)


@pytest.mark.parametrize("name", ["", "nowhere"])
def test_what_is_not_there_or_a_folder_says_so(tmp_path: Path, name: str):
    with pytest.raises(OSError, match=r"Is a directory|No such file"):
        read_regular(tmp_path / name, most_bytes=5)
