"""A power cut at any moment: the history opens, and has what was committed.

What a program does to its files is recorded by strace. Then the power is cut after each
operation: what was written since the last fsync of a file is lost, is there, or is torn
at a sector, each by itself; what was synced is there.
"""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.gateway.history_writer import whole

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SECTOR = 512
CALLS = "openat,close,write,pwrite64,ftruncate,fsync,fdatasync,unlink,rename"
OPEN = re.compile(r'openat\(\w+, "(.*?)", (\S+?)[,)].*\) += (\d+)')
WRITE = re.compile(r'pwrite64\((\d+), "(.*)", (\d+), (\d+)\) += (\d+)')
SAID = re.compile(r'write\(1, "(.*)", \d+\) += \d+')
CLOSE = re.compile(r"close\((\d+)\) ")
SYNC = re.compile(r"f(?:data)?sync\((\d+)\) ")
CUT = re.compile(r"ftruncate\((\d+), (\d+)\) ")
UNLINK = re.compile(r'unlink\("(.*?)"\) += 0')


def unescaped(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


@dataclass
class File:
    """What is on the disk for certain, and what may be."""

    synced: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)

    def sync(self) -> None:
        for at, data in self.pending:
            put(self.synced, at, data)
        self.pending.clear()

    def after_a_cut(self, chance: random.Random) -> bytes:
        content = bytearray(self.synced)
        for at, data in self.pending:
            fate = chance.random()
            if fate < 0.4:
                continue
            if fate < 0.6 and data is not None and len(data) > SECTOR:
                # Any of its sectors, as the drive pleased.
                for begin in range(0, len(data), SECTOR):
                    if chance.random() < 0.5:
                        put(content, at + begin, data[begin : begin + SECTOR])
                continue
            put(content, at, data)
        return bytes(content)


def put(content: bytearray, at: int, data: bytes | None) -> None:
    if data is None:
        del content[at:]
        content.extend(bytes(at - len(content)))
        return
    content.extend(bytes(max(0, at - len(content))))
    content[at : at + len(data)] = data


class Disk:
    """Goes through what was recorded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, File] = {}
        self.committed = -1
        self._names: dict[int, str] = {}

    def step(self, line: str) -> bool:
        """Do what a line says; False if it is nothing to the disk."""
        if found := OPEN.search(line):
            path = Path(unescaped(found[1]).decode())
            name = path.name if path.parent == self.folder else ""
            self._names[int(found[3])] = name if name[-4:] != "-shm" else ""
            if name and name[-4:] != "-shm" and "O_CREAT" in found[2]:
                self.files.setdefault(name, File())
            return False
        if found := CLOSE.search(line):
            self._names.pop(int(found[1]), None)
            return False
        if found := SAID.search(line):
            self.committed = int(unescaped(found[1]))
            return True
        if found := UNLINK.search(line):
            self.files.pop(Path(unescaped(found[1]).decode()).name, None)
            return True
        return self._change(line)

    def _change(self, line: str) -> bool:
        for pattern in (WRITE, SYNC, CUT):
            found = pattern.search(line)
            name = self._names.get(int(found[1])) if found else None
            if not found or not name:
                continue
            file = self.files.setdefault(name, File())
            if pattern is SYNC:
                file.sync()
            elif pattern is CUT:
                file.pending.append((int(found[2]), None))
            else:
                file.pending.append((int(found[4]), unescaped(found[2])))
            return True
        return False


def record(folder: Path) -> list[str]:
    path, log = folder / "history.sqlite", folder.parent / "strace.log"
    strace = ["strace", "-f", "-xx", "-s", "100000", "-e", f"trace={CALLS}"]
    program = [sys.executable, "-m", "tests.gateway.history_writer", str(path)]
    for first in (0, 14):
        arguments = [*strace, "-A", "-o", str(log), *program, str(first), "14"]
        subprocess.run(arguments, check=True, stdout=subprocess.PIPE)
    return log.read_text().splitlines()


def states(lines: list[str], disk: Disk) -> Iterator[int]:
    for number, line in enumerate(lines):
        if disk.step(line):
            yield number


def test_the_power_is_cut_after_each_operation(tmp_path: Path):
    folder = tmp_path / "written"
    folder.mkdir()
    lines = record(folder)
    disk, chance, cuts = Disk(folder), random.Random(11), 0
    for number in states(lines, disk):
        for again in range(2):
            place = tmp_path / f"cut{number}_{again}"
            place.mkdir()
            for name, file in disk.files.items():
                if not name.endswith("-lock"):
                    place.joinpath(name).write_bytes(file.after_a_cut(chance))
            path = place / "history.sqlite"
            if not path.exists():
                continue
            cuts += 1
            if disk.committed < 0:
                continue
            assert whole(path, disk.committed) == "", lines[number][:100]
            shutil.rmtree(place)
    assert disk.committed == 27
    assert cuts > 200
