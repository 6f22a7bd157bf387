"""Captures that are none, damaged, or built to harm whoever reads them."""

from __future__ import annotations

import json
import os
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest

from structiot import Environment
from structiot.errors import ConfigError, ProtocolViolation
from structiot.sim.meross import sim_meross_replay
from structiot.testing import MemoryNetwork
from tests.sim.meross.captures import MANIFEST, capture_of, exchange, said, zip_of

pytestmark = pytest.mark.virtual_time

ALL = "Appliance.System.All"
GOOD = capture_of(*exchange(ALL, {"all": {"digest": {}}}))
OWN = json.dumps(MANIFEST)
MEGABYTE = 1_048_576
MOST_BYTES = 32 * MEGABYTE


async def replay(path: Path) -> None:
    place = Environment(network=MemoryNetwork())
    async with sim_meross_replay(path, host="192.168.1.77", environment=place):
        pass


def with_log(
    log: str, manifest: str = OWN, method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    return zip_of({"manifest.json": manifest, "log.ndjson": log}, method)


def with_manifest(**members: object) -> bytes:
    return with_log("", json.dumps(MANIFEST | members))


def patched(data: bytes, old: bytes, new: bytes, *, last: bool = False) -> bytes:
    at = data.rindex(old) if last else data.index(old)
    return data[:at] + new + data[at + len(new) :]


def many_members() -> bytes:
    return zip_of({f"{number}": "" for number in range(60_000)})


def encrypted() -> bytes:
    # The flag stands in the directory, which is at the end.
    at = GOOD.rindex(b"PK\1\2") + 8
    return GOOD[:at] + b"\1\0" + GOOD[at + 2 :]


def long_line() -> bytes:
    return with_log('{"kind": "note", "text": "' + "x" * 300_000 + '"}\n')


def long_log() -> bytes:
    line = json.dumps({"kind": "note", "text": "x" * 200_000})
    return with_log(f"{line}\n" * 340)


def many_namespaces() -> bytes:
    lines = [
        line
        for number in range(600)
        for line in exchange(f"Appliance.Test.N{number}", {"x": 1})
    ]
    return capture_of(*lines)


def large_state() -> bytes:
    lines = [
        line
        for number in range(60)
        for line in exchange(f"Appliance.Test.N{number}", {"x": "y" * 200_000})
    ]
    return capture_of(*lines)


def deep() -> bytes:
    payload = "[" * 500 + "]" * 500
    header = '{"messageId": "1", "method": "PUSH", "namespace": "Appliance.X"}'
    message = f'{{"header": {header}, "payload": {{"x": {payload}}}}}'
    return with_log(f'{{"kind": "push", "message": {message}}}\n')


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "no zip file"),
    "text": (lambda: b"PK is what it begins with " * 40, "no zip file"),
    "cut short": (lambda: GOOD[:-30], "no zip file"),
    "only an end": (lambda: GOOD[-22:], "damaged"),
    "a bomb as manifest": (lambda: with_log("", "0" * 100 * MEGABYTE), "absurd size"),
    "a bomb as log": (lambda: with_log("0" * 100 * MEGABYTE), "a line of"),
    "a long line": (long_line, "a line of"),
    "a long log": (long_log, "a log of absurd size"),
    "many members": (many_members, "absurdly many members"),
    "over 4 GB": (
        lambda: GOOD[:-22] + b"PK\6\7" + bytes(16) + GOOD[-22:],
        "absurdly many members",
    ),
    "a large file": (lambda: bytes(40 * MEGABYTE), "a file of 41943040 bytes"),
    "encrypted": (encrypted, "is encrypted or packed strangely"),
    "lzma": (lambda: with_log("", OWN, zipfile.ZIP_LZMA), "packed strangely"),
    "bzip2": (lambda: with_log("", OWN, zipfile.ZIP_BZIP2), "packed strangely"),
    "another checksum": (
        lambda: patched(GOOD, b"PK\1\2", GOOD[GOOD.index(b"PK\1\2") :][:16] + b"0000"),
        "damaged",
    ),
    "no log": (lambda: zip_of({"manifest.json": OWN}), "without log.ndjson"),
    "no manifest": (lambda: zip_of({"log.ndjson": ""}), "without manifest.json"),
    "a list as manifest": (lambda: with_log("", "[]"), "a list instead of an object"),
    "no JSON": (lambda: with_log("", "{"), "no JSON"),
    "of something else": (lambda: with_manifest(format="x"), "of something else"),
    "a later version": (lambda: with_manifest(version=2), "version 2, 1 is known"),
    "no uuid": (lambda: with_manifest(device={"uuid": 7}), "without the device's uuid"),
    "a device of text": (
        lambda: with_manifest(device="x"),
        "without the device's uuid",
    ),
    "an unknown kind": (lambda: with_log('{"kind": ["x"]}\n'), "of no known kind"),
    "a message of text": (
        lambda: with_log('{"kind": "push", "message": "x"}\n'),
        "of no known kind",
    ),
    "many namespaces": (many_namespaces, "absurdly many namespaces"),
    "a large state": (large_state, "absurd size"),
    "a deep one": (deep, "nested too deeply"),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_file_that_is_no_capture_is_refused(name: str, tmp_path: Path):
    build, why = HOSTILE[name]
    path = tmp_path / "data.zip"
    _build(path, build)
    with pytest.raises(ProtocolViolation, match=why) as caught:
        await replay(path)
    assert str(caught.value).startswith(f"{path}: capture: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["a bomb as manifest", "a bomb as log", "many members", "a large state"]
)
def test_a_small_file_takes_no_large_memory(name: str, tmp_path: Path):
    build, why = HOSTILE[name]
    path = tmp_path / "data.zip"
    _build(path, build)
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolViolation, match=why):
            anyio.run(replay, path)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


def _build(path: Path, build: Callable[[], bytes]) -> None:
    path.write_bytes(build())


ODD: list[dict[str, Any]] = [
    {"kind": "note"},
    {"kind": "annotation", "text": 7, "at": [], "after_s": "soon", "is_signed": "yes"},
    {"kind": "push", "message": {}},
    {"kind": "push", "message": {"header": [], "payload": 1}},
    said("push", "SHOUT", ALL, {}),
    said("push", "PUSH", "", {}),
    said("answer", "GETACK", ALL, {"all": 7}),
    said("answer", "GETACK", ALL, {"all": {"digest": [1], "system": "x"}}),
    said("answer", "GETACK", "Appliance.System.Ability", {"ability": [1]}),
    said("answer", "SETACK", "Appliance.Control.ToggleX", {"togglex": 1}),
    *exchange("Appliance.Control.ToggleX", {"togglex": [1, None, {"channel": []}]}),
    said("push", "PUSH", "Appliance.Control.ToggleX", {"togglex": {"channel": {}}}),
    said("push", "PUSH", "Appliance.Control.Light", {"light": [[]]}),
    said("push", "PUSH", "Appliance.Control.Light", {"light": {"x": float("inf")}}),
    said("request", "GET", "Appliance.Control.Multiple", {"multiple": [{}, 7]}),
]


async def test_lines_of_wrong_types_cost_nothing_but_themselves(tmp_path: Path):
    path = tmp_path / "data.zip"
    odd = {"sub_type": [], "model": 7, "hardware": {}, "firmware": None}
    device = {**odd, "uuid": "u" * 32}
    _build(path, lambda: capture_of(*ODD, device=device, counts=[], abilities=7))
    await replay(path)


async def test_whatever_is_flipped_or_cut_gives_one_error_or_none(tmp_path: Path):
    path, random = tmp_path / "data.zip", Random(7)
    refused = 0
    for _ in range(300):
        data = bytearray(GOOD)
        for _ in range(random.randrange(1, 6)):
            data[random.randrange(len(data))] = random.randrange(256)
        if random.random() < 0.2:
            del data[random.randrange(len(data)) :]
        _build(path, lambda data=data: bytes(data))  # type: ignore[misc]
        try:
            await replay(path)
        except ProtocolViolation:
            refused += 1
    assert 100 < refused <= 300


async def test_what_cannot_be_read_is_said(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    for name, why in (
        ("none.zip", "cannot be read: No such file"),
        (".", "is no file"),
        ("pipe", "is no file"),
        ("a\0b", "cannot be read: "),
    ):
        with pytest.raises(ConfigError, match=why):
            await replay(tmp_path / name)
