"""The foreign MQTT clients, and where each is installed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests._support.environments import NodeEnvironment, PythonEnvironment
from tests._support.sources import ROOT
from tests.interop_mqtt.servers import needed

FOLDER = Path(os.environ.get("STRUCTIOT_INTEROP", ROOT / ".nox" / "interop-clients"))
CLIENTS = Path(__file__).with_name("clients")
ON_PYTHON = {
    name: PythonEnvironment(FOLDER / name, requirements)
    for name, requirements in {
        "paho": ("paho-mqtt==2.2.0",),
        "aiomqtt": ("aiomqtt==2.5.1",),
        "gmqtt": ("gmqtt==0.8.0",),
        "mqttium": ("mqttium==1.2.1",),
        "amqtt": ("amqtt==0.12.1",),
        "distmqtt": ("distmqtt==0.35.2", "setuptools<81", "trio", "anyio==4.16.0"),
    }.items()
}
ON_NODE = {"mqttjs": NodeEnvironment(FOLDER / "mqttjs", ("mqtt@5.16.0",))}
NAMES = (*ON_PYTHON, *ON_NODE)


def driver(name: str) -> list[str]:
    """Give the command that drives a client."""
    if name in ON_PYTHON:
        return [str(ON_PYTHON[name].python), str(CLIENTS / f"drive_{name}.py")]
    # A module is looked for beside the script that wants it.
    script = shutil.copy(CLIENTS / f"drive_{name}.mjs", ON_NODE[name].folder)
    return [needed("node"), str(script)]
