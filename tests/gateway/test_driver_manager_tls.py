"""TLS of `[manager]`: certificates by file, of the gateway and of the devices."""

from __future__ import annotations

import ssl
from contextlib import suppress
from pathlib import Path

import anyio
import pytest
import trustme

from structiot import Environment
from structiot.errors import ConfigError, StructiotError
from structiot.gateway import load_config
from structiot.gateway.drivers.manager import ManagerDriver, ManagerSection
from structiot.manager import open_manager_client
from structiot.testing.drivers.registry import running_driver
from tests.gateway.manager_house import OTHER, PORT, UUID

pytestmark = pytest.mark.virtual_time

AUTHORITY = trustme.CA()


def section_of(folder: Path) -> ManagerSection:
    AUTHORITY.cert_pem.write_to_path(str(folder / "ca.pem"))
    files = {"cert_file": folder / "own.pem", "client_ca_file": folder / "ca.pem"}
    table = {key: str(file) for key, file in files.items()}
    found: ManagerSection = load_config({"manager": table}).manager
    return found


@pytest.fixture
def section(tmp_path: Path) -> ManagerSection:
    own = AUTHORITY.issue_cert("127.0.0.1")
    own.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "own.pem"))
    return section_of(tmp_path)


@pytest.fixture
def nonsense(tmp_path: Path) -> ManagerSection:
    (tmp_path / "own.pem").write_text("nonsense")
    return section_of(tmp_path)


async def dial_in(uuid: str, environment: Environment, *, shows_one: bool) -> None:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    if shows_one:
        AUTHORITY.issue_cert("device@example.com").configure_cert(context)
    async with open_manager_client(
        "127.0.0.1",
        PORT,
        uuid=uuid,
        type="lamp",
        ssl_context=context,
        environment=environment,
    ):
        await anyio.sleep(60)


async def test_only_devices_with_a_certificate_are_taken(environment, section):
    async with running_driver(ManagerDriver(section, environment)) as registry:
        with suppress(StructiotError):
            await dial_in(OTHER, environment, shows_one=False)
        assert registry.devices == {}
        await dial_in(UUID, environment, shows_one=True)
        assert set(registry.devices) == {UUID}


async def test_a_certificate_that_cannot_be_used_is_a_matter_for_a_person(
    environment, nonsense
):
    """So the gateway parks the driver."""
    with pytest.raises(ConfigError, match=r"own\.pem for TLS as a certificate"):
        async with running_driver(ManagerDriver(nonsense, environment)):
            pass
