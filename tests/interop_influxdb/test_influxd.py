"""Readings in a real InfluxDB, found by `INFLUXD` or on the PATH: `nox -s influxdb`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from structiot.gateway import open_gateway
from structiot.gateway.drivers import with_driver
from tests._support.ports import free_port
from tests.gateway.history_house import plug
from tests.gateway.scripted_driver import ScriptedDriver, scripted, source_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
NAME = 'Tea, "Kettle" = a\\b 50 % ä'
CONFIG = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
"""


class Influx:
    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def query(self, words: str) -> list[dict[str, Any]]:
        query = urllib.parse.urlencode({"db": "home", "q": words})
        request = urllib.request.Request(f"{self.url}/query?{query}", method="POST")
        with urllib.request.urlopen(request, timeout=10) as reply:
            (result,) = json.load(reply)["results"]
        found = []
        for series in result.get("series", ()):
            found += [
                dict(zip(series["columns"], row, strict=True))
                for row in series["values"]
            ]
        return found


@pytest.fixture
def influx(tmp_path: Path) -> Iterator[Influx]:
    program = os.environ.get("INFLUXD") or shutil.which("influxd")
    assert program, "there is no influxd: apt-get install influxdb, or name it"
    port, rpc = free_port(), free_port()
    file = tmp_path / "influxdb.conf"
    file.write_text(CONFIG.format(folder=tmp_path, port=port, rpc=rpc))
    with subprocess.Popen(
        [program, "-config", str(file)], stderr=subprocess.DEVNULL
    ) as process:
        one = Influx(port)
        for _ in range(200):
            try:
                one.query("CREATE DATABASE home")
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        yield one
        process.terminate()


async def test_readings_arrive_with_every_character(influx: Influx, tmp_path: Path):
    device = plug()

    async def does(driver: ScriptedDriver) -> None:
        driver.registry.add(source_of(device))
        driver.registry.started()
        await anyio.sleep_forever()

    device.info = type(device.info)(id="P 1", system="toy", name=NAME, serial="P1")
    section = {"url": influx.url, "database": "home", "measurement": "my house,1"}
    config = {
        "toy": {},
        "broker": {"listen": ["mqtt://127.0.0.1:0"]},
        "history": {
            "path": str(tmp_path / "h.sqlite"),
            "commit_s": 1,
            "influxdb": section,
        },
    }
    async with AsyncExitStack() as stack:
        stack.enter_context(with_driver("toy", scripted(does)))
        await stack.enter_async_context(open_gateway(config))
        await anyio.sleep(1)
        device.tell_state("power", 12.5)
        device.tell_state("mode", NAME)
        await anyio.sleep(2)
        device.tell_state("power", -3.0)
        await anyio.sleep(8)
    rows = await anyio.to_thread.run_sync(influx.query, 'SELECT * FROM "my house,1"')
    powers = [row["value"] for row in rows if row["entity"] == "power"]
    assert powers[:2] == [12.5, -3.0]
    (mode,) = {row["text"] for row in rows if row["entity"] == "mode"}
    assert mode == NAME
    assert {row["name"] for row in rows} == {NAME}
    assert {row["device"] for row in rows} == {"P 1"}
