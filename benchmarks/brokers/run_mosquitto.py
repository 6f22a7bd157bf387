"""Mosquitto, without its limits on what is under way; this process becomes it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from common import certificate, free_port, ready

PATHS = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])

program = shutil.which("mosquitto", path=PATHS)
if program is None:
    raise SystemExit("mosquitto is not installed")
port = free_port()
config = Path(tempfile.mkdtemp(prefix="bench-")) / "mosquitto.conf"
tls = f"certfile {certificate()}\nkeyfile {certificate()}\n" if certificate() else ""
config.write_text(
    f"listener {port} 127.0.0.1\n{tls}"
    "allow_anonymous true\npersistence false\nset_tcp_nodelay true\n"
    "max_inflight_messages 0\nmax_queued_messages 0\nlog_type error\nuser root\n",
    encoding="utf-8",
)
ready(port)
os.execv(program, [program, "-c", str(config)])
