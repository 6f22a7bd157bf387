"""Captures that are made by hand, line by line."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

PLACEHOLDER = "0" * 20 + "020000000001"
MANIFEST = {
    "format": "structiot.meross.capture",
    "version": 1,
    "device": {"uuid": PLACEHOLDER, "model": "mss310"},
}


def capture_of(*lines: dict[str, Any], **manifest: Any) -> bytes:
    """Make a capture by hand."""
    log = "".join(f"{json.dumps(line)}\n" for line in lines)
    return zip_of({"manifest.json": json.dumps(MANIFEST | manifest), "log.ndjson": log})


def zip_of(members: dict[str, str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return out.getvalue()


def said(
    kind: str, method: str, namespace: str, payload: Any, message_id: str = "1"
) -> dict[str, Any]:
    header = {"messageId": message_id, "method": method, "namespace": namespace}
    return {"kind": kind, "message": {"header": header, "payload": payload}}


def exchange(
    namespace: str, answer: Any, question: Any = None, method: str = "GET"
) -> list[dict[str, Any]]:
    return [
        said("request", method, namespace, question or {}),
        said("answer", f"{method}ACK", namespace, answer),
    ]
