"""Captures: what an app and a device say to each other, written down without secrets.

`sniffer` listens, `redactor` replaces (by `placeholders`), `log_file` writes. What a capture
looks like, and how one is read, is in `wire/capture` and `wire/capture_file`.
"""

from __future__ import annotations

from structiot.meross.capture.redactor import SENSITIVE_STILL, Redactor
from structiot.meross.capture.sniffer import Sniffer, open_sniffer

__all__ = ["SENSITIVE_STILL", "Redactor", "Sniffer", "open_sniffer"]
