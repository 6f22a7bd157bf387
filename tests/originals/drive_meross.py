"""Drives the original `meross-iot` package; runs in an environment that has only that.

Called with the API's base URL, e-mail, password, the broker's host and port and a file of
certificates to trust. It signs in, lists the devices, updates the first, switches it on,
logs out and prints what it saw as one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys

from meross_iot.http_api import MerossHttpClient
from meross_iot.manager import MerossManager


async def main(*words):
    url, email, password, host, port, authority = words
    seen = {}
    client = await MerossHttpClient.async_from_user_password(
        api_base_url=url, email=email, password=password
    )
    credentials = client.cloud_credentials
    seen["user_id"], seen["domain"] = credentials.user_id, credentials.domain
    seen["listed"] = [one.dev_name for one in await client.async_list_devices()]
    manager = MerossManager(
        http_client=client,
        mqtt_override_server=(host, int(port)),
        mqtt_ssl_context=ssl.create_default_context(cafile=authority),
    )
    await manager.async_init()
    await manager.async_device_discovery()
    (plug,) = manager.find_devices()
    seen["found"] = [plug.name, plug.type, plug.online_status.name]
    await plug.async_update()
    seen["was_on"] = plug.is_on(channel=0)
    await plug.async_turn_on(channel=0)
    seen["is_on"] = plug.is_on(channel=0)
    manager.close()
    await client.async_logout()
    print(json.dumps(seen))


asyncio.run(main(*sys.argv[1:]))
