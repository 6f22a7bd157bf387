"""Locks, sirens and firmware of devices that dial in to the gateway."""

from __future__ import annotations

import json

import pytest

from tests.gateway.manager_house import manager_house

pytestmark = pytest.mark.virtual_time

DOOR = {
    "locks": [{"name": "Lock", "member": "lock", "unlock": {"do": "unlock"}}],
    "sirens": [{"name": "Siren", "member": "sounds"}],
    "updates": [{"name": "Firmware", "member": "firmware", "install": "install"}],
}
SECTION = {"types": {"lamp": DOOR}}
TOLD = {
    "lock": True,
    "sounds": False,
    "firmware": {"installed": "1.2", "latest": "1.3"},
}


async def test_locks_sirens_and_firmware_are_shown_as_what_they_are(environment):
    async with manager_house(environment, SECTION) as served:
        async with served.device(TOLD) as device:
            kinds = {key: one["platform"] for key, one in served.components().items()}
            assert kinds == {"lock": "lock", "siren": "siren", "firmware": "update"}
            assert served.state("lock") == "LOCKED"
            assert json.loads(served.state("siren") or "") == {"state": "OFF"}
            firmware = json.loads(served.state("firmware") or "")
            assert firmware["installed_version"] == "1.2"
            assert firmware["latest_version"] == "1.3"
            await device.say('{"lock": "jammed", "sounds": "on", "firmware": 5}')
            assert served.state("lock") == "JAMMED"
            assert json.loads(served.state("siren") or "") == {"state": "ON"}
            await device.say('{"lock": false, "sounds": "?"}')
            assert served.state("lock") == "UNLOCKED"


async def test_they_are_told_what_their_sections_say(environment):
    async with manager_house(environment, SECTION) as served:
        async with served.device(TOLD) as device:
            await served.command("lock", "LOCK")
            assert await device.hear() == b"lock"
            await served.command("lock", "UNLOCK")
            assert await device.hear() == b'{"do":"unlock"}'
            await served.command("siren", '{"state": "ON"}')
            assert await device.hear() == b"on"
            await served.command("siren", "OFF")
            assert await device.hear() == b"off"
            await served.command("firmware", "INSTALL")
            assert await device.hear() == b"install"
            await served.command("siren", "{}")
            assert "siren takes a JSON object of state" in served.errors()[0]


async def test_firmware_that_cannot_be_installed_from_afar_is_only_shown(environment):
    section = {"types": {"lamp": {"updates": [{"name": "F", "member": "f"}]}}}
    async with manager_house(environment, section) as served:
        async with served.device({"f": {"installed": "1"}}):
            assert "command_topic" not in served.components()["f"]
