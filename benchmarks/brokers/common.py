"""What every broker's runner shares.

A runner is called with the name of its event loop, the number of its core, which is
taken when this is imported, and a certificate where there is TLS.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import sys


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ready(port: int) -> None:
    """Say where the broker listens, or is about to."""
    print(json.dumps({"port": port}), flush=True)


def certificate() -> str:
    """A file with the broker's certificate and key; empty: no TLS."""
    return sys.argv[3] if len(sys.argv) > 3 else ""


def prepare() -> None:
    if len(sys.argv) > 2 and sys.argv[2] != "-1" and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(sys.argv[2])})
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


prepare()
