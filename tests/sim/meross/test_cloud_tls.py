"""The simulated cloud behind TLS, as the real one is."""

from __future__ import annotations

import ssl

import pytest
import trustme

from structiot import Environment
from structiot._kit.http.client import open_http
from structiot.errors import ConnectFailed
from structiot.sim.meross import sim_meross_cloud
from structiot.testing import MemoryNetwork
from tests.sim.meross.asking_cloud import HOST, Asker
from tests.sim.meross.cloud_clients import UUID, app_of, device_of

pytestmark = pytest.mark.virtual_time


@pytest.mark.parametrize("has_https", [True, False])
async def test_everything_is_encrypted_but_the_api_need_not_be(has_https):
    authority = trustme.CA()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(serving)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    network = MemoryNetwork()
    environment = Environment(network=network)
    async with sim_meross_cloud(
        host=HOST, ssl_context=serving, has_https=has_https, environment=environment
    ) as cloud:
        cloud.register(uuid=UUID, name="Plug")
        assert cloud.url.startswith("https://" if has_https else "http://")
        assert cloud.broker.uri.startswith("mqtts://")
        async with open_http(cloud.url, network=network, ssl_context=trusting) as http:
            assert (await Asker(http).sign_in())["data"]["domain"] == cloud.url
        async with (
            app_of(cloud, ssl_context=trusting) as app,
            device_of(cloud, ssl_context=trusting),
        ):
            assert (await app.hear()).device_uuid == UUID
        with pytest.raises(ConnectFailed):
            async with app_of(cloud, ssl_context=ssl.create_default_context()):
                pass
