"""Run a program as if our engine were another: ENGINE BACKEND FILE [ARGUMENT...]."""

from __future__ import annotations

import functools
import runpy
import sys

import anyio

import structiot.mqtt

if __name__ == "__main__":
    engine, backend, file, *rest = sys.argv[1:]
    opened = functools.partial(structiot.mqtt.open_mqttclient, engine=engine)
    setattr(structiot.mqtt, "open_mqttclient", opened)  # noqa: B010
    setattr(anyio, "run", functools.partial(anyio.run, backend=backend))  # noqa: B010
    sys.argv = [file, *rest]
    runpy.run_path(file, run_name="__main__")
