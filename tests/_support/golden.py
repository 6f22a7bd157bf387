"""Golden files: what peers really send, written down from captures or references.

`tests/golden/<system>/<name>.json` holds JSON, `<name>.hex` holds bytes as hexadecimal
digits; blanks, line ends and everything after `#` are for the reader. No file here may
be produced by our own encoder: a symmetric fault would pass unseen.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def golden_files(system: str, suffix: str) -> list[Path]:
    """Give the golden files of a system, sorted; none is a fault of the caller."""
    found = sorted((GOLDEN / system).rglob(f"*{suffix}"))
    if not found:
        raise FileNotFoundError(f"no *{suffix} under {GOLDEN / system}")
    return found


def golden_bytes(name: str) -> bytes:
    """Read `<system>/<name>.hex` as bytes."""
    return parse_hex((GOLDEN / name).with_suffix(".hex").read_text("utf-8"))


def golden_json(name: str) -> Any:
    """Read `<system>/<name>.json`."""
    return json.loads((GOLDEN / name).with_suffix(".json").read_text("utf-8"))


def golden_text(name: str) -> str:
    """Read a golden file as text, its suffix being part of the name."""
    return (GOLDEN / name).read_text("utf-8")


def parse_hex(text: str) -> bytes:
    """Turn commented hexadecimal digits into bytes."""
    return bytes.fromhex(" ".join(line.split("#", 1)[0] for line in text.splitlines()))
