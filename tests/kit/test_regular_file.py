"""Files that somebody names: what could wait, or not end, is not read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from structiot._kit.private_file import replace_file
from structiot._kit.regular_file import read_last, read_regular


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


def test_the_end_of_a_file_is_read_and_none_of_a_pipe(tmp_path: Path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_last(path, most_bytes=2) == b"45"
    assert read_last(path, most_bytes=9) == b"12345"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="no regular file"):
        read_last(tmp_path / "pipe", most_bytes=2)


@pytest.mark.parametrize("laid", ["link", "pipe", "open"])
def test_what_was_laid_beside_a_private_file_is_not_written_to(
    tmp_path: Path, laid: str
):
    path, beside, other = (tmp_path / one for one in ("state", ".state.new", "other"))
    other.write_bytes(b"somebody else's")
    if laid == "link":
        beside.symlink_to(other)
    elif laid == "pipe":
        os.mkfifo(beside)
    else:
        beside.write_bytes(b"old")
        beside.chmod(0o666)
    replace_file(path, b"ours")
    assert path.read_bytes() == b"ours"
    assert path.is_file()
    assert not path.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o600
    assert other.read_bytes() == b"somebody else's"
